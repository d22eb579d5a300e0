import { createHash } from 'node:crypto'
import {
  aggregatedDiscovery,
  type DiscoveryVersion,
  discoveryType,
  negotiateDiscovery,
} from './aggregated-discovery.ts'
import type { Answer } from './answer.ts'
import { methodNotAllowed, noSuchResource } from './match.ts'
import { apiVersionOf, type Resource, type Subresource, verbsOf } from './resource.ts'
import type { Target } from './target.ts'

type DiscoveryTarget = Exclude<Target, { type: 'object' }>

/** An `APIResource` of a group's version. */
interface ApiResource {
  name: string
  singularName: string
  namespaced: boolean
  kind: string
  group?: string
  version?: string
  verbs: string[]
  shortNames?: readonly string[]
  categories?: readonly string[]
}

type Discovery = Record<string, unknown>

/** All groups in one document, and what tells it from another. */
interface Whole {
  body: Discovery
  etag: string
}

/** Creates the function that tells what is served, to everyone, in the form that the client lists first. */
export function createDiscovery(table: readonly Resource[]): (request: Request, target?: DiscoveryTarget) => Answer {
  const wholes = new Map<string, Whole>()

  /** `GET /api` and `GET /apis` in a newer form, which clients ask for often and the table alone decides. */
  function wholeOf(type: 'versions' | 'groups', version: DiscoveryVersion): Whole {
    const key = `${type} ${version}`
    const found = wholes.get(key)
    if (found !== undefined) return found
    const body = aggregatedDiscovery(table, type === 'versions' ? [''] : groupNames(table), version)
    const whole = { body, etag: `"${createHash('sha256').update(JSON.stringify(body)).digest('hex')}"` }
    wholes.set(key, whole)
    return whole
  }

  return ({ method, headers }, target) => {
    const document = target && documentOf(table, target)
    if (document === undefined) throw noSuchResource()
    if (method !== 'GET' && method !== 'HEAD') throw methodNotAllowed({ resource: 'discovery' }, method)
    const vary = { vary: 'Accept' }
    if (target?.type !== 'versions' && target?.type !== 'groups') return { status: 200, body: document }
    const version = negotiateDiscovery(headers.get('accept'))
    if (version === undefined) return { status: 200, body: document, headers: vary }
    const { body, etag } = wholeOf(target.type, version)
    const cached = { ...vary, etag, 'cache-control': 'public' }
    if (headers.get('if-none-match') === etag) return new Response(null, { status: 304, headers: cached })
    return { status: 200, body, headers: { ...cached, 'content-type': discoveryType(version) } }
  }
}

function documentOf(table: readonly Resource[], target: DiscoveryTarget): Discovery | undefined {
  switch (target.type) {
    case 'versions':
      return coreVersions()
    case 'groups':
      return groupList(table)
    case 'group':
      return groupDocument(table, target.group)
    case 'resources':
      return resourceList(table, target.group, target.version)
  }
}

/** `GET /api`. */
function coreVersions(): Discovery {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
}

/**
 * `GET /apis` for clients that ask for no newer form.
 *
 * @see https://kubernetes.io/docs/concepts/overview/kubernetes-api/#unaggregated-discovery
 */
function groupList(table: readonly Resource[]): Discovery {
  const groups = groupNames(table).map((name) => groupOf(table, name))
  return { kind: 'APIGroupList', apiVersion: 'v1', groups }
}

function groupNames(table: readonly Resource[]): string[] {
  return [...new Set(table.map(({ group }) => group))].filter((group) => group !== '').sort()
}

/** `GET /apis/<group>`; undefined when nothing is in it. */
function groupDocument(table: readonly Resource[], name: string): Discovery | undefined {
  const isServed = name !== '' && table.some(({ group }) => group === name)
  return isServed ? { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(table, name) } : undefined
}

/** `GET /api/v1` and `GET /apis/<group>/<version>`; undefined when nothing is in it. */
function resourceList(table: readonly Resource[], group: string, version: string): Discovery | undefined {
  const rows = table.filter((row) => row.group === group && row.version === version)
  if (rows.length === 0) return undefined
  const resources = rows.flatMap(resourcesOf).sort((a, b) => (a.name < b.name ? -1 : 1))
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf({ group, version }), resources }
}

function groupOf(table: readonly Resource[], name: string): Discovery {
  const versions = [...new Set(table.filter(({ group }) => group === name).map(({ version }) => version))]
  const told = versions.map((version) => ({ groupVersion: apiVersionOf({ group: name, version }), version }))
  return { name, versions: told, preferredVersion: told[0] }
}

function resourcesOf(row: Resource): ApiResource[] {
  const own: ApiResource = {
    name: row.resource,
    singularName: row.singular,
    namespaced: row.namespaced,
    kind: row.kind,
    verbs: verbsOf(row).sort(),
    ...(row.shortNames === undefined ? {} : { shortNames: row.shortNames }),
    ...(row.categories === undefined ? {} : { categories: row.categories }),
  }
  const subresources = Object.entries(row.subresources ?? {}).map(([name, sub]) => subresourceOf(row, name, sub))
  return [own, ...subresources]
}

function subresourceOf(row: Resource, name: string, sub: Subresource): ApiResource {
  return {
    name: `${row.resource}/${name}`,
    singularName: '',
    namespaced: row.namespaced,
    kind: sub.kind,
    verbs: verbsOf(sub).sort(),
    ...(sub.group === undefined ? {} : { group: sub.group }),
    ...(sub.version === undefined ? {} : { version: sub.version }),
  }
}
