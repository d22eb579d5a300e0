import { requirePlain } from '../document.ts'
import { isJsonObject, type JsonObject, ownField } from '../json.ts'
import type { Shape } from '../list-keys.ts'
import { compare, namedFields } from './compare.ts'
import { difference, type FieldSet, noFields, union } from './field-set.ts'
import { ownable } from './ownable.ts'

/** Where `kubectl apply` without `--server-side` keeps what it applied. */
const annotation = 'kubectl.kubernetes.io/last-applied-configuration'

const maxAnnotationBytes = 256 * 1024

/**
 * The fields that `kubectl apply` set in an object before it applied on the server, where they have the value that it gave
 * them.
 */
export function lastAppliedFields(live: JsonObject, apiVersion: string, shape: Shape): FieldSet {
  const lastApplied = parseObject(annotationOf(live))
  if (lastApplied === undefined || lastApplied.apiVersion !== apiVersion) return noFields
  const [was, is] = [ownable(lastApplied), ownable(live)]
  const { changed, removed } = compare(was, is, shape)
  return difference(namedFields(was, shape), union(changed, removed))
}

/** Keeps the annotation, where the object has it, at what was applied last: then both ways to apply can be mixed. */
export function withLastApplied(object: JsonObject, config: JsonObject): JsonObject {
  if (annotationOf(object) === undefined) return object
  const metadata = isJsonObject(object.metadata) ? object.metadata : {}
  const { [annotation]: _, ...others } = isJsonObject(metadata.annotations) ? metadata.annotations : {}
  const text = `${JSON.stringify(withoutAnnotation(config))}\n`
  const fits = Buffer.byteLength(text) < maxAnnotationBytes - Buffer.byteLength(JSON.stringify(others))
  return { ...object, metadata: { ...metadata, annotations: fits ? { ...others, [annotation]: text } : others } }
}

function withoutAnnotation(config: JsonObject): JsonObject {
  if (annotationOf(config) === undefined) return config
  const metadata = isJsonObject(config.metadata) ? config.metadata : {}
  const { [annotation]: _, ...annotations } = isJsonObject(metadata.annotations) ? metadata.annotations : {}
  return { ...config, metadata: { ...metadata, annotations } }
}

function annotationOf({ metadata }: JsonObject): string | undefined {
  const annotations = isJsonObject(metadata) ? metadata.annotations : undefined
  const value = isJsonObject(annotations) ? ownField(annotations, annotation) : undefined
  return typeof value === 'string' ? value : undefined
}

function parseObject(text: string | undefined): JsonObject | undefined {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    requirePlain(value)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}
