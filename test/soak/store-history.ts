/** What the kill test knows the store must hold, checked after each kill against what it does hold. */

import type { Change, Store, WatchBatch } from '../../src/store/store.ts'
import { eventKeys } from './store-soak.ts'

/** What a writer said before it was killed. */
export interface Session {
  openedAt: number | undefined
  begun: Set<string>
  /** By id, the revision. */
  acknowledged: Map<string, number>
  conflicted: Set<string>
}

/** What one check found. */
export interface Check {
  faults: string[]
  /** Commits that are there although nobody was told. */
  unacknowledged: number
  revision: number
}

export interface History {
  /** Checks what a session added. */
  check(store: Store, session: Session): Promise<Check>
  /** Checks everything that was ever acknowledged. */
  checkAll(store: Store): Promise<string[]>
  readonly revision: number
}

/** Begins with an empty store. */
export function createHistory(): History {
  const committed = new Map<string, number>()
  // What each key of `tag/` held after the last check, for the previous values in the change log.
  const tags = new Map<string, { value: string; revision: number }>()
  let checkedTo = 0

  function checkBatch({ revision, changes }: WatchBatch, session: Session, faults: string[]): void {
    const id = idOf(changes)
    if (revision <= checkedTo) faults.push(`revision ${revision} was given again`)
    if (id === undefined || !session.begun.has(id)) {
      faults.push(`revision ${revision} holds changes of ${id}, which this session did not begin`)
      return
    }
    if (session.conflicted.has(id)) faults.push(`${id} was answered as a conflict and is there`)
    if (committed.has(id)) faults.push(`${id} is in the change log twice`)
    committed.set(id, revision)
    const events = changes.filter(({ key }) => key.startsWith('event/')).map(({ key }) => key)
    if (events.join() !== eventKeys(id).slice(0, 2).join()) faults.push(`${id} is half in the change log: ${events}`)
    for (const { key, value, previous } of changes) {
      if (!key.startsWith('tag/')) continue
      const known = tags.get(key)
      if (previous?.revision !== known?.revision || previous?.value !== known?.value) {
        faults.push(`${id} logs a previous value of ${key} that it did not have`)
      }
      tags.set(key, { value: value ?? '', revision })
    }
  }

  async function checkData(store: Store, id: string, faults: string[]): Promise<void> {
    const revision = committed.get(id) ?? 0
    for (const key of eventKeys(id)) {
      const found = (await store.get(key))?.revision ?? 0
      if (found !== revision) faults.push(`${key} is at revision ${found}, in the change log at ${revision}`)
    }
  }

  return {
    get revision() {
      return checkedTo
    },

    async check(store, session) {
      const faults: string[] = []
      const { revision } = await store.range({ prefix: 'tag/', limit: 0 })
      if (session.openedAt !== undefined && session.openedAt !== checkedTo) {
        faults.push(`the session began at revision ${session.openedAt}, the one before ended at ${checkedTo}`)
      }
      for (const batch of await readLog(store, checkedTo, revision)) checkBatch(batch, session, faults)
      for (const [id, acknowledged] of session.acknowledged) {
        if (committed.get(id) !== acknowledged) {
          faults.push(`${id} was acknowledged at revision ${acknowledged} and is at ${committed.get(id)}`)
        }
      }
      await Promise.all([...session.begun].map((id) => checkData(store, id, faults)))
      for (const [key, { value, revision: expected }] of tags) {
        const entry = await store.get(key)
        if (entry?.value !== value || entry.revision !== expected) faults.push(`${key} is not what the change log says`)
      }
      if (revision < checkedTo) faults.push(`the revision went back from ${checkedTo} to ${revision}`)
      checkedTo = Math.max(revision, checkedTo)
      const present = [...session.begun].filter((id) => committed.has(id)).length
      return { faults, unacknowledged: present - session.acknowledged.size, revision }
    },

    async checkAll(store) {
      const expected = new Map([...committed].flatMap(([id, at]) => eventKeys(id).map((key) => [key, at] as const)))
      const faults: string[] = []
      for (const prefix of ['event/', 'link/']) {
        for await (const { key, revision } of await store.range({ prefix })) {
          if (expected.get(key) !== revision) faults.push(`${key} is at revision ${revision}, not ${expected.get(key)}`)
          expected.delete(key)
        }
      }
      for (const key of expected.keys()) faults.push(`${key} is gone`)
      return faults
    },
  }
}

async function readLog(store: Store, since: number, revision: number): Promise<WatchBatch[]> {
  const batches = new Map<number, Change[]>()
  for (const prefix of ['tag/', 'event/']) {
    const signal = new AbortController().signal
    for await (const batch of store.watch(prefix, { since, signal, prompt: true })) {
      if (batch.changes.length > 0) {
        batches.set(batch.revision, [...(batches.get(batch.revision) ?? []), ...batch.changes])
      }
      if (batch.revision >= revision) break
    }
  }
  return [...batches].sort(([a], [b]) => a - b).map(([at, changes]) => ({ revision: at, changes }))
}

function idOf(changes: readonly Change[]): string | undefined {
  const ids = new Set(changes.map(({ value }): unknown => (value === undefined ? undefined : JSON.parse(value).id)))
  const [id] = ids
  return ids.size === 1 && typeof id === 'string' ? id : undefined
}
