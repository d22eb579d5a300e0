import { RegistryError } from '../oci/errors.ts'
import { valueAt } from './columns/columns.ts'
import { parseLabelSelector } from './label-selector.ts'
import type { ApiObject } from './resource.ts'

/** Whether a selector selects an object. */
export type Selects = (object: ApiObject) => boolean

/** What the selectors of a request select. */
export interface Selection {
  /** What `fieldSelector` wants to be equal, by field. */
  fields: Record<string, string>
  selects: Selects
}

/** The selection of a request without selectors. */
export const selectsAll: Selects = () => true

/** Longest selector, in UTF-16 units. */
export const maxSelectorLength = 16 * 1024

/** Most requirements of a selector, and most values of one requirement. */
export const maxSelectorTerms = 500

interface FieldTerm {
  field: string
  isEqual: boolean
  value: string
}

/**
 * Reads `labelSelector` and `fieldSelector` of a query.
 *
 * @param fieldNames paths of fields that `fieldSelector` may name
 * @param ownFields those of them that no object is compared with, since a handler selects by them
 * @throws RegistryError BAD_REQUEST
 */
export function parseSelectors(
  query: URLSearchParams,
  fieldNames: readonly string[],
  ownFields: readonly string[] = [],
): Selection {
  const labelSelector = bounded('labelSelector', query.get('labelSelector') ?? '')
  const requirements = parseLabelSelector(labelSelector)
  const all = parseFieldSelector(bounded('fieldSelector', query.get('fieldSelector') ?? ''), fieldNames)
  const fields = equalitiesOf(all)
  const isOwn = ({ field }: FieldTerm): boolean => ownFields.includes(field)
  const refused = all.find((term) => isOwn(term) && !term.isEqual)
  if (refused !== undefined) throw badRequest(`fieldSelector: ${refused.field} is selected by = alone`)
  const terms = all.filter((term) => !isOwn(term))
  if (requirements.length === 0 && terms.length === 0) return { fields, selects: selectsAll }
  const selects: Selects = (object) =>
    terms.every(({ field, isEqual, value }) => (fieldText(object, field) === value) === isEqual) &&
    requirements.every((isMet) => isMet(object.metadata.labels ?? {}))
  return { fields, selects }
}

/** A field as selectors compare it: numbers and booleans as text, what is absent or no scalar as nothing. */
export function fieldText(object: ApiObject, field: string): string {
  const value = valueAt(object, ...field.split('.'))
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

/**
 * Terms `FIELD=VALUE`, `FIELD==VALUE` and `FIELD!=VALUE` between commas; `\\`, `\,` and `\=` stand for themselves in values.
 *
 * @see https://github.com/kubernetes/apimachinery/blob/v0.33.0/pkg/fields/selector.go
 */
function parseFieldSelector(selector: string, fieldNames: readonly string[]): FieldTerm[] {
  const texts = selector.match(/(?:\\[\s\S]|[^\\,]|\\$)+/g) ?? []
  if (texts.length > maxSelectorTerms) throw tooMany('fieldSelector')
  return texts.map((text) => {
    const [, field, operator, value] = /^((?:\\[\s\S]|[^\\=!]|!(?!=))*)(==|=|!=)([\s\S]*)$/.exec(text) ?? []
    if (field === undefined || value === undefined) {
      throw badRequest(`fieldSelector: invalid selector: "${shown(text)}"; a term is FIELD=VALUE or FIELD!=VALUE`)
    }
    if (!fieldNames.includes(field)) {
      throw badRequest(`field label not supported: ${shown(field)}; supported are ${fieldNames.join(', ') || 'none'}`)
    }
    return { field, isEqual: operator !== '!=', value: unescaped(value) }
  })
}

function unescaped(value: string): string {
  const bad = /^(?:\\[\\,=]|[^\\=])*/.exec(value)?.[0].length ?? 0
  if (bad < value.length) {
    throw badRequest(`fieldSelector: invalid value "${shown(value)}": write \\=, \\, and \\\\ for =, comma and \\`)
  }
  return value.replace(/\\([\\,=])/g, '$1')
}

function equalitiesOf(terms: readonly FieldTerm[]): Record<string, string> {
  const fields = new Map<string, string>()
  for (const { field, value } of terms.filter(({ isEqual }) => isEqual)) {
    if ((fields.get(field) ?? value) !== value) throw badRequest(`fieldSelector names ${field} twice`)
    fields.set(field, value)
  }
  return Object.fromEntries(fields)
}

function bounded(name: string, selector: string): string {
  if (selector.length > maxSelectorLength) {
    throw badRequest(`${name} is longer than ${maxSelectorLength} characters; select in the client`)
  }
  return selector
}

function tooMany(name: string): RegistryError {
  return badRequest(`${name} has more than ${maxSelectorTerms} terms; select in the client`)
}

function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text
}

function badRequest(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message })
}
