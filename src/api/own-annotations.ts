import { policyAnnotationNames } from '../streams/content-policy.ts'
import { deletesAnnotation } from '../streams/delete-policy.ts'
import { homeAnnotation } from '../streams/home-annotation.ts'
import { immutableAnnotation } from '../streams/immutable.ts'
import { contentAnnotation } from './content-state.ts'
import { isJsonObject } from './json.ts'

/** Shown on a tag that a rollback holds, with what it would have moved to since (`candidate`). Read-only: it is state of the server, whatever a client writes. */
export const holdAnnotation = 'weir.dev/hold'

/** Shown on a tag that is not held, with what it would have moved to if it were not immutable. Read-only. */
export const candidateAnnotation = 'weir.dev/candidate'

const domain = 'weir.dev/'
const computed: readonly string[] = [holdAnnotation, candidateAnnotation, contentAnnotation]
const settings: readonly string[] = [...policyAnnotationNames, homeAnnotation, immutableAnnotation, deletesAnnotation]
const known = new Set([...settings, ...computed])

/** Annotations without those that Weir computes, which are never kept as somebody's own. */
export function withoutComputed(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => !computed.includes(name)))
}

/**
 * What there is to tell of annotations in Weir's own domain that it does not know, wherever an object has some: they may be of
 * another version, or spelled wrong. Not more than `most`.
 */
export function unknownAnnotations(object: unknown, most: number): string[] {
  const found: string[] = []
  for (const [path, annotations] of annotationsIn(object)) {
    for (const name of Object.keys(annotations)) {
      if (found.length >= most) return found
      if (name.startsWith(domain) && !known.has(name)) found.push(`${path}: ${sentence(name)}`)
    }
  }
  return found
}

function sentence(name: string): string {
  const shown = name.length > 60 ? `${name.slice(0, 60)}...` : name
  return `Weir knows no annotation ${shown}, and does nothing about it; it knows ${settings.join(', ')}`
}

/** Of the object itself, of the tag that it shows, and of the tags that it has. */
function* annotationsIn(object: unknown): Generator<[path: string, annotations: Record<string, unknown>]> {
  if (!isJsonObject(object)) return
  for (const field of ['metadata', 'spec', 'tag']) yield* annotationsOf(field, object[field])
  const { spec } = object
  if (!isJsonObject(spec) || !Array.isArray(spec.tags)) return
  for (const [i, tag] of spec.tags.entries()) yield* annotationsOf(`spec.tags[${i}]`, tag)
}

function* annotationsOf(field: string, value: unknown): Generator<[string, Record<string, unknown>]> {
  if (isJsonObject(value) && isJsonObject(value.annotations)) yield [`${field}.annotations`, value.annotations]
}
