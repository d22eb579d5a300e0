import { defaultColumns } from './columns/columns.ts'
import type { Form } from './negotiate.ts'
import type { ApiObject, Column, Page } from './resource.ts'

/** What objects are rendered as. */
export interface Rendering {
  form: Form
  type: { kind: string; apiVersion: string }
  /** Default: name and age. */
  columns: readonly Column[] | undefined
  nowMs: number
}

/** A list in two parts, so that its elements can come piece by piece: `{...envelope, [field]: elements}`. */
export interface RenderedList {
  envelope: Record<string, unknown>
  field: 'items' | 'rows'
  elements: object[]
}

/**
 * One object as it is answered, or told to a watcher: then only the first table of a watch need have its columns defined.
 */
export function renderObject(rendering: Rendering, object: ApiObject, { isFirst = true } = {}): object {
  const { form, type } = rendering
  if (form.table !== undefined) {
    const { resourceVersion } = object.metadata
    const table = tableOf(rendering, resourceVersion === undefined ? {} : { resourceVersion })
    return { ...table, columnDefinitions: isFirst ? table.columnDefinitions : null, rows: [rowOf(rendering, object)] }
  }
  return form.metadataOnly === undefined ? { ...type, ...object } : metadataOf(form.metadataOnly, object)
}

/** A page of a list as it is answered. */
export function renderList(rendering: Rendering, page: Page): object {
  const { envelope, field, elements } = listParts(rendering, page)
  return { ...envelope, [field]: elements }
}

/** A page of a list in parts. Its items carry no `kind` of their own, as Kubernetes' do not. */
export function listParts(rendering: Rendering, page: Page): RenderedList {
  const { form, type } = rendering
  const metadata = {
    resourceVersion: page.resourceVersion ?? '',
    ...(page.continue === undefined ? {} : { continue: page.continue }),
  }
  const { metadataOnly: version } = form
  if (form.table !== undefined) {
    const elements = page.items.map((object) => rowOf(rendering, object))
    return { envelope: tableOf(rendering, metadata), field: 'rows', elements }
  }
  if (version !== undefined) {
    const envelope = { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${version}`, metadata }
    return { envelope, field: 'items', elements: page.items.map((object) => metadataOf(version, object)) }
  }
  const envelope = { kind: `${type.kind}List`, apiVersion: type.apiVersion, metadata }
  return { envelope, field: 'items', elements: page.items }
}

function tableOf({ form, columns = defaultColumns }: Rendering, metadata: object): Record<string, unknown> {
  const columnDefinitions = columns.map(({ name, type, format = '', description, priority = 0 }) => ({
    name,
    type,
    format,
    description,
    priority,
  }))
  return { kind: 'Table', apiVersion: `meta.k8s.io/${form.table}`, metadata, columnDefinitions }
}

function rowOf({ form, type, columns = defaultColumns, nowMs }: Rendering, object: ApiObject): object {
  const cells = columns.map((column) => column.value(object, nowMs))
  switch (form.includeObject) {
    case 'None':
      return { cells, object: null }
    case 'Object':
      return { cells, object: { ...type, ...object } }
    case 'Metadata':
      return { cells, object: metadataOf(form.table ?? 'v1', object) }
  }
}

function metadataOf(version: string, { metadata }: ApiObject): object {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata }
}
