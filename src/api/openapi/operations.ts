import type { Resource, Subresource, Verb } from '../resource.ts'
import { verbsOf } from '../resource.ts'
import {
  componentName,
  type DocumentKind,
  deleteOptionsName,
  listName,
  patchName,
  reference,
  type Schema,
  statusName,
  typeOf,
} from './components.ts'

/** What a path serves: an object or a collection of a row or of a subresource. */
export interface Served {
  row: Resource
  served: Resource | Subresource
  /** Of a subresource; else empty. */
  subresource: string
  kind: DocumentKind
}

type ParameterType = 'string' | 'integer' | 'boolean'

const query = (name: string, type: ParameterType, description: string): Schema => ({
  name,
  in: 'query',
  description,
  schema: { type, uniqueItems: true },
})

const path = (name: string, description: string): Schema => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string', uniqueItems: true },
})

const name = path('name', 'Name of the object.')
const namespace = path('namespace', 'The project.')

const dryRun = query('dryRun', 'string', '`All`: everything is checked and nothing is written.')
const writeParameters = [
  dryRun,
  query('fieldManager', 'string', 'Names who writes.'),
  query(
    'fieldValidation',
    'string',
    'What becomes of fields that are unknown or given twice: Strict (refused), Warn (told in headers) or Ignore. Default Warn.',
  ),
]
const force = query('force', 'boolean', 'Whether an apply takes fields over that others own.')

const selectors = [
  query('labelSelector', 'string', 'Selects objects by their labels.'),
  query('fieldSelector', 'string', 'Selects objects by some of their fields.'),
]
const listParameters = [
  ...selectors,
  query('limit', 'integer', 'Most objects of a page.'),
  query('continue', 'string', 'Where the page begins: `metadata.continue` of the one before.'),
  query(
    'resourceVersion',
    'string',
    'The revision that the answer must not be older than, or that a watch goes on from.',
  ),
  query('resourceVersionMatch', 'string', 'NotOlderThan: what resourceVersion means.'),
]
const watchParameters = [
  query('watch', 'boolean', 'Whether to follow the changes, each as an event.'),
  query('allowWatchBookmarks', 'boolean', 'Whether a watch is also told how far it is.'),
  query('timeoutSeconds', 'integer', 'Seconds until a watch ends.'),
]

const patchTypes = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
]

/** The paths of a row and its subresources under `prefix`, `/apis/<group>/<version>`. */
export function pathsOf(prefix: string, { row, served, subresource, kind }: Served): Record<string, Schema> {
  const verbs = new Set(verbsOf(served))
  const collection = `${prefix}${row.namespaced ? '/namespaces/{namespace}' : ''}/${row.resource}`
  const operation = operationsOf({ row, served, subresource, kind })
  const scope = row.namespaced ? [namespace] : []
  const createOn = (isObject: boolean) => (isObject === (subresource !== '') ? { post: operation('create') } : {})
  const paths: [string, Schema][] = []
  if (subresource === '') {
    const item = { get: operation('list'), ...createOn(false), delete: operation('deletecollection') }
    paths.push([collection, { ...item, ...parameters(scope) }])
    if (row.namespaced) paths.push([`${prefix}/${row.resource}`, { get: operation('list', 'ForAllNamespaces') }])
  }
  const item = {
    get: operation('get'),
    ...createOn(true),
    put: operation('update'),
    patch: operation('patch') ?? (verbs.has('create') ? unservedPatch(operation('create')) : undefined),
    delete: operation('delete'),
  }
  const end = subresource === '' ? '' : `/${subresource}`
  paths.push([`${collection}/{name}${end}`, { ...item, ...parameters([...scope, name]) }])
  return Object.fromEntries(paths.filter(([, each]) => Object.entries(each).some(isOperation)))
}

function isOperation([method, operation]: [string, unknown]): boolean {
  return method !== 'parameters' && operation !== undefined
}

function parameters(each: readonly Schema[]): { parameters?: readonly Schema[] } {
  return each.length === 0 ? {} : { parameters: each }
}

/** kubectl asks the PATCH operation of a kind, served or not, whether the server validates the fields of new objects. */
function unservedPatch(create: Schema | undefined): Schema {
  return {
    ...create,
    description: 'Not served: the kind can only be created. `fieldValidation` is served where it is.',
    operationId: String(create?.operationId).replace('create', 'patch'),
    'x-kubernetes-action': 'patch',
    requestBody: undefined,
    deprecated: true,
    responses: { '405': response(reference(statusName), 'Method Not Allowed') },
  }
}

function operationsOf({ row, served, subresource, kind }: Served) {
  const verbs = new Set(verbsOf(served))
  const group = pascal(row.group === '' ? 'core' : row.group.replace(/\.k8s\.io$/, ''))
  const object = reference(componentName(kind))
  const isWatched = verbs.has('watch')
  return (verb: Verb, suffix = ''): Schema | undefined => {
    if (!verbs.has(verb)) return undefined
    const scope = row.namespaced && suffix === '' ? 'Namespaced' : ''
    return {
      description: descriptions[verb](kind.kind),
      operationId: `${operationVerbs[verb]}${group}${pascal(row.version)}${scope}${row.kind}${pascal(subresource)}${suffix}`,
      tags: [`${group.charAt(0).toLowerCase()}${group.slice(1)}_${row.version}`],
      ...contentsOf(verb, object, reference(verb === 'list' ? listName(kind) : componentName(kind)), isWatched),
      'x-kubernetes-action': actions[verb],
      'x-kubernetes-group-version-kind': typeOf(kind),
    }
  }
}

/** Parameters, body and answers. */
function contentsOf(verb: Verb, object: Schema, answer: Schema, isWatched: boolean): Schema {
  const answers = { '200': response(answer), '401': { description: 'Unauthorized' } }
  const created = { ...answers, '201': response(object, 'Created') }
  const sent = { content: content(['application/json', 'application/yaml'], object), required: true }
  const options = { content: content(['application/json'], reference(deleteOptionsName)) }
  switch (verb) {
    case 'list':
      return { parameters: [...listParameters, ...(isWatched ? watchParameters : [])], responses: answers }
    case 'create':
    case 'update':
      return { parameters: writeParameters, requestBody: sent, responses: created }
    case 'patch': {
      const requestBody = { content: content(patchTypes, reference(patchName)), required: true }
      return { parameters: [...writeParameters, force], requestBody, responses: created }
    }
    case 'delete':
    case 'deletecollection': {
      const selected = verb === 'delete' ? [] : selectors
      const responses = { ...answers, '200': response(reference(statusName)) }
      return { parameters: [dryRun, ...selected], requestBody: options, responses }
    }
    default:
      return { responses: answers }
  }
}

function response(schema: Schema, description = 'OK'): Schema {
  return { description, content: content(['application/json'], schema) }
}

function content(types: readonly string[], schema: Schema): Schema {
  return Object.fromEntries(types.map((type) => [type, { schema }]))
}

function pascal(text: string): string {
  return text
    .split(/[^A-Za-z0-9]/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('')
}

const descriptions: Record<Verb, (kind: string) => string> = {
  get: (kind) => `Reads one ${kind}.`,
  list: (kind) => `Lists or watches objects of kind ${kind}.`,
  watch: (kind) => `Watches objects of kind ${kind}.`,
  create: (kind) => `Creates one ${kind}.`,
  update: (kind) => `Replaces one ${kind}.`,
  patch: (kind) => `Changes parts of one ${kind}.`,
  delete: (kind) => `Deletes one ${kind}.`,
  deletecollection: (kind) => `Deletes the objects of kind ${kind} that are selected.`,
}

const operationVerbs: Record<Verb, string> = {
  get: 'read',
  list: 'list',
  watch: 'watch',
  create: 'create',
  update: 'replace',
  patch: 'patch',
  delete: 'delete',
  deletecollection: 'deleteCollection',
}

const actions: Record<Verb, string> = {
  get: 'get',
  list: 'list',
  watch: 'watch',
  create: 'post',
  update: 'put',
  patch: 'patch',
  delete: 'delete',
  deletecollection: 'deletecollection',
}
