import type { Digest } from '../oci/digest.ts'
import type { HeldProgress } from '../streams/records.ts'
import type { Stream } from '../streams/streams.ts'
import { unlessAborted } from '../upstream/abort.ts'
import { type HoldOptions, holdAll, type Outcome } from './hold.ts'

/** What is to be held of which image. */
export interface Wanted {
  stream: Stream
  image: Digest
  platforms: readonly string[]
}

/** Fetches images for all who want them at the same time. */
export interface SharedHold {
  /**
   * Settles when all that is wanted is held. Whoever leaves by `signal` ends the fetching only when he was the last.
   *
   * @throws as `holdAll`
   */
  hold(wanted: Wanted, signal: AbortSignal, onProgress?: (progress: HeldProgress) => void): Promise<Outcome>
  /** How far the fetching is; undefined when nothing is under way here. */
  progress(wanted: Wanted): HeldProgress | undefined
}

interface Running {
  ended: Promise<Outcome>
  leaving: AbortController
  waiting: number
  listeners: Set<(progress: HeldProgress) => void>
  progress: HeldProgress | undefined
}

export function createSharedHold(options: HoldOptions): SharedHold {
  const running = new Map<string, Running>()

  function begin(key: string, wanted: Wanted): Running {
    const leaving = new AbortController()
    const listeners = new Set<(progress: HeldProgress) => void>()
    const tell = (progress: HeldProgress): void => {
      one.progress = progress
      for (const listener of listeners) listener(progress)
    }
    // Begun only once everything about it is in place.
    const ended = Promise.resolve().then(() => holdAll(options, { ...wanted, signal: leaving.signal, tell }))
    const one: Running = { ended, leaving, waiting: 0, listeners, progress: undefined }
    ended.finally(() => forget(key, one)).catch(() => undefined)
    running.set(key, one)
    return one
  }

  function forget(key: string, one: Running): void {
    if (running.get(key) === one) running.delete(key)
  }

  return {
    async hold(wanted, signal, onProgress = () => undefined) {
      signal.throwIfAborted()
      const key = keyOf(wanted)
      const one = running.get(key) ?? begin(key, wanted)
      const listener = (progress: HeldProgress): void => onProgress(progress)
      one.waiting += 1
      one.listeners.add(listener)
      try {
        return await unlessAborted(one.ended, signal)
      } finally {
        one.listeners.delete(listener)
        one.waiting -= 1
        if (one.waiting === 0) {
          forget(key, one)
          one.leaving.abort()
        }
      }
    },
    progress: (wanted) => running.get(keyOf(wanted))?.progress,
  }
}

function keyOf({ stream, image, platforms }: Wanted): string {
  return JSON.stringify([stream.uid, image, [...platforms].sort()])
}
