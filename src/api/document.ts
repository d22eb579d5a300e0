import { isMap, isScalar, isSeq, parseDocument, type Document as YamlDocument } from 'yaml'
import { RegistryError } from '../oci/errors.ts'
import { duplicateFields } from './duplicate-fields.ts'
import { fieldPath } from './unknown-fields.ts'

/** A value as somebody wrote it. */
export interface Document {
  value: unknown
  /** Paths of fields that stand twice in one object, of which the last counts; the first 100. Looked for when asked. */
  duplicates(): string[]
}

const maxDepth = 100
/** Most fields of one object: more would be slow wherever they are gone through, and nothing that is kept has so many. */
const maxFields = 50_000
const maxTold = 100

/**
 * Parses JSON in UTF-8.
 *
 * @throws RegistryError BAD_REQUEST
 */
export function parseJson(bytes: Uint8Array): Document {
  const text = decodeText(bytes)
  const value = parseJsonText(text)
  requirePlain(value)
  return { value, duplicates: () => duplicateFields(text, maxTold) }
}

/**
 * Parses YAML of one document in UTF-8. It costs a thousand times what JSON does: give it little.
 *
 * @throws RegistryError BAD_REQUEST
 */
export function parseYaml(bytes: Uint8Array): Document {
  const { document, value } = parseYamlText(decodeText(bytes))
  requirePlain(value)
  return { value, duplicates: () => duplicateKeys(document) }
}

/**
 * What answers or stores an object descends into it, and a stack has an end; and text that is no Unicode would be stored
 * as another.
 *
 * @throws RegistryError BAD_REQUEST for a value that is too deep, an object with too many fields, or half a surrogate pair
 */
export function requirePlain(value: unknown): void {
  let level: object[] = []
  const enter = (each: unknown, into: object[]) => {
    if (typeof each === 'string') requireWellFormed(each)
    else if (typeof each === 'object' && each !== null) into.push(each)
  }
  enter(value, level)
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > maxDepth) throw badRequest(`the body is nested deeper than ${maxDepth} levels`)
    const next: object[] = []
    for (const each of level) {
      if (!Array.isArray(each)) requirePlainKeys(Object.keys(each))
      for (const inner of Object.values(each)) enter(inner, next)
    }
    level = next
  }
}

function requirePlainKeys(keys: readonly string[]): void {
  if (keys.length > maxFields) throw badRequest(`an object in the body has more than ${maxFields} fields`)
  for (const key of keys) requireWellFormed(key)
}

function requireWellFormed(text: string): void {
  if (text.isWellFormed()) return
  const shown = JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}...` : text)
  throw badRequest(`the body has text that is not Unicode, a lone surrogate: ${shown}`)
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw badRequest('the body is not UTF-8')
  }
}

function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message quotes the body, which may hold a secret.
    throw badRequest('the body is not JSON')
  }
}

function parseYamlText(text: string): { document: YamlDocument; value: unknown } {
  try {
    // The parser's search for double keys and its quoting of every error take time that grows with the square of the text.
    const document = parseDocument(text, { uniqueKeys: false, prettyErrors: false, logLevel: 'error' })
    if (document.errors.length === 0) return { document, value: document.toJS({ maxAliasCount: 100 }) }
  } catch {
    // Aliases that multiply are an error of the conversion.
  }
  throw badRequest('the body is not YAML of one document')
}

function duplicateKeys(document: YamlDocument): string[] {
  const found: string[] = []
  collect(document.contents, '', found)
  return found.slice(0, maxTold)
}

// An alias is not followed: what it stands for is looked at where it is written.
function collect(node: unknown, path: string, found: string[]): void {
  if (found.length >= maxTold) return
  if (isSeq(node)) for (const [i, item] of node.items.entries()) collect(item, `${path}[${i}]`, found)
  if (!isMap(node)) return
  const keys = new Set<string>()
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : String(key)
    const at = fieldPath(path, name)
    if (keys.has(name)) found.push(at)
    keys.add(name)
    collect(value, at, found)
  }
}

function badRequest(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message })
}
