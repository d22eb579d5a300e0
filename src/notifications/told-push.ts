import { canonicalHost, isTag, parseImageReference } from '../oci/reference.ts'

/** A push to a tag, as a registry tells of it. */
export interface ToldPush {
  /** Where it was, as image names have it; none where nothing says so. */
  hosts: readonly string[]
  /** Whether users may know the registry by other names than `hosts`, which are those that a client or a machine gave it. */
  isReachedOtherwise: boolean
  repository: string
  tag: string
}

/** Most pushes that one notification may tell of. */
export const maxPushes = 100

/** What was told, as far as somebody may follow it: a push without a tag, or to what no image is called, is nothing to anybody. */
export function toldPush(told: {
  repository: string
  tag: string | undefined
  hosts?: readonly (string | undefined)[]
  isReachedOtherwise?: boolean
}): ToldPush[] {
  const { repository, tag, hosts = [], isReachedOtherwise = false } = told
  if (tag === undefined || !isTag(tag) || parseImageReference(`localhost/${repository}`)?.repository !== repository)
    return []
  const named = hosts.filter((host) => host !== undefined && isHost(host)).map((host) => canonicalHost(String(host)))
  return [{ hosts: [...new Set(named)], isReachedOtherwise, repository, tag }]
}

/** The registry in a reference or in what is written before a path: `quay.io/org/app`. */
export function hostIn(reference: string | undefined): string | undefined {
  const slash = reference?.indexOf('/') ?? -1
  return slash > 0 ? reference?.slice(0, slash) : undefined
}

/** The registry that an HTTP URL is of. */
export function hostOfUrl(url: unknown): string | undefined {
  if (typeof url !== 'string' || !/^https?:\/\//i.test(url)) return undefined
  return URL.parse(url)?.host
}

function isHost(host: string): boolean {
  return parseImageReference(`${host}/x`)?.host === canonicalHost(host)
}
