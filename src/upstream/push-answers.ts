import { type Digest, digestAlgorithm, parseDigest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { type Exchange, subjectOf, type Want } from './exchange.ts'
import { badDigest } from './failure.ts'
import { headerOf } from './headers.ts'
import type { Answer } from './transport.ts'

/** The one that the spec names, and two that registries are known to answer with. */
const takenStatuses = new Set([201, 200, 204])

/**
 * Reads the answer to the last request of a push.
 *
 * @throws RegistryError when it was not taken; reason BadDigest when something else was
 */
export function checkTaken(exchange: Exchange, want: Want, answer: Answer, digest: Digest): void {
  if (!takenStatuses.has(answer.status)) throw refusal(exchange.unexpected(want, answer))
  const told = toldDigest(answer)
  // Some registries tell the sha256 digest of what came under another.
  if (told === undefined || told === digest || digestAlgorithm(told) !== digestAlgorithm(digest)) return
  throw badDigest(subjectOf(want), told)
}

/** What a registry does not take as it is, it will not take the next time. */
function refusal(error: RegistryError): RegistryError {
  const { message, detail, upstream } = error
  const { reason, status = 0 } = upstream ?? {}
  if (reason !== 'Invalid' || status < 400 || status >= 500) return error
  return new RegistryError('DENIED', { message, detail, ...(upstream && { upstream }) })
}

/** `Docker-Content-Digest`; undefined when it is none. */
export function toldDigest({ headers }: Pick<Answer, 'headers'>): Digest | undefined {
  return parseDigest(headerOf(headers, 'docker-content-digest') ?? '')
}

/**
 * What a question before a push came to; undefined where it was not answered, or refused: whether a push is taken shows in the push.
 *
 * @throws RegistryError when the registry can not be reached, or wants to be left alone
 */
export async function unlessUnsure<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    if (error.code === 'RANGE_INVALID' || unsure.has(error.upstream?.reason ?? '')) return undefined
    throw error
  }
}

const unsure = new Set<string>(['NotFound', 'Unauthorized', 'Forbidden', 'Invalid'])
