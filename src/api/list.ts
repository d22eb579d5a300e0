import type { Matched } from './match.ts'
import type { ApiObject, Call, Page } from './resource.ts'

/** Asks the row for a page of a list and narrows it to what `metadata.name` and `metadata.namespace` select. */
export async function listPage(call: Call, { row, served }: Matched): Promise<Page> {
  const { 'metadata.name': name } = call.options.fields
  const isOne = name !== undefined && (call.project !== '' || !row.namespaced)
  // A list that checks rights object by object is not bypassed by asking for one.
  const mayGet = served.admission?.list !== 'handler'
  const page =
    isOne && mayGet && served.handlers.get !== undefined
      ? pageOf(await served.handlers.get({ ...call, name }))
      : await served.handlers.list?.(call)
  const items = (page?.items ?? []).filter(call.options.selects)
  return { ...page, items, resourceVersion: page?.resourceVersion ?? newestVersion(items) }
}

function pageOf(object: ApiObject | undefined): Page {
  return { items: object === undefined ? [] : [object] }
}

function newestVersion(items: readonly ApiObject[]): string {
  return String(items.reduce((newest, { metadata }) => Math.max(newest, Number(metadata.resourceVersion ?? 0)), 0))
}
