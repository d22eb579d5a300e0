/** A real LevelDB whose writes are counted and can be made to fail, as those of a full or broken disk do. */

import type { Database, Scan } from '../../src/store/database.ts'
import { decodeState, encodeState, stateKey } from '../../src/store/encoding.ts'

/** How a write fails: before anything is on the disk, or after all of it is. */
export type Fault = 'before' | 'after'

export interface TappedDatabase extends Database {
  readonly writes: number
  readonly openScans: number
  readonly scans: number
  /** The next write fails; `reopenings` attempts to open again fail too. */
  breakNextWrite(fault: Fault, reopenings?: number): void
  readonly reopenings: number
  /** Opening again shows an older state, as after a disk lost what it had promised. */
  loseRevisions(count: number): void
  /** Holds writes until the answer is called. */
  holdWrites(): () => void
  /** Writes, but holds the news of it until the answer is called; `written` settles when it is on the disk. */
  holdAnswers(): { written: Promise<void>; release: () => void }
}

/** Taps a database. */
export function tapDatabase(database: Database): TappedDatabase {
  let writes = 0
  let scans = 0
  let openScans = 0
  let fault: Fault | undefined
  let failingReopenings = 0
  let reopenings = 0
  let lost = 0
  let held: Promise<void> | undefined
  let onWritten: (() => Promise<void>) | undefined

  function tap(scan: Scan): Scan {
    let isOpen = true
    scans += 1
    openScans += 1
    return {
      ...scan,
      close: async () => {
        if (isOpen) openScans -= 1
        isOpen = false
        await scan.close()
      },
    }
  }

  return {
    ...database,
    get writes() {
      return writes
    },
    get scans() {
      return scans
    },
    get openScans() {
      return openScans
    },
    breakNextWrite(next, reopenings = 0) {
      fault = next
      failingReopenings = reopenings
    },
    holdWrites() {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      return resolve
    },
    holdAnswers() {
      const written = Promise.withResolvers<void>()
      const released = Promise.withResolvers<void>()
      onWritten = () => {
        written.resolve()
        return released.promise
      }
      return { written: written.promise, release: released.resolve }
    },
    async write(batch) {
      writes += 1
      await held
      const failing = fault
      fault = undefined
      if (failing !== 'before') await database.write(batch)
      await onWritten?.()
      if (failing !== undefined) throw new Error('EIO: the disk failed')
    },
    get reopenings() {
      return reopenings
    },
    loseRevisions(count) {
      lost = count
    },
    async reopen() {
      reopenings += 1
      if (failingReopenings > 0) {
        failingReopenings -= 1
        throw new Error('ENOSPC: the disk is full')
      }
      await database.reopen()
      if (lost === 0) return
      const state = decodeState((await database.get(stateKey)) ?? '')
      const value = encodeState({ ...state, revision: state.revision - lost })
      lost = 0
      await database.write([{ type: 'put', key: stateKey, value }])
    },
    scan: (bounds) => tap(database.scan(bounds)),
    scanAll: (bounds) => database.scanAll(bounds).map(tap),
  }
}
