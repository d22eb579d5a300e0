import { RegistryError } from '../oci/errors.ts'
import type { RequestOptions } from './resource.ts'
import { parseSelectors } from './selectors.ts'

const maxLimit = 10_000

/** Longest `continue`, above that of any name. */
const maxContinueLength = 8 * 1024

/**
 * Reads the query of a request; which state of a list is meant is read by `list.ts`. Parameters that are not known change
 * nothing, as in Kubernetes.
 *
 * @param fieldNames fields that `fieldSelector` may name
 * @param ownFields those of them that a handler selects by
 * @throws RegistryError BAD_REQUEST
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-parameters/common-parameters/
 */
export function parseQuery(
  query: URLSearchParams,
  fieldNames: readonly string[],
  ownFields: readonly string[] = [],
): RequestOptions {
  const limit = parseLimit(query.get('limit'))
  const next = parseContinue(query.get('continue'))
  return {
    ...parseSelectors(query, fieldNames, ownFields),
    dryRun: parseDryRun(query.getAll('dryRun')),
    ...(limit === undefined ? {} : { limit }),
    ...(next === undefined ? {} : { continue: next }),
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

function parseLimit(value: string | null): number | undefined {
  if (value === null || value === '') return undefined
  if (!/^[0-9]{1,19}$/.test(value)) throw badRequest(`limit: "${value.slice(0, 40)}" is not a number`)
  const limit = Number(value)
  return limit === 0 ? undefined : Math.min(limit, maxLimit)
}

function parseContinue(value: string | null): string | undefined {
  if (value === null || value === '') return undefined
  if (value.length > maxContinueLength) throw badRequest('continue: not a token of this list; start the list again')
  return value
}

function badRequest(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message })
}
