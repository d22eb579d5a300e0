import { type ErrorCode, RegistryError } from '../oci/errors.ts'
import type { Link, UpstreamLocation } from './content.ts'

/** The locations of a link that are upstream, in order. */
export function upstreamsOf({ locations, askedFor }: Pick<Link, 'locations' | 'askedFor'>): UpstreamLocation[] {
  const upstreams = locations.filter((location) => location.kind === 'upstream')
  return askedFor === undefined ? upstreams : upstreams.map((location) => ({ ...location, askedFor }))
}

/**
 * Asks the upstream locations of a link in order until one answers.
 *
 * @throws RegistryError `unknown` when no location has it, or the failure of one that may
 */
export async function firstAnswer<T>(
  link: Link,
  unknown: ErrorCode,
  ask: (location: UpstreamLocation) => Promise<T>,
): Promise<T> {
  const failures: unknown[] = []
  for (const location of upstreamsOf(link)) {
    try {
      return await ask(location)
    } catch (error) {
      failures.push(error)
    }
  }
  throw mostTelling(failures, unknown, link)
}

/** Which failure to tell of, when all locations failed: "not there" only when every one said so. */
export function mostTelling(
  failures: readonly unknown[],
  unknown: ErrorCode,
  { digest }: Pick<Link, 'digest'>,
): unknown {
  const unsure = failures.find((error) => !(error instanceof RegistryError && error.status === 404))
  return unsure ?? failures[0] ?? new RegistryError(unknown, { detail: { digest } })
}

/** The error for a location, if that is known, whose blob is not the one that the link promises. */
export function wrongBytes(location: UpstreamLocation | undefined, problem: string): RegistryError {
  const host = location?.host ?? 'an upstream'
  return new RegistryError('UNAVAILABLE', {
    message: `${host} has a blob that ${problem}`,
    upstream: { host, reason: 'BadDigest' },
  })
}

/** Whether an error is one of {@link wrongBytes}. */
export function isWrongBytes(error: unknown): boolean {
  return error instanceof RegistryError && error.upstream?.reason === 'BadDigest'
}
