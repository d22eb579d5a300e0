import { type ImageStream, resources } from './api.ts'
import type { Client } from './client.ts'
import { ApiError, CliError, unlessForbidden } from './failures.ts'
import { formatStreamReference, type TagName } from './references.ts'
import { followersIn, type StreamTag, tagsOf } from './stream-tags.ts'
import type { VerbContext } from './verbs.ts'

/** The tags of the same stream that follow `name`, directly or through others; none for who may not read them. */
export async function readFollowers(client: Client, name: TagName): Promise<StreamTag[]> {
  const target = { resource: resources.imageStreams, project: name.project, name: name.stream }
  const stream = await unlessForbidden(client.find<ImageStream>(target), undefined)
  return stream === undefined ? [] : followersIn(tagsOf(stream))(name.tag)
}

/** Tells which tags moved to `image` with the tag that they follow, and which stay because they are held. */
export async function noteFollowers(
  { note }: VerbContext,
  client: Client,
  name: TagName,
  image: string,
): Promise<void> {
  try {
    const followers = await readFollowers(client, name)
    const called = (tags: readonly StreamTag[]) => tags.map(formatStreamReference).join(', ')
    const moved = followers.filter((follower) => follower.hold === undefined && follower.image === image)
    const held = followers.filter((follower) => follower.hold !== undefined && follower.image !== image)
    if (moved.length > 0) note(`note: moved along: ${called(moved)}`)
    if (held.length > 0) note(`note: held, and did not move along: ${called(held)}`)
  } catch (error) {
    // The tag itself is where it was wanted.
    if (!(error instanceof ApiError || error instanceof CliError)) throw error
    note(`note: which tags moved along could not be read: ${error.message}`)
  }
}
