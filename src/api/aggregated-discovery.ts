import { parseAccept } from './negotiate.ts'
import { type Resource, type Subresource, verbsOf } from './resource.ts'

/** Discovery in one document for each of `/api` and `/apis`. */

export type DiscoveryVersion = 'v2' | 'v2beta1'

/** The media type of an aggregated document; clients compare it with what they asked for. */
export function discoveryType(version: DiscoveryVersion): string {
  return `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
}

/** The aggregated form that the client listed before any plain one; undefined when there is none. */
export function negotiateDiscovery(accept: string | null): DiscoveryVersion | undefined {
  for (const { type, parameters } of parseAccept(accept)) {
    if (type !== 'application/json' && type !== 'application/*' && type !== '*/*') continue
    const [as, group, version] = ['as', 'g', 'v'].map((name) => parameters.get(name))
    if (as === undefined) return undefined
    const isServed = as === 'APIGroupDiscoveryList' && group === 'apidiscovery.k8s.io'
    if (isServed && (version === 'v2' || version === 'v2beta1')) return version
  }
  return undefined
}

/**
 * An `APIGroupDiscoveryList` of these groups; the core group is the empty name.
 *
 * @see https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
 */
export function aggregatedDiscovery(
  table: readonly Resource[],
  groups: readonly string[],
  version: DiscoveryVersion,
): Record<string, unknown> {
  const items = groups.map((group) => {
    const rows = table.filter((row) => row.group === group)
    const versions = [...new Set(rows.map((row) => row.version))]
    return {
      metadata: { ...(group && { name: group }), creationTimestamp: null },
      versions: versions.map((each) => ({
        version: each,
        resources: rows
          .filter((row) => row.version === each)
          .sort(byResource)
          .map(resourceOf),
        freshness: 'Current',
      })),
    }
  })
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items }
}

function resourceOf(row: Resource): Record<string, unknown> {
  const subresources = Object.entries(row.subresources ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    resource: row.resource,
    responseKind: kindOf(row, row),
    scope: row.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: row.singular,
    verbs: verbsOf(row).sort(),
    ...(row.shortNames === undefined ? {} : { shortNames: row.shortNames }),
    ...(row.categories === undefined ? {} : { categories: row.categories }),
    ...(subresources.length === 0
      ? {}
      : {
          subresources: subresources.map(([subresource, sub]) => ({
            subresource,
            responseKind: kindOf(row, sub),
            verbs: verbsOf(sub).sort(),
          })),
        }),
  }
}

function kindOf(row: Resource, { group = row.group, version = row.version, kind }: Resource | Subresource) {
  return { group, version, kind }
}

function byResource(a: Resource, b: Resource): number {
  return a.resource < b.resource ? -1 : 1
}
