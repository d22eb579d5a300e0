import { apiVersionOf, type Resource, type Subresource, verbsOf } from './resource.ts'

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

/** `GET /api`. */
export function coreVersions(): Discovery {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
}

/**
 * `GET /apis`: plain lists, which every client takes, whatever newer forms it asks for first.
 *
 * @see https://kubernetes.io/docs/concepts/overview/kubernetes-api/#unaggregated-discovery
 */
export function groupList(table: readonly Resource[]): Discovery {
  const names = [...new Set(table.map(({ group }) => group))].filter((group) => group !== '').sort()
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: names.map((name) => groupOf(table, name)) }
}

/** `GET /apis/<group>`; undefined when nothing is in it. */
export function groupDocument(table: readonly Resource[], name: string): Discovery | undefined {
  const isServed = name !== '' && table.some(({ group }) => group === name)
  return isServed ? { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(table, name) } : undefined
}

/** `GET /api/v1` and `GET /apis/<group>/<version>`; undefined when nothing is in it. */
export function resourceList(table: readonly Resource[], group: string, version: string): Discovery | undefined {
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
