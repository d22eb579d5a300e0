import type { BlobReader, UpstreamLocation } from './content.ts'
import { endingWith } from './ending.ts'
import { isWrongBytes, mostTelling } from './locations.ts'
import { createResuming, type FetchOptions, type Resuming, type WantedBytes } from './resume.ts'

/** Bytes that come from upstream, in order and without a gap, unverified. Whoever made it closes it. */
export interface Fetching extends BlobReader {
  /**
   * The next piece, never empty; undefined at the end. A broken or stalled upstream is asked for the rest, and where one fails
   * for good the next location is. One whose bytes are known to be wrong ends it, when some of them were given out.
   *
   * @throws RegistryError what became of the locations
   */
  read(): Promise<Buffer | undefined>
  /** Locations that gave bytes, and the one that is asked. */
  readonly used: ReadonlySet<UpstreamLocation>
  /** Locations that were not asked yet. */
  readonly untried: readonly UpstreamLocation[]
}

/**
 * Fetches bytes from locations, best first. `turnTo` is told of a location before it is asked, with the failure of the one
 * before; what it throws ends the fetching.
 */
export function fetchBytes(
  wanted: WantedBytes & { locations: readonly UpstreamLocation[] },
  options: FetchOptions & {
    signal: AbortSignal
    turnTo?: (location: UpstreamLocation, failure: unknown) => void
  },
): Fetching {
  const { signal, end } = endingWith(options.signal)
  const used = new Set<UpstreamLocation>()
  const untried = [...wanted.locations]
  const failures: unknown[] = []
  let at = wanted.start
  let current: Resuming | undefined
  let isDone = wanted.start === wanted.end && wanted.size > 0

  function turn(): Resuming {
    const location = untried.shift()
    if (location === undefined) throw mostTelling(failures, 'BLOB_UNKNOWN', wanted)
    options.turnTo?.(location, failures.at(-1))
    used.add(location)
    return createResuming(wanted, location, { ...options, signal, hasNext: untried.length > 0 })
  }

  function giveUp({ location, given }: Resuming, error: unknown): void {
    signal.throwIfAborted()
    options.log?.warn({ err: error, digest: wanted.digest, host: location.host, received: at }, 'blob failed')
    if (given === 0) used.delete(location)
    else if (isWrongBytes(error)) throw error
    failures.push(error)
    current = undefined
  }

  return {
    used,
    untried,
    async read() {
      while (!isDone) {
        signal.throwIfAborted()
        current ??= turn()
        try {
          const piece = await current.read(at)
          if (piece !== undefined) {
            at += piece.length
            return piece
          }
          isDone = true
        } catch (error) {
          giveUp(current, error)
        }
      }
      return undefined
    },
    close: () => end(new Error('the reader is closed')),
  }
}
