import { resources } from './api.ts'
import type { Client } from './client.ts'
import { explain } from './explain.ts'
import { ApiError, type CliError, isNotFound } from './failures.ts'
import type { TagName } from './references.ts'
import { tagTarget } from './tag-write.ts'

/** Writes annotations of a tag beside those that it has, of one that is not there none; answers why that failed. */
export async function annotateTag(
  client: Client,
  name: TagName,
  annotations: Readonly<Record<string, string>>,
): Promise<CliError | undefined> {
  if (Object.keys(annotations).length === 0) return undefined
  try {
    const body = { spec: { annotations } }
    const options = { body, contentType: 'application/merge-patch+json' }
    await client.request('PATCH', tagTarget(resources.imageTags, name), options)
    return undefined
  } catch (error) {
    if (isNotFound(error)) return undefined
    if (error instanceof ApiError) return explain(error, client)
    throw error
  }
}
