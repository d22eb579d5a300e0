import type { Logger } from 'pino'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { BlobReader, BlobSource, FetchedBytes, UpstreamLocation } from './content.ts'
import type { Counters } from './counters.ts'
import { createLeastRate } from './least-rate.ts'
import { isWrongBytes, wrongBytes } from './locations.ts'

/** Which bytes of a blob of `size` bytes: from `start` up to `end` (exclusive). */
export interface WantedBytes {
  digest: Digest
  size: number
  start: number
  end: number
}

export interface FetchOptions {
  source: BlobSource
  counters: Pick<Counters, 'upstreamBytes' | 'resumes'>
  pause: (milliseconds: number, signal: AbortSignal) => Promise<void>
  /** In milliseconds: with it an upstream that sends less than the least rate counts as stalled. Absent: however slow. */
  rateClock?: () => number
  /** Told of a location that sends the whole where a part was asked for. */
  onRangeIgnored?: (location: UpstreamLocation) => void
  log?: Logger
}

/** The bytes of one location, asked for again from where it broke off. */
export interface Resuming {
  readonly location: UpstreamLocation
  /** How many bytes came from it. */
  readonly given: number
  /** The next piece, which begins `at` the end of the one before; undefined at the end. */
  read(at: number): Promise<Buffer | undefined>
}

export interface ResumeOptions extends FetchOptions {
  signal: AbortSignal
  /** Another location can go on: this one is given up sooner. */
  hasNext: boolean
}

/** Most attempts in a row to go on without getting on; the second one is for when another location can go on. */
const mostAttempts = 5
const mostAttemptsWithNext = 2
/** What counts as getting on. */
const progressBytes = 16 * 1024
const firstPauseMs = 250
/** An upstream that wants a longer pause is given up. */
const longestPauseMs = 10_000

/** Where an answer's bytes are: `at` is the first that is wanted, `skip` how many come before it. */
interface Answer {
  body: BlobReader
  skip: number
  /** It is the part that was asked for, and not the whole. */
  isPart: boolean
  given: number
}

/**
 * Reads a location's bytes. Where a range was asked for and everything comes, what is before it is skipped, however much: else
 * no client could go on with a layer from there.
 */
export function createResuming(wanted: WantedBytes, location: UpstreamLocation, options: ResumeOptions): Resuming {
  const { digest, size, end } = wanted
  const { source, counters, pause, rateClock, log, signal, hasNext } = options
  const rate = rateClock && createLeastRate(rateClock)
  let answer: Answer | undefined
  let isOpened = false
  let etag: string | undefined
  let given = 0
  let attempts = 0
  let givenBefore = 0

  signal.addEventListener('abort', letGo, { once: true })

  function letGo(): void {
    answer?.body.close()
    answer = undefined
  }

  async function open(at: number): Promise<Answer> {
    // With an ETag the whole comes also when the blob is another one.
    const wasAskedForPart = at > 0 && etag === undefined
    const opened = await ask(at)
    if (wasAskedForPart && opened.offset === 0) options.onRangeIgnored?.(location)
    if (signal.aborted) opened.body.close()
    signal.throwIfAborted()
    answer = { body: opened.body, skip: at - opened.offset, isPart: at > 0 && opened.offset === at, given: 0 }
    if (opened.size !== undefined && opened.size !== size) {
      throw wrongBytes(location, `is ${opened.size} bytes long and not ${size}`)
    }
    if (answer.skip < 0) throw wrongBytes(location, 'came without the beginning of its range')
    if (isOpened) counters.resumes++
    isOpened = true
    etag = opened.etag
    return answer
  }

  async function ask(at: number): Promise<FetchedBytes> {
    const isWhole = at === 0 && end === size
    const range = {
      start: at,
      ...(end === size ? {} : { end: end - 1 }),
      ...(etag === undefined ? {} : { ifRange: etag }),
    }
    try {
      return await source.open(location, digest, isWhole ? undefined : range, signal)
    } catch (error) {
      // The range is one of the size that was promised.
      const isShorter = error instanceof RegistryError && error.code === 'RANGE_INVALID'
      throw isShorter ? wrongBytes(location, `is shorter than ${size} bytes`) : error
    }
  }

  async function readAnswer(from: Answer): Promise<Buffer | undefined> {
    for (;;) {
      if (rate?.endsSlow()) throw tooSlow()
      const piece = await (rate === undefined ? from.body.read() : rate.timed(() => from.body.read()))
      counters.upstreamBytes += piece?.length ?? 0
      if (piece === undefined || from.skip === 0) return piece
      const skipped = Math.min(from.skip, piece.length)
      from.skip -= skipped
      if (skipped < piece.length) return piece.subarray(skipped)
    }
  }

  async function readOn(at: number): Promise<Buffer | undefined> {
    // Of the whole it is to be seen that nothing more comes.
    if (at === end && end < size) return undefined
    const from = answer ?? (await open(at))
    const piece = await readAnswer(from)
    if (piece === undefined) {
      if (at < end) throw from.isPart && from.given > 0 ? brokenOff(at) : tooShort(at)
      return undefined
    }
    const wantedPiece = at + piece.length > end ? piece.subarray(0, end - at) : piece
    if (end === size && wantedPiece.length < piece.length) {
      throw wrongBytes(location, `is longer than ${size} bytes`)
    }
    from.given += wantedPiece.length
    return wantedPiece
  }

  function brokenOff(at: number): RegistryError {
    const message = `${location.host} sent a part that ends after ${at} of ${size} bytes`
    return new RegistryError('UNAVAILABLE', { message, upstream: { host: location.host, reason: 'Unreachable' } })
  }

  function tooSlow(): RegistryError {
    const message = `${location.host} sent less than 512 KiB in 2 minutes`
    return new RegistryError('UNAVAILABLE', { message, upstream: { host: location.host, reason: 'Unreachable' } })
  }

  function tooShort(at: number): RegistryError {
    return wrongBytes(location, `ended after ${at} of ${size} bytes`)
  }

  /** Waits before the next attempt. @throws `error` when there is to be none */
  async function waitAfter(error: unknown): Promise<void> {
    if (given - givenBefore >= progressBytes) {
      attempts = 0
      givenBefore = given
    }
    const pauseMs = Math.max(firstPauseMs * 2 ** attempts, retryAfterMs(error))
    const most = hasNext ? mostAttemptsWithNext : mostAttempts
    const isLast = attempts >= most || (rate?.slowStretches ?? 0) > most
    if (!isOpened || isLast || !isPassing(error) || pauseMs > longestPauseMs) throw error
    attempts++
    log?.info({ err: error, digest, host: location.host, attempts, pauseMs }, 'blob broke off, and is asked for again')
    await pause(pauseMs, signal)
    signal.throwIfAborted()
  }

  return {
    location,
    get given() {
      return given
    },
    async read(at) {
      for (;;) {
        try {
          const piece = await readOn(at)
          if (piece === undefined) letGo()
          given += piece?.length ?? 0
          return piece
        } catch (error) {
          letGo()
          signal.throwIfAborted()
          // All is there, whatever became of the connection then.
          if (at === end && given > 0 && !isWrongBytes(error)) return undefined
          await waitAfter(error)
        }
      }
    },
  }
}

/** Whether asking again may help: the connection broke or stalled, or the upstream is busy. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof RegistryError)) return !(error instanceof TypeError)
  return error.upstream?.reason === 'Unreachable' || error.upstream?.reason === 'TooManyRequests'
}

function retryAfterMs(error: unknown): number {
  return error instanceof RegistryError ? (error.retryAfterSeconds ?? 0) * 1000 : 0
}
