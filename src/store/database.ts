/** LevelDB with just what the store needs of it: durable batches, and scans that know the state beside their snapshot. */

import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { RegistryError } from '../oci/errors.ts'
import { type Bounds, decodeState, type StoreState, stateKey } from './encoding.ts'

/** What a batch does to one key of LevelDB. */
export type Write = { type: 'put'; key: string; value: string } | { type: 'del'; key: string }

/** A page of a scan. `done` tells that nothing follows. */
export interface ScanPage {
  rows: [key: string, value: string][]
  done: boolean
}

/** Reads one snapshot in pages. It holds native memory until it is closed. */
export interface Scan {
  /** The store's state in the same snapshot. */
  readonly state: StoreState
  /** At most `count` rows, fewer when they are large; at least one unless done. */
  read(count: number): Promise<ScanPage>
  close(): Promise<void>
}

/** Which keys a scan reads, and how many at most. */
export type ScanBounds = Bounds & { limit?: number; reverse?: boolean }

/** An open LevelDB. Reads throw RegistryError UNAVAILABLE when the disk fails or the database is closed. */
export interface Database {
  getMany(keys: readonly string[]): Promise<(string | undefined)[]>
  get(key: string): Promise<string | undefined>
  scan(bounds: ScanBounds): Scan
  /** Scans of one snapshot, whose memory is freed when the last of them is closed. */
  scanAll(bounds: readonly ScanBounds[]): Scan[]
  /** Writes all or nothing, and returns when it is on the disk. A failure leaves it open whether it was written. */
  write(writes: readonly Write[]): Promise<void>
  /** Removes all keys within the bounds; the next write makes it durable. */
  clear(bounds: Bounds): Promise<void>
  /** Closes and recovers what the disk holds, after it was seen to take writes. Open scans end. */
  reopen(): Promise<void>
  close(): Promise<void>
}

// One page and what a scan reads ahead; the rows of a page stay in memory while its consumer is slow.
const maxPageBytes = 256 * 1024

/**
 * Opens the directory, which is made when absent.
 *
 * @throws Error with code `STORE_LOCKED` when another process, or this one, has it open.
 */
export async function openDatabase(directory: string): Promise<Database> {
  const level = new Level<string, string>(directory, { keyEncoding: 'utf8', valueEncoding: 'utf8' })
  await openLevel(level, directory)
  return {
    getMany: (keys) => reading(() => level.getMany([...keys])),
    get: (key) => reading(() => level.get(key)),
    scan: (bounds) => openScan(level, bounds, takeSnapshot(level)),
    scanAll: (bounds) => {
      const shared = shareSnapshot(takeSnapshot(level), bounds.length)
      return bounds.map((each) => openScan(level, each, shared))
    },
    write: (writes) => level.batch([...writes], { sync: true }),
    clear: (bounds) => level.clear(bounds),
    reopen: async () => {
      await probe(directory)
      await level.close()
      await openLevel(level, directory)
    },
    close: () => level.close(),
  }
}

async function openLevel(level: Level<string, string>, directory: string): Promise<void> {
  try {
    await level.open()
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    if (cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED') {
      throw Object.assign(new Error(`data directory ${directory} is in use by another Weir`), { code: 'STORE_LOCKED' })
    }
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`data directory ${directory} cannot be opened: ${reason}`, { cause })
  }
}

interface TakenSnapshot {
  snapshot: ReturnType<Level<string, string>['snapshot']>
  state: StoreState
  close(): Promise<void>
}

function openScan(level: Level<string, string>, bounds: ScanBounds, { snapshot, state, close }: TakenSnapshot): Scan {
  const iterator = level.iterator({ ...bounds, snapshot, highWaterMarkBytes: maxPageBytes })
  return {
    state,
    read: (count) =>
      reading(async () => {
        const rows = await iterator.nextv(count)
        if (rows.length === count) return { rows, done: false }
        // LevelDB stops early at maxPageBytes and only tells the end by an empty page.
        const more = await iterator.nextv(count - rows.length)
        return { rows: rows.concat(more), done: more.length === 0 }
      }),
    close: async () => {
      // abstract-level refuses to read an iterator whose explicit snapshot is closed, so both live equally long.
      await iterator.close()
      await close()
    },
  }
}

/** Closes the snapshot when `users` have closed it. */
function shareSnapshot(taken: TakenSnapshot, users: number): TakenSnapshot {
  let left = users
  return {
    ...taken,
    close: async () => {
      left -= 1
      if (left === 0) await taken.close()
    },
  }
}

/**
 * A batch becomes readable in a thread of its own, before this one hears of it: only a row of the same snapshot tells
 * which revision the snapshot holds.
 */
function takeSnapshot(level: Level<string, string>): TakenSnapshot {
  try {
    const snapshot = level.snapshot()
    const stored = level.getSync(stateKey, { snapshot })
    if (stored === undefined) throw new Error('the store has no state')
    return { snapshot, state: decodeState(stored), close: () => snapshot.close() }
  } catch (cause) {
    throw unreadable(cause)
  }
}

async function reading<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    throw unreadable(cause)
  }
}

function unreadable(cause: unknown): RegistryError {
  return new RegistryError('UNAVAILABLE', { message: 'the store cannot be read', cause })
}

/**
 * A database that cannot be opened again serves no reads either, and opening writes up to two buffers' worth: it stays
 * open while the disk would not take that.
 */
async function probe(directory: string): Promise<void> {
  const path = join(directory, 'probe')
  try {
    const file = await open(path, 'w')
    try {
      await file.writeFile(Buffer.alloc(8 * 1024 * 1024))
      await file.sync()
    } finally {
      await file.close()
    }
  } finally {
    await rm(path, { force: true })
  }
}
