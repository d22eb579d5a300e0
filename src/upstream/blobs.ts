import { RegistryError } from '../oci/errors.ts'
import { guardedBody } from './body.ts'
import type { Exchange, Want } from './exchange.ts'
import { connectionFailure, upstreamFailure } from './failure.ts'
import { contentRangeOf, headerOf, lengthOf, strongEtagOf, unsatisfiedSizeOf } from './headers.ts'
import type { OpenAnswer } from './transport.ts'
import type { ByteRange, FetchedBlob } from './upstream.ts'

type WantedBlob = Pick<Want, 'from' | 'reference' | 'isPush' | 'signal'>
type Place = Pick<FetchedBlob, 'size' | 'offset' | 'length'>

/** Opens a blob or a part of it. @throws RegistryError RANGE_INVALID with `detail.size`, or the upstream's failure */
export async function fetchBlob(exchange: Exchange, wanted: WantedBlob, range?: ByteRange): Promise<FetchedBlob> {
  const want: Want = { ...wanted, kind: 'blob', method: 'GET', headers: rangeHeaders(range) }
  const answer = await openBlob(exchange, want)
  if (answer.status === 416) throw unsatisfiable(want, answer)
  const isPart = answer.status === 206 && range !== undefined
  if (answer.status !== 200 && !isPart) throw exchange.unexpected(want, answer)
  const encoding = headerOf(answer.headers, 'content-encoding') ?? 'identity'
  if (encoding !== 'identity') throw invalid(want, answer, 'compressed, which it was not asked for')
  const place = isPart ? placeOf(answer, range) : wholePlace(answer)
  if (place === undefined) throw invalid(want, answer, 'in another range than asked for')
  const broken = (cause: unknown): Error =>
    want.signal?.aborted === true ? (want.signal.reason as Error) : connectionFailure(want.from.host, answer.url, cause)
  const etag = strongEtagOf(answer.headers)
  return { ...place, ...(etag === undefined ? {} : { etag }), body: guardedBody(answer.body, place.length, broken) }
}

function rangeHeaders(range: ByteRange | undefined): Record<string, string> {
  if (range === undefined) return {}
  const { start, end = '', ifRange } = range
  return { range: `bytes=${start}-${end}`, ...(ifRange === undefined ? {} : { 'if-range': ifRange }) }
}

/** Asks for the size of a blob, at the registry by HEAD, and where that does not tell, by a GET of one byte. */
export async function fetchBlobSize(exchange: Exchange, wanted: WantedBlob): Promise<number> {
  const told = await headBlobSize(exchange, wanted)
  if (told !== undefined) return told
  const size = await firstByteSize(exchange, wanted)
  if (size !== undefined) return size
  const { host } = wanted.from
  throw upstreamFailure(host, 'Invalid', `${host} does not tell the size of blob ${wanted.reference}`)
}

/** undefined when the answer does not tell. */
async function headBlobSize(exchange: Exchange, wanted: WantedBlob): Promise<number | undefined> {
  // A signed URL holds for one method: a HEAD that followed the redirect of a GET would be refused there.
  const want: Want = { ...wanted, kind: 'blob', method: 'HEAD', redirects: 'none' }
  const answer = await exchange.open(want).catch((error: unknown) => {
    // Amazon's public registry refuses every HEAD of a blob, and lets whoever it is have it by GET (distribution#4383).
    if (error instanceof RegistryError && isRefusal(error.upstream?.status)) return undefined
    throw error
  })
  if (answer === undefined) return undefined
  answer.discard()
  if (answer.status === 404 || answer.status === 429) throw exchange.unexpected(want, answer)
  return answer.status === 200 ? lengthOf(answer.headers) : undefined
}

function isRefusal(status: number | undefined): boolean {
  return status === 401 || status === 403
}

async function firstByteSize(exchange: Exchange, wanted: WantedBlob): Promise<number | undefined> {
  try {
    const { size, body } = await fetchBlob(exchange, wanted, { start: 0, end: 0 })
    body.close()
    return size
  } catch (error) {
    // An empty blob has no first byte.
    if (error instanceof RegistryError && error.code === 'RANGE_INVALID') return sizeIn(error.detail)
    throw error
  }
}

/** A storage that refuses what the registry sent there has seen its signed URL expire: the registry makes another. */
async function openBlob(exchange: Exchange, want: Want): Promise<OpenAnswer> {
  const answer = await exchange.open(want)
  if (!answer.foreign || (answer.status !== 400 && answer.status !== 403)) return answer
  answer.discard()
  return exchange.open(want)
}

function wholePlace({ headers }: OpenAnswer): Place {
  const size = lengthOf(headers)
  return { size, offset: 0, length: size }
}

function placeOf({ headers }: OpenAnswer, { start, end }: ByteRange): Place | undefined {
  const range = contentRangeOf(headers)
  if (range === undefined || range.first !== start || (end !== undefined && range.last > end)) return undefined
  return { size: range.size, offset: range.first, length: range.last - range.first + 1 }
}

function unsatisfiable({ from: { host }, reference }: Want, answer: OpenAnswer): RegistryError {
  answer.discard()
  const size = unsatisfiedSizeOf(answer.headers)
  const detail = size === undefined ? undefined : { size }
  return new RegistryError('RANGE_INVALID', { message: `${host} has no such range of blob ${reference}`, detail })
}

function invalid({ from: { host }, reference }: Want, answer: OpenAnswer, how: string): RegistryError {
  answer.discard()
  return upstreamFailure(host, 'Invalid', `${answer.url.host} sent blob ${reference} ${how}`)
}

function sizeIn(detail: unknown): number | undefined {
  const isSized = typeof detail === 'object' && detail !== null && 'size' in detail
  return isSized && typeof detail.size === 'number' ? detail.size : undefined
}
