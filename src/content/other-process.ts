import type { Hash } from 'node:crypto'
import { open, stat } from 'node:fs/promises'
import { bufferBytes } from './buffers.ts'
import { createSharedFile, type Growing } from './growing-file.ts'
import { unlessAbsent } from './layout.ts'

/** What another process writes. It may have been left by one that died: only the hash tells what it is worth. */
export interface FollowedFile extends Growing {
  /** Takes in what has come; false when nothing has. */
  readOn(): Promise<boolean>
  /** Whether it is still at its path: another one will not grow any more. */
  isCurrent(): Promise<boolean>
}

export interface FollowOptions {
  size: number
  /** Runs over what has come. */
  hash: Hash
  /** Ends the following. */
  signal: AbortSignal
  pause: (milliseconds: number, signal: AbortSignal) => Promise<void>
  /** Called when a file is there, and when more of it is. */
  onBytes(file: FollowedFile): void
}

const pollMs = 50
/**
 * So often a file is looked for that is not there, or not any more. Whoever has the lease begins one before it asks an upstream,
 * and releases the lease soon after it has kept or removed it, unless it is busy with another way to the blob.
 */
const mostLooks = 20

/**
 * Follows the file at `path`, which another process writes. `whole`: all of it has come. `alone`: there is none, or it does not
 * grow any more. `ended`: by the signal.
 */
export async function followOther(path: string, options: FollowOptions): Promise<'whole' | 'alone' | 'ended'> {
  const { size, signal, pause, onBytes } = options
  let file: FollowedFile | undefined
  try {
    for (let looks = 0; !signal.aborted; ) {
      file ??= await openFollowedFile(path, options)
      const isCurrent = await file?.isCurrent()
      // What was written until it was looked for is there.
      if (file !== undefined && (await readOn(file, options))) looks = 0
      if (file?.received === size) return 'whole'
      if (isCurrent !== true && looks++ >= mostLooks) return 'alone'
      await pause(pollMs, signal).catch(() => undefined)
    }
    // Who had the lease when it ended has written all that it ever will.
    while (file !== undefined && (await file.readOn())) onBytes(file)
    return file?.received === size ? 'whole' : 'ended'
  } finally {
    // Nobody was told of it.
    if (file?.received === 0) file.close()
  }
}

/** Takes in what has come; false when nothing has. */
async function readOn(file: FollowedFile, { signal, onBytes }: FollowOptions): Promise<boolean> {
  let hasCome = false
  while (!signal.aborted && (await file.readOn())) {
    hasCome = true
    onBytes(file)
  }
  return hasCome
}

/** A file that was begun is never begun again, but another put in its place: what was read of it stays as it is. */
async function openFollowedFile(path: string, { size, hash }: FollowOptions): Promise<FollowedFile | undefined> {
  const handle = await unlessAbsent(open(path, 'r'))
  if (handle === undefined) return undefined
  const { ino } = await handle.stat().catch(async (error: unknown) => {
    await handle.close().catch(() => undefined)
    throw error
  })
  const shared = createSharedFile(handle)
  const buffer = Buffer.allocUnsafeSlow(bufferBytes)
  let received = 0
  return {
    get received() {
      return received
    },
    read: shared.read,
    close: shared.close,
    async readOn() {
      const found = await handle.stat()
      const end = Math.min(found.size, size)
      if (received >= end) return false
      const piece = await shared.read(received, end, () => buffer)
      hash.update(piece)
      received += piece.length
      return true
    },
    async isCurrent() {
      const found = await unlessAbsent(stat(path))
      return found?.ino === ino
    },
  }
}
