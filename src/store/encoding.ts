/** How keys, values, changes and the store's own state are written in LevelDB. */

import type { Change, Entry, RangeQuery } from './store.ts'

/** The store's own facts, one row, written with every batch. */
export interface StoreState {
  /** The newest revision. */
  revision: number
  /** Changes up to this revision are no longer in the change log. */
  compacted: number
  /** The key prefixes whose changes are logged. */
  logged: readonly string[]
}

/** The logged changes of one revision. */
export interface LogRow {
  revision: number
  changes: readonly Change[]
  /** About how much memory it takes: the length of its written form. */
  size: number
}

/** Keys of LevelDB from `gte` and before `lt`. */
export interface Bounds {
  gte: string
  lt: string
}

export const stateKey = 'state'
const dataPrefix = 'data/'
const logPrefix = 'log/'

/** All rows of the change log. */
export const logBounds: Bounds = { gte: logPrefix, lt: successor(logPrefix) }

/** Where LevelDB holds a key of the store. */
export function dataKey(key: string): string {
  return dataPrefix + key
}

/** Where LevelDB holds the changes of a revision. */
export function logKey(revision: number): string {
  return logPrefix + String(revision).padStart(16, '0')
}

/** Where LevelDB holds the keys of a range. */
export function dataBounds({ prefix, start, end }: RangeQuery): Bounds {
  const gte = start !== undefined && compareKeys(start, prefix) > 0 ? start : prefix
  const afterPrefix = successor(dataKey(prefix))
  const lt = end !== undefined && compareKeys(dataKey(end), afterPrefix) < 0 ? dataKey(end) : afterPrefix
  return { gte: dataKey(gte), lt }
}

/** Orders keys by their UTF-8 bytes, as LevelDB does; JavaScript's own order differs beyond U+FFFF. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/**
 * The first key, in the order of UTF-8 bytes, after all keys that begin with `prefix`.
 *
 * @throws TypeError when there is none, which no prefix of LevelDB's keys here can cause.
 */
export function successor(prefix: string): string {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0)
  while (points.at(-1) === 0x10ffff) points.pop()
  const last = points.pop()
  if (last === undefined) throw new TypeError('a prefix of U+10FFFF alone has no successor')
  // Surrogates are no code points of their own and have no UTF-8 form.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
}

/** Writes a value together with the revision that wrote it. */
export function encodeValue(value: string, revision: number): string {
  return `${revision} ${value}`
}

/** Reads what `encodeValue` wrote under LevelDB's key `stored`. */
export function decodeEntry(key: string, stored: string): Entry {
  const space = stored.indexOf(' ')
  return { key, value: stored.slice(space + 1), revision: Number(stored.slice(0, space)) }
}

/** The store's key of a row of LevelDB. */
export function keyOfData(stored: string): string {
  return stored.slice(dataPrefix.length)
}

type WrittenChange = [key: string, value: string | null, previous: string | null, previousRevision: number]

/** Writes the changes of a revision, with previous values. */
export function encodeChanges(changes: readonly Change[]): string {
  return JSON.stringify(
    changes.map(
      ({ key, value, previous }): WrittenChange => [
        key,
        value ?? null,
        previous?.value ?? null,
        previous?.revision ?? 0,
      ],
    ),
  )
}

/** Reads a row of the change log. */
export function decodeLogRow(key: string, stored: string): LogRow {
  const written: WrittenChange[] = JSON.parse(stored)
  const changes = written.map(([changed, value, previous, revision]) => ({
    key: changed,
    value: value ?? undefined,
    previous: previous === null ? undefined : { key: changed, value: previous, revision },
  }))
  return { revision: Number(key.slice(logPrefix.length)), changes, size: stored.length }
}

/** Writes the store's state. */
export function encodeState(state: StoreState): string {
  return JSON.stringify(state)
}

/** Reads the store's state. */
export function decodeState(stored: string): StoreState {
  return JSON.parse(stored)
}
