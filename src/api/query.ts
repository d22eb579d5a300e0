import { RegistryError } from '../oci/errors.ts'
import type { RequestOptions } from './resource.ts'

const maxLimit = 10_000

/**
 * Reads the query of a request. What would change the answer and is not served is refused by name: a selector that is
 * silently ignored shows, or deletes, the wrong objects.
 *
 * @param fieldNames fields that `fieldSelector` may name
 * @throws RegistryError BAD_REQUEST
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-parameters/common-parameters/
 */
export function parseQuery(query: URLSearchParams, fieldNames: readonly string[]): RequestOptions {
  refuseUnserved(query)
  const limit = parseLimit(query.get('limit'))
  const next = query.get('continue')
  return {
    fields: parseFieldSelector(query.get('fieldSelector') ?? '', fieldNames),
    selects: () => true,
    dryRun: parseDryRun(query.getAll('dryRun')),
    ...(limit === undefined ? {} : { limit }),
    ...(next ? { continue: next } : {}),
  }
}

/** @throws RegistryError BAD_REQUEST for a value other than `All` */
export function parseDryRun(values: readonly string[]): boolean {
  const wanted = values.filter((value) => value !== '')
  const unknown = wanted.find((value) => value !== 'All')
  if (unknown !== undefined) throw badRequest(`dryRun: Unsupported value: "${unknown}": supported values: "All"`)
  return wanted.length > 0
}

/** Whether the client asks to follow changes. */
export function isWatch(query: URLSearchParams): boolean {
  const value = query.get('watch')
  return value !== null && !['0', 'false', 'f'].includes(value.toLowerCase())
}

function refuseUnserved(query: URLSearchParams): void {
  if (query.get('labelSelector')) {
    throw badRequest('labelSelector is not served yet; leave it out and select in the client')
  }
  const match = query.get('resourceVersionMatch')
  if (match === 'Exact') {
    throw badRequest('resourceVersionMatch=Exact is not served: a list is always the newest')
  }
}

function parseLimit(value: string | null): number | undefined {
  if (value === null || value === '') return undefined
  if (!/^[0-9]{1,9}$/.test(value)) throw badRequest(`limit: "${value.slice(0, 40)}" is not a number`)
  const limit = Number(value)
  return limit === 0 ? undefined : Math.min(limit, maxLimit)
}

function parseFieldSelector(selector: string, fieldNames: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const term of selector.split(',').filter((part) => part !== '')) {
    const [, field, value] = /^([^=!]+)==?([^=]*)$/.exec(term) ?? []
    if (field === undefined || value === undefined) {
      throw badRequest(`fieldSelector: "${term}" is not of the form FIELD=VALUE, the only one that is served`)
    }
    if (!fieldNames.includes(field)) {
      throw badRequest(`field label not supported: ${field}; supported are ${fieldNames.join(', ')}`)
    }
    if (Object.hasOwn(fields, field) && fields[field] !== value) {
      throw badRequest(`fieldSelector names ${field} twice`)
    }
    fields[field] = value
  }
  return fields
}

function badRequest(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message })
}
