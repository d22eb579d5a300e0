import { z } from 'zod'
import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import { isJsonObject, jsonEqual, ownField, setField } from '../json.ts'

/** Most operations of one patch, as in Kubernetes. */
export const maxOperations = 10_000

/** Most bytes that all `copy` operations of a patch add together: each could double the object. */
const maxCopiedBytes = 4 * 1024 * 1024

/** Most values that all operations of a patch may shift, beyond its own. */
const maxSteps = 5_000_000
/** So many are shifted in the time that one is looked at. */
const stepsOfALook = 5

/** Most levels below the object that a patch may reach. */
const maxDepth = 100

const pointer = z.string()
const operationSchema = z.discriminatedUnion('op', [
  z.object({ op: z.literal('add'), path: pointer, value: z.unknown() }),
  z.object({ op: z.literal('remove'), path: pointer }),
  z.object({ op: z.literal('replace'), path: pointer, value: z.unknown() }),
  z.object({ op: z.literal('move'), from: pointer, path: pointer }),
  z.object({ op: z.literal('copy'), from: pointer, path: pointer }),
  z.object({ op: z.literal('test'), path: pointer, value: z.unknown() }),
])

type PatchOperation = z.infer<typeof operationSchema>

/** Where a pointer leads: a place in `parent`, which need not be taken; without `parent` the whole document. */
interface Place {
  parent: object | undefined
  key: string
  depth: number
}

/** The document, which an operation may replace as a whole. */
interface Root {
  root: unknown
}

/** What a patch has cost so far. */
interface Cost {
  copiedBytes: number
  steps: number
}

/**
 * Applies a JSON patch to a copy of `target`: all of its operations or none. Pointers reach only what the document itself
 * has, and time and memory are bounded whatever the operations are.
 *
 * @throws RegistryError BAD_REQUEST for what is no patch, INVALID for an operation that cannot be done, TOO_LARGE
 * @see https://www.rfc-editor.org/rfc/rfc6902
 */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  const operations = parseOperations(patch)
  const document: Root = { root: structuredClone(target) }
  const cost: Cost = { copiedBytes: 0, steps: 0 }
  for (const [i, operation] of operations.entries()) applyOperation(document, operation, `patch[${i}]`, cost)
  return document.root
}

function parseOperations(patch: unknown): PatchOperation[] {
  if (!Array.isArray(patch)) throw badPatch('a JSON patch is a list of operations')
  if (patch.length > maxOperations) {
    throw new RegistryError('TOO_LARGE', {
      message: `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    })
  }
  return patch.map((each: unknown, i) => {
    const parsed = operationSchema.safeParse(each)
    if (!parsed.success) {
      const { path, message } = parsed.error.issues[0] ?? { path: [], message: 'invalid' }
      throw badPatch(`patch[${i}]${path.map((part) => `.${String(part)}`).join('')}: ${message}`)
    }
    return parsed.data
  })
}

function applyOperation(document: Root, operation: PatchOperation, at: string, cost: Cost): void {
  const place = locate(document, operation.path, `${at}.path`)
  switch (operation.op) {
    case 'add':
      add(document, place, structuredClone(operation.value), at, cost)
      break
    case 'remove':
      remove(document, place, at, cost)
      break
    case 'replace':
      read(document, place, `${at}.path`)
      put(document, place, structuredClone(operation.value), at, cost)
      break
    case 'move':
      move(document, operation, at, cost)
      break
    case 'copy': {
      const value = read(document, locate(document, operation.from, `${at}.from`), `${at}.from`)
      cost.copiedBytes += measure(value, cost).bytes
      if (cost.copiedBytes > maxCopiedBytes) throw tooMuch(`${at} copies more than ${maxCopiedBytes} bytes in all`)
      add(document, place, structuredClone(value), at, cost)
      break
    }
    case 'test':
      requireEqual(document, place, operation, at)
      break
  }
}

function move(document: Root, { from, path }: { from: string; path: string }, at: string, cost: Cost): void {
  if (path.startsWith(`${from}/`)) throw cannot(`${at}.from`, from, 'a value cannot be moved into itself')
  const source = locate(document, from, `${at}.from`)
  const value = read(document, source, `${at}.from`)
  if (from === path) return
  remove(document, source, at, cost)
  add(document, locate(document, path, `${at}.path`), value, at, cost)
}

// As in Kubernetes, what is not there is equal to null.
function requireEqual(
  document: Root,
  { parent, key }: Place,
  { value, path }: { value?: unknown; path: string },
  at: string,
): void {
  const found = parent === undefined ? document.root : child(parent, key)
  if (jsonEqual(found ?? null, value)) return
  throw cannot(`${at}.value`, path, 'the test failed: the object has another value there')
}

function locate(document: Root, path: string, at: string): Place {
  if (path === '') return { parent: undefined, key: '', depth: 0 }
  if (!path.startsWith('/') || /~(?![01])/.test(path)) throw cannot(at, path, 'is not a JSON pointer')
  const keys = path.slice(1).split('/', maxDepth + 1)
  if (keys.length > maxDepth) throw cannot(at, path, `leads deeper than ${maxDepth} levels`)
  let value = document.root
  const names = keys.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
  for (const name of names.slice(0, -1)) value = child(value, name)
  if (typeof value !== 'object' || value === null) throw cannot(at, path, 'nothing is there')
  return { parent: value, key: names.at(-1) ?? '', depth: names.length }
}

function child(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return value[indexOf(name, value.length - 1) ?? -1]
  return isJsonObject(value) ? ownField(value, name) : undefined
}

function indexOf(name: string, most: number): number | undefined {
  return /^(?:0|[1-9]\d{0,8})$/.test(name) && Number(name) <= most ? Number(name) : undefined
}

function read(document: Root, { parent, key }: Place, at: string): unknown {
  const value = parent === undefined ? document.root : child(parent, key)
  if (value === undefined) throw cannot(at, key, 'nothing is there')
  return value
}

function add(document: Root, place: Place, value: unknown, at: string, cost: Cost): void {
  const { parent, key } = place
  if (!Array.isArray(parent)) {
    put(document, place, value, at, cost)
    return
  }
  const index = key === '-' ? parent.length : indexOf(key, parent.length)
  if (index === undefined) throw cannot(`${at}.path`, key, `is not an index of a list of ${parent.length} items`)
  requireDepth(place, value, at, cost)
  spend(cost, parent.length - index)
  parent.splice(index, 0, value)
}

/** Sets a field of an object, an item that is there, or the whole document. */
function put(document: Root, place: Place, value: unknown, at: string, cost: Cost): void {
  requireDepth(place, value, at, cost)
  const { parent, key } = place
  if (parent === undefined) document.root = value
  else if (Array.isArray(parent)) parent[Number(key)] = value
  else if (isJsonObject(parent)) setField(parent, key, value)
}

function remove(document: Root, place: Place, at: string, cost: Cost): void {
  const { parent, key } = place
  read(document, place, `${at}.path`)
  if (parent === undefined) throw cannot(`${at}.path`, '', 'the whole object cannot be removed')
  if (isJsonObject(parent)) {
    delete parent[key]
  } else if (Array.isArray(parent)) {
    spend(cost, parent.length - Number(key))
    parent.splice(Number(key), 1)
  }
}

// What is too deep would overflow the stack of whoever descends into it later.
function requireDepth({ depth }: Place, value: unknown, at: string, cost: Cost): void {
  if (depth + measure(value, cost).depth > maxDepth) {
    throw cannot(`${at}.path`, '', `the object would be nested deeper than ${maxDepth} levels`)
  }
}

function measure(value: unknown, cost: Cost): { bytes: number; depth: number } {
  let bytes = 0
  let depth = 0
  for (let level = [value]; level.length > 0; depth += 1) {
    spend(cost, stepsOfALook * level.length)
    const next: unknown[] = []
    for (const each of level) {
      if (typeof each === 'string') bytes += each.length
      else if (Array.isArray(each)) for (const item of each) next.push(item)
      else if (isJsonObject(each)) {
        for (const [name, field] of Object.entries(each)) {
          bytes += name.length
          next.push(field)
        }
      }
      bytes += 4
    }
    level = next
  }
  return { bytes, depth: depth - 1 }
}

function spend(cost: Cost, steps: number): void {
  cost.steps += steps
  if (cost.steps > maxSteps) throw tooMuch('its operations move or copy too much; send fewer, or replace the object')
}

function badPatch(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message: `error decoding patch: ${message}` })
}

function tooMuch(message: string): RegistryError {
  return new RegistryError('TOO_LARGE', { message: `the patch is too large: ${message}` })
}

function cannot(field: string, value: string, message: string): RegistryError {
  const shown = JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}...` : value)
  const cause: FieldCause = { field, reason: 'FieldValueInvalid', message: `Invalid value: ${shown}: ${message}` }
  return new RegistryError('INVALID', {
    message: `the patch cannot be applied: ${field}: ${shown}: ${message}`,
    causes: [cause],
  })
}
