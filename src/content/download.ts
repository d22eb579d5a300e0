import { setImmediate } from 'node:timers/promises'
import { type Digest, hashFor } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Buffers } from './buffers.ts'
import { BusyError } from './busy.ts'
import type { AcquireLease, BlobReader, Link, UpstreamLocation } from './content.ts'
import type { Counters } from './counters.ts'
import { type Apart, goOnApart, type LeftDownload } from './download-apart.ts'
import { createDownloadReader, type SharedBytes } from './download-reader.ts'
import { waitFor } from './download-wait.ts'
import { endingWith } from './ending.ts'
import { beginFilling, type Filling } from './filling.ts'
import type { Growing } from './growing-file.ts'
import { isBeginningOfHeld } from './held-beginning.ts'
import { type HeldFiles, NoRoomError } from './held-files.ts'
import { isWrongBytes, upstreamsOf, wrongBytes } from './locations.ts'
import { createMembers } from './members.ts'
import { followOther } from './other-process.ts'
import type { Extent } from './range.ts'
import type { FetchOptions } from './resume.ts'
import { freeBytes, requireDigest } from './verified.ts'
import { keysOf, mayGo, wayOf } from './ways.ts'

export interface DownloadOptions extends FetchOptions {
  files: HeldFiles
  acquireLease: AcquireLease
  buffers: Buffers
  counters: Counters
  now: () => number
  /** Whether it goes on with so many bytes missing that nobody wants any more. */
  mayGoOnUnwanted(missingBytes: number): boolean
  /** Called when nobody can join any more, perhaps more than once. */
  onOver(): void
  /** Called when nobody reads from it any more. */
  onGone(): void
}

/** A blob that comes from upstream once for all who want it, and is kept. */
export interface Download {
  /** How many bytes of it are there. */
  readonly received: number
  /** It goes on though all that somebody wants of it is there. */
  readonly isUnwanted: boolean
  /** Whether who has `link` may have the bytes that are there, and those that come now (I5). */
  mayJoin(link: Link): boolean
  read(link: Link, extent: Extent): BlobReader
  /** Settles when it is held. `signal` ends the waiting. */
  wait(link: Link, options: { signal: AbortSignal; onProgress?: (bytes: number) => void }): Promise<void>
  /** Ends it for all; settles when everything is cleared away. */
  end(reason: Error): Promise<void>
}

/** Begins to download a blob of `size` bytes through `link`, which has a location upstream. */
export function startDownload(link: Link, size: number, options: DownloadOptions): Download {
  const { files, counters, buffers, log } = options
  const { digest } = link
  const locations = upstreamsOf(link)
  const ending = new AbortController()
  const kept = Promise.withResolvers<void>()
  // It may be that nobody waits for it.
  kept.promise.catch(() => undefined)
  const members = createMembers(leaveUnwanted)
  const shared: { -readonly [K in keyof SharedBytes]: SharedBytes[K] } = {
    size,
    course: 'coming',
    bytes: undefined,
    free: freeBytes(size),
    members,
    goOn: (member, extent, at) => goOnApart({ ...options, signal: ending.signal }, left(), member, { extent, at }),
  }
  /** Has run over what is there. */
  let hash = hashFor(digest)
  /** Those that gave what is there, and the one that is asked. */
  let through: ReadonlySet<string> = keysOf(locations.slice(0, 1))
  let apart: Apart | undefined
  let isOver = false
  let endUse: (() => void) | undefined = files.use(digest)
  let endWriting: (reason: Error) => void = () => undefined

  function left(): LeftDownload {
    return { digest, locations, shared, hash, apart }
  }

  function received(): number {
    return shared.bytes?.received ?? 0
  }

  function leaveUnwanted(): void {
    if (isOver) letGo()
    if (isOver || shared.course === 'whole') return
    const mayGoOn = shared.course === 'coming' && options.mayGoOnUnwanted(size - received())
    if (!mayGoOn) stop(unwanted())
  }

  function unwanted(): Error {
    return new Error(`nobody wants more of ${digest}`)
  }

  function isUnwanted(): boolean {
    if (isOver || ending.signal.aborted || shared.course !== 'coming') return false
    return members.count === 0 || (received() < size && !members.wantMore(received()))
  }

  /** Whoever reads slowly has all it wants in the file. */
  function leaveWhenEnough(): void {
    if (members.count === 0 || !isUnwanted() || options.mayGoOnUnwanted(size - received())) return
    goApart('enough', unwanted())
    endWriting(unwanted())
  }

  function letGo(): void {
    showBytes(undefined)
    endUse?.()
    endUse = undefined
    options.onGone()
  }

  /** Who comes now begins anew. */
  function stop(reason: unknown): void {
    options.onOver()
    ending.abort(reason)
  }

  function showBytes(bytes: Growing | undefined): void {
    if (shared.bytes !== bytes) shared.bytes?.close()
    shared.bytes = bytes
  }

  /** Those who have no right to the bytes that come next get why the location before failed. */
  function turnTo(next: ReadonlySet<UpstreamLocation>, failure: unknown): void {
    through = keysOf(next)
    for (const member of members) if (!mayGo(member.link, through)) members.fail(member, failure)
    ending.signal.throwIfAborted()
  }

  function becomeWhole(): void {
    shared.course = 'whole'
    shared.free = size
    members.tell()
  }

  function goApart(why: Apart['why'], error: unknown): void {
    apart = { why, error }
    shared.course = 'apart'
    options.onOver()
    members.tell()
  }

  async function takeLease(): ReturnType<AcquireLease> {
    const granted = options.acquireLease(`content/${digest}`, ending.signal)
    const waiting = endingWith(ending.signal)
    const endWaiting = (): void => waiting.end(new Error('the lease is granted'))
    granted.then(endWaiting, endWaiting)
    await setImmediate()
    if (!waiting.signal.aborted) await follow(waiting.signal).catch(stop)
    return granted
  }

  /** Reads along what another process writes, which has the lease. */
  async function follow(signal: AbortSignal): Promise<void> {
    const all = keysOf(locations)
    const mayFollow = [...members].every((member) => mayGo(member.link, all))
    if (!mayFollow) return goApart('no lease', new BusyError(digest))
    through = all
    const path = files.partialPath(digest, wayOf(locations, size))
    const onBytes = (bytes: Growing): void => {
      showBytes(bytes)
      members.tell()
    }
    const result = await followOther(path, { ...options, size, hash, signal, onBytes })
    if (result === 'alone') goApart('no lease', new BusyError(digest))
    if (result !== 'whole') return
    requireDigest(hash, digest, [])
    becomeWhole()
  }

  async function run(): Promise<void> {
    const lease = await takeLease()
    const writing = endingWith(ending.signal)
    const lose = (): void => writing.end(new BusyError(digest))
    endWriting = writing.end
    if (lease.lost.aborted) lose()
    lease.lost.addEventListener('abort', lose, { once: true })
    try {
      ending.signal.throwIfAborted()
      if ((await files.held(link).catch(() => undefined)) !== undefined) await becomeHeld()
      else if (shared.course === 'coming') await fillAll(writing.signal)
      else throw new BusyError(digest)
      kept.resolve()
    } catch (error) {
      conclude(error, lease.lost.aborted)
    } finally {
      lease.lost.removeEventListener('abort', lose)
      writing.end(new Error('the download is over'))
      await lease.release()
    }
  }

  /** Another process has kept it, or this one a moment ago: who has begun goes on in it where it begins with the same bytes. */
  async function becomeHeld(): Promise<void> {
    if (shared.course !== 'coming') return
    if (!(await isBeginningOfHeld(files, link, { end: received(), hash }))) {
      const other = wrongBytes(undefined, 'begins otherwise than before')
      for (const member of members) if (member.hasBegun) members.fail(member, other)
      showBytes(undefined)
      hash = hashFor(digest)
    }
    goApart('held', new BusyError(digest))
  }

  /** Fetches it, and where a location's bytes were wrong, from those that are left, for those who have got nothing yet. */
  async function fillAll(signal: AbortSignal): Promise<void> {
    const name = wayOf(locations, size)
    let untried: readonly UpstreamLocation[] = locations
    let before = shared.bytes && { bytes: shared.bytes, hash, locations }
    let wrong: unknown
    for (;;) {
      const request = { digest, size, name, locations: untried, ...(before && { before }) }
      const filling = await beginFilling(request, {
        ...options,
        signal,
        turnTo: (next, failure) => turnTo(next, failure ?? wrong),
        onBytes() {
          members.tell()
          leaveWhenEnough()
        },
      })
      hash = filling.hash
      showBytes(filling.bytes)
      try {
        await filling.fetch()
        becomeWhole()
        return await filling.keep()
      } catch (error) {
        await filling.discard()
        untried = beginAgain(filling, error)
        before = undefined
        wrong = error
      }
    }
  }

  function beginAgain({ untried }: Filling, error: unknown): readonly UpstreamLocation[] {
    if (shared.course !== 'coming' || !isWrongBytes(error)) throw error
    for (const member of members) if (member.hasBegun) members.fail(member, error)
    showBytes(undefined)
    hash = hashFor(digest)
    if (untried.length === 0 || members.count === 0) throw error
    through = keysOf(untried.slice(0, 1))
    return untried
  }

  /** What is there and right stays so; otherwise readers go on apart where they can. */
  function conclude(error: unknown, isLost: boolean): void {
    kept.reject(error instanceof NoRoomError ? noRoom(digest, error) : error)
    if (shared.course !== 'coming') return
    if (ending.signal.aborted) failAll(ending.signal.reason)
    else if (error instanceof NoRoomError) goApart('no room', error)
    else if (isLost) goApart('no lease', error)
    else if (error instanceof RegistryError) goApart('no location', error)
    else failAll(error)
  }

  function failAll(error: unknown): void {
    options.onOver()
    for (const member of members) members.fail(member, error)
  }

  counters.downloads++
  const settled = run()
    // Without a lease nothing is kept.
    .catch((error: unknown) => conclude(error, true))
    .catch((error: unknown) => log?.error({ err: error, digest }, 'a download went wrong'))
    .finally(() => {
      counters.downloads--
      isOver = true
      options.onOver()
      if (members.count === 0) letGo()
    })

  return {
    get received() {
      return received()
    },
    get isUnwanted() {
      return isUnwanted()
    },
    mayJoin: (other) => mayGo(other, through),
    read(own, extent) {
      const end = extent.offset + extent.length
      // Its last bytes are given out only when all is there.
      const member = members.join(own, end > freeBytes(size) ? size : end)
      return createDownloadReader(shared, member, extent, buffers)
    },
    wait: (own, waiting) => waitFor(kept.promise, members, members.join(own, size), { ...waiting, received }),
    async end(reason) {
      stop(reason)
      failAll(reason)
      await settled
    },
  }
}

function noRoom(digest: Digest, error: NoRoomError): RegistryError {
  return new RegistryError('UNAVAILABLE', { message: `there is no room for ${digest}: ${error.problem}`, cause: error })
}
