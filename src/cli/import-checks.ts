/** How upstreams are to be looked at, written before anything is imported: what the server refuses moves no tag. */

import type { StreamName } from '../oci/reference.ts'
import { apiVersion, type ImageStream, resources } from './api.ts'
import { type CheckWish, checkAnnotations } from './check-options.ts'
import type { Client } from './client.ts'
import { explain } from './explain.ts'
import { ApiError } from './failures.ts'
import type { Wanted } from './import-plan.ts'
import { tagOf } from './stream-tags.ts'
import { annotateTag } from './tag-annotations.ts'
import { tagTarget, writeTag } from './tag-write.ts'

interface Wish extends CheckWish {
  insecure?: boolean
  reason?: string
}

/**
 * Writes what `wish` says of checks into the tags that follow already what they are to follow; and where it has a tracking policy
 * into every one, since that decides what is imported. The others get it when they were imported: they follow nothing else before.
 * For these the server is asked what it would say.
 *
 * @returns the names of these others
 * @throws CliError when the server refuses it
 */
export async function writeChecks(
  client: Client,
  name: StreamName,
  wanted: readonly Wanted[],
  wish: Wish,
  stream: ImageStream | undefined,
): Promise<ReadonlySet<string>> {
  const annotations = checkAnnotations(wish)
  if (Object.keys(annotations).length === 0) return new Set()
  const later = wanted.filter((each) => !isFollowed(each) && wish.track === undefined)
  const [first] = later
  if (first !== undefined) await requireAccepted(client, name, first, annotations)
  for (const each of wanted) {
    if (later.includes(each)) continue
    if (isFollowed(each)) await requireWritten(annotateTag(client, { ...name, tag: each.tag }, annotations))
    else await writeSource(client, name, each, wish, stream)
  }
  return new Set(later.map(({ tag }) => tag))
}

function isFollowed({ current, from }: Wanted): boolean {
  return current?.from?.kind === 'DockerImage' && current.from.name === from && current.reference !== true
}

async function requireWritten(writing: ReturnType<typeof annotateTag>): Promise<void> {
  const failure = await writing
  if (failure !== undefined) throw failure
}

async function writeSource(
  client: Client,
  name: StreamName,
  { tag, from }: Wanted,
  wish: Wish,
  stream: ImageStream | undefined,
): Promise<void> {
  const source = { from: { kind: 'DockerImage', name: from }, called: from }
  try {
    await writeTag(client, { ...name, tag }, tagOf(stream, tag), source, wish)
  } catch (error) {
    throw error instanceof ApiError ? await explain(error, client) : error
  }
}

/** Nothing is written. Whatever else is the matter the import itself tells. */
async function requireAccepted(
  client: Client,
  name: StreamName,
  { tag, from, current }: Wanted,
  annotations: Readonly<Record<string, string>>,
): Promise<void> {
  const resource = resources.imageTags
  const query = { dryRun: 'All' }
  const named = `${name.stream}:${tag}`
  try {
    if (current !== undefined) {
      const options = { query, body: { spec: { annotations } }, contentType: 'application/merge-patch+json' }
      await client.request('PATCH', tagTarget(resource, { ...name, tag }), options)
      return
    }
    const body = {
      kind: 'ImageTag',
      apiVersion: apiVersion(resource),
      metadata: { name: named, namespace: name.project },
      spec: { name: tag, from: { kind: 'DockerImage', name: from }, annotations },
    }
    await client.request('POST', { resource, project: name.project }, { query, body })
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    if (error.code === 422) throw await explain(error, client)
  }
}
