import type { Client } from './client.ts'
import { CliError } from './failures.ts'
import { nearestNames } from './nearest.ts'

/** A kind of object that the server has. */
export interface KnownResource {
  /** Empty for the core group. */
  group: string
  /** The plural. */
  resource: string
  namespaced: boolean
  subresources: readonly string[]
}

interface Discovered extends KnownResource {
  /** All that it may be called by, in lower case. */
  names: readonly string[]
}

const mediaType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

/**
 * The kind of object that `word` names: a plural, singular, short name or kind, perhaps with its group
 * (`imagestreams.image.openshift.io`); `*` is every one.
 *
 * @param hint what else may have been meant
 * @throws CliError that names what is near when there is none
 */
export async function findResource(client: Client, word: string, hint?: string): Promise<KnownResource> {
  if (word === '*') return { group: '*', resource: '*', namespaced: true, subresources: [] }
  const dot = word.indexOf('.')
  const name = (dot < 0 ? word : word.slice(0, dot)).toLowerCase()
  const group = dot < 0 ? undefined : word.slice(dot + 1)
  const known = [...(await discover(client, '/api')), ...(await discover(client, '/apis'))]
  const found = known.find((each) => each.names.includes(name) && (group === undefined || each.group === group))
  if (found !== undefined) return found
  const near = nearestNames(name, [...new Set(known.map(({ resource }) => resource))])
  throw new CliError(`the server has no resource "${word}"`, {
    hints: [
      ...(near.length === 0 ? [] : [`did you mean ${near.join(' or ')}?`]),
      ...(hint === undefined ? [] : [hint]),
      'kubectl api-resources lists those there are',
    ],
  })
}

/** @see https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery */
async function discover(client: Client, path: string): Promise<Discovered[]> {
  const { code, value } = await client.fetch('GET', path, { accept: mediaType })
  const { items } = (value ?? {}) as { items?: DiscoveredGroup[] }
  if (code !== 200 || !Array.isArray(items)) {
    throw new CliError(`${client.server.url} does not say what it has: it answered GET ${path} with ${code}`)
  }
  return items.flatMap(({ metadata, versions = [] }) =>
    versions.flatMap(({ resources = [] }) => resources.map((each) => readResource(metadata?.name ?? '', each))),
  )
}

interface DiscoveredGroup {
  metadata?: { name?: string }
  versions?: { resources?: DiscoveredResource[] }[]
}

interface DiscoveredResource {
  resource?: string
  singularResource?: string
  shortNames?: string[]
  scope?: string
  responseKind?: { kind?: string }
  subresources?: { subresource?: string }[]
}

function readResource(group: string, each: DiscoveredResource): Discovered {
  const { resource = '', singularResource, shortNames = [], scope, responseKind, subresources = [] } = each
  const names = [resource, singularResource, responseKind?.kind, ...shortNames]
  return {
    group,
    resource,
    namespaced: scope !== 'Cluster',
    subresources: subresources.flatMap(({ subresource }) => subresource ?? []),
    names: names.flatMap((name) => (name === undefined || name === '' ? [] : [name.toLowerCase()])),
  }
}
