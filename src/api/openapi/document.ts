import { apiVersionOf, type Resource, verbsOf } from '../resource.ts'
import { componentsOf } from './components.ts'
import { pathsOf, type Served } from './operations.ts'

/** A document of OpenAPI 3.0. @see https://spec.openapis.org/oas/v3.0.3 */
export interface OpenApiDocument {
  openapi: '3.0.0'
  info: { title: string; version: string }
  paths: Record<string, unknown>
  components: unknown
}

/** The document of a group's version, made from the rows that are in it. */
export function documentOf(rows: readonly Resource[]): OpenApiDocument {
  const all = rows.flatMap(servedOf)
  return {
    openapi: '3.0.0',
    info: { title: 'Weir', version: rows[0]?.version ?? '' },
    paths: Object.assign({}, ...all.map((each) => pathsOf(`/${pathOf(each.row)}`, each))),
    components: {
      schemas: componentsOf(all.map(({ kind }) => kind)),
      securitySchemes: {
        BearerToken: { type: 'apiKey', name: 'authorization', in: 'header', description: 'Bearer TOKEN' },
      },
    },
  }
}

/** `api/v1` or `apis/<group>/<version>`, as paths begin and as the index of the documents names them. */
export function pathOf({ group, version }: { group: string; version: string }): string {
  return group === '' ? `api/${version}` : `apis/${apiVersionOf({ group, version })}`
}

function servedOf(row: Resource): Served[] {
  const { group, version } = row
  const kind = { group, version, kind: row.kind, schema: row.schema, isListed: verbsOf(row).includes('list') }
  const own: Served = { row, served: row, subresource: '', kind }
  const subresources = Object.entries(row.subresources ?? {}).map(([subresource, served]): Served => {
    const type = { group: served.group ?? group, version: served.version ?? version, kind: served.kind }
    return { row, served, subresource, kind: { ...type, schema: served.schema, isListed: false } }
  })
  return [own, ...subresources]
}
