import { statfs } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Digest } from '../oci/digest.ts'
import type { Counters } from './counters.ts'
import { NoRoomError, type Problem } from './held-files.ts'
import { codeOf } from './layout.ts'

/** What takes room on the disk: held bytes, and uploads. */
export type RoomedFile = Digest | `upload/${string}`

/** How many bytes are held and may yet be, and why none can be kept. */
export interface Room {
  /** Settles when it was tried for the first time to count what is there. */
  readonly counted: Promise<unknown>
  /** Refuses what can never fit, which is no problem. @throws NoRoomError */
  requireFit(bytes: number): void
  /**
   * Takes room for a file. What can never fit is refused and is no problem, and so is what comes before it is known how much
   * room there is.
   *
   * @returns what gives it back, when the file is held or gone
   * @throws NoRoomError
   */
  take(bytes: number): Promise<() => void>
  /** A file has come, gone or grown: its size before and after, 0 for none. */
  changed(file: RoomedFile, before: number, after: number): void
  /** Counts everything anew, beside changes: `sizes` gives what is there. Until it was tried once no room is given. */
  count(sizes: AsyncIterable<readonly [RoomedFile, number]>): Promise<void>
  /** Why the disk could not keep something, to be thrown; it is counted as the state of now. */
  refuse(error: unknown): NoRoomError
  /** Something could be kept. */
  kept(): void
}

export interface RoomOptions {
  directory: string
  maxBytes: number
  counters: Counters
  /** Called when more than 90 % are held or taken (with 0), and with the bytes of a file that room was refused to. */
  onPressure: (neededBytes: number) => void
  log: Logger | undefined
  /** How long the first count is waited for before a file is refused; default 1 s. */
  countWaitMs?: number
}

/** So much of the disk stays free of blobs: the store may be on it too. */
const reservedBytes = 32 * 1024 * 1024
const reservedShare = 0.02

/**
 * Keeps account of the room. What other processes on the directory keep or remove is known from the next count on,
 * and what they are writing never is: they may exceed the cap together by what each of them keeps between two counts, which is
 * no more than the room that it saw free, and who counts it next refuses more and tells of the pressure.
 */
export function createRoom(options: RoomOptions): Room {
  const { directory, maxBytes, counters, onPressure, log, countWaitMs = 1000 } = options
  const firstCount = Promise.withResolvers<true>()
  let taken = 0
  /** The bytes that the last refused file wanted; unknown when it was the system that refused. */
  let wanted: number | undefined = 0
  let counting: { before: Map<RoomedFile, number>; changed: Totals } | undefined

  function refused(problem: Problem, cause?: unknown): NoRoomError {
    if (counters.problem !== problem) log?.error({ err: cause, problem, directory }, 'blobs can not be kept')
    counters.problem = problem
    return new NoRoomError(problem, cause)
  }

  function usedBytes(): number {
    return counters.heldBytes + counters.uploadBytes + taken
  }

  /** What came free, or could be kept, may have ended the problem. */
  function settle(): void {
    const used = usedBytes()
    if (counters.problem === 'maxBytes reached' && used + (wanted ?? 0) <= maxBytes) counters.problem = undefined
    if (counters.problem === 'disk full' && wanted !== undefined) void settleDisk(wanted)
    if (used > 0.9 * maxBytes) onPressure(0)
  }

  async function settleDisk(bytes: number): Promise<void> {
    const fits = await hasDisk(bytes).catch(() => false)
    if (fits && counters.problem === 'disk full') counters.problem = undefined
  }

  async function hasDisk(bytes: number): Promise<boolean> {
    const { bavail, blocks, bsize } = await statfs(directory)
    return bavail * bsize >= bytes + Math.min(reservedBytes, reservedShare * blocks * bsize)
  }

  async function requireDisk(bytes: number): Promise<void> {
    const fits = await hasDisk(bytes).catch((error: unknown) => {
      wanted = undefined
      throw refused('disk failed', error)
    })
    if (fits) return
    wanted = bytes
    onPressure(bytes)
    throw refused('disk full')
  }

  function requireFit(bytes: number): void {
    // Nothing else is to go for it, and everything else can be kept.
    if (bytes > maxBytes) throw new NoRoomError('maxBytes reached')
  }

  /** Else what is kept in the first seconds after each of many starts would come on top of what is there. */
  async function requireCount(): Promise<void> {
    const waiting = new AbortController()
    const tooLong = setTimeout(countWaitMs, false, { signal: waiting.signal, ref: false }).catch(() => false)
    const isCounted = await Promise.race([firstCount.promise, tooLong])
    waiting.abort()
    if (!isCounted) throw new NoRoomError('maxBytes reached')
  }

  return {
    counted: firstCount.promise,
    requireFit,
    async take(bytes) {
      requireFit(bytes)
      await requireCount()
      if (usedBytes() + bytes > maxBytes) {
        wanted = bytes
        onPressure(bytes)
        throw refused('maxBytes reached')
      }
      taken += bytes
      let isTaken = true
      const giveBack = () => {
        if (!isTaken) return
        isTaken = false
        taken -= bytes
        settle()
      }
      try {
        await requireDisk(bytes)
      } catch (error) {
        giveBack()
        throw error
      }
      settle()
      return giveBack
    },
    changed(file, before, after) {
      const total = totalOf(file)
      counters[total] += after - before
      if (counting !== undefined) {
        if (!counting.before.has(file)) counting.before.set(file, before)
        counting.changed[total] += after - before
      }
      settle()
    },
    async count(sizes) {
      const own = { before: new Map<RoomedFile, number>(), changed: { heldBytes: 0, uploadBytes: 0 } }
      counting = own
      try {
        const found: Totals = { heldBytes: 0, uploadBytes: 0 }
        const uploads = new Set<RoomedFile>()
        for await (const [file, size] of sizes) {
          found[totalOf(file)] += own.before.get(file) ?? size
          if (isUpload(file)) uploads.add(file)
        }
        // Uploads that were finished before it was their turn.
        for (const [file, size] of own.before) {
          if (isUpload(file) && !uploads.has(file)) found.uploadBytes += size
        }
        if (counting === own) {
          counters.heldBytes = found.heldBytes + own.changed.heldBytes
          counters.uploadBytes = found.uploadBytes + own.changed.uploadBytes
        }
      } finally {
        if (counting === own) counting = undefined
        firstCount.resolve(true)
      }
      settle()
    },
    refuse(error) {
      wanted = undefined
      return refused(['ENOSPC', 'EDQUOT'].includes(codeOf(error) ?? '') ? 'disk full' : 'disk failed', error)
    },
    kept() {
      // What was measured to be too large does not fit now because something smaller did.
      if (wanted === undefined) counters.problem = undefined
      settle()
    },
  }
}

type Totals = Pick<Counters, 'heldBytes' | 'uploadBytes'>

function totalOf(file: RoomedFile): keyof Totals {
  return isUpload(file) ? 'uploadBytes' : 'heldBytes'
}

function isUpload(file: RoomedFile): boolean {
  return file.startsWith('upload/')
}
