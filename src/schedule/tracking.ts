import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { ImageReference } from '../oci/reference.ts'
import type { ScheduledRecord } from '../streams/records.ts'
import { createTagWindow, type TagWindow } from '../streams/tag-window.ts'
import { createChooser, nothingFits, offerAll, parseTrack, type Track, unreadableTrack } from '../streams/tracking.ts'
import type { Upstream, UpstreamRepository } from '../upstream/upstream.ts'

/**
 * What a source answers some of its followers: where it points; or of a repository the tags that a stream wants, and how many more
 * of them there are. `isOwn` is a failure of what these want of it, and not of the source.
 */
export type Answer =
  | { digest: Digest; chosen?: string }
  | { tags: readonly string[]; beyond: number }
  | { failure: RegistryError; isOwn?: true }

/** Asks where a tag of the source stands. @throws whatever `signal` aborted with */
export type Resolve = (tag: string) => Promise<Answer>

/** What one follower wants of a repository: the best tag by a policy, or all that it means. */
export type Wanted = Pick<ScheduledRecord, 'track' | 'all'>

/** Most that one project wants of a repository, each in another way: every tag of it is held against each of them. */
const mostOfProject = 100

/** Names what is wanted, alike for all that want the same. */
function wantedKey({ track, all }: Wanted): string {
  return `${all?.most ?? ''} ${track ?? ''}`
}

/** Followers of a repository by the keys of what they want of it; `tooMany` are those by whom their projects want too much of it. */
export function groupByWanted<F extends { project: string; record: Wanted }>(
  followers: readonly F[],
): { groups: Map<string, F[]>; tooMany: F[] } {
  const groups = new Map<string, F[]>()
  const ofProject = new Map<string, Set<string>>()
  for (const follower of followers) {
    const key = wantedKey(follower.record)
    const keys = ofProject.get(follower.project) ?? new Set()
    ofProject.set(follower.project, keys)
    if (keys.size >= mostOfProject) continue
    keys.add(key)
    groups.set(key, [])
  }
  const tooMany: F[] = []
  for (const follower of followers) (groups.get(wantedKey(follower.record)) ?? tooMany).push(follower)
  return { groups, tooMany }
}

/** What followers are told by whom their project wants too much. */
export function tooManyWanted({ host, repository }: ImageReference): Answer {
  const message = `${host}/${repository} is followed in more than ${mostOfProject} ways by this project (weir.dev/track, weir.dev/max-tags): let more tags and image streams have the same`
  return ownFailure(new RegistryError('INVALID', { message, upstream: { host, reason: 'Invalid' } }))
}

/**
 * What a repository answers its followers, by the keys of what they want: its tags are listed once for all of them, page by page, and
 * of those that are chosen each is resolved once. What is wrong with one policy, or with what it chose, is no matter of the others.
 *
 * @throws RegistryError when the repository can not be listed; whatever `signal` aborted with
 */
export async function askRepository(
  asked: Pick<Upstream, 'tagPages'>,
  from: UpstreamRepository,
  wanted: readonly Wanted[],
  resolve: Resolve,
  signal: AbortSignal,
): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>()
  const choosers = new Map<string, { text: string; chooser: ReturnType<typeof createChooser> }>()
  const windows = new Map<string, { text: string | undefined; window: TagWindow }>()
  for (const one of wanted) {
    const [key, { track: text, all }] = [wantedKey(one), one]
    const track = text === undefined ? undefined : parseTrack(text)
    if (track !== undefined && 'problem' in track) {
      answers.set(key, ownFailure(unreadableTrack(from.host, text ?? '', track.problem)))
    } else if (all !== undefined) windows.set(key, { text, window: createTagWindow(all.most, track) })
    else choosers.set(key, { text: text ?? '', chooser: chooserOf(track) })
  }
  const all = [...[...choosers.values()].map(({ chooser }) => chooser), ...[...windows.values()].map((w) => w.window)]
  if (all.length === 0) return answers
  const take = async (tags: readonly string[]): Promise<boolean> => {
    await offerAll(all, tags, signal)
    return true
  }
  await asked.tagPages(from, take, signal)
  for (const [key, { text, window }] of windows) {
    const [tags, beyond] = [window.tags(), window.beyond()]
    answers.set(key, tags.length === 0 ? ownFailure(noTags(from, text)) : { tags, beyond })
  }
  const resolved = new Map<string, Answer>()
  for (const [key, { text, chooser }] of choosers) {
    const tag = chooser.chosen()
    const known = tag === undefined ? ownFailure(nothingFits(from, text)) : resolved.get(tag)
    const answer = known ?? asOwn(await resolve(tag ?? ''), tag ?? '')
    if (tag !== undefined) resolved.set(tag, answer)
    answers.set(key, answer)
  }
  return answers
}

function chooserOf(track: Track | undefined): ReturnType<typeof createChooser> {
  if (track === undefined) throw new TypeError('what follows one tag of a repository has a policy')
  return createChooser(track)
}

function noTags(from: ImageReference, text: string | undefined): RegistryError {
  if (text !== undefined) return nothingFits(from, text)
  const message = `${from.host}/${from.repository} lists no tags`
  return new RegistryError('MANIFEST_UNKNOWN', { message, upstream: { host: from.host, reason: 'NotFound' } })
}

/** A tag that is listed and not there concerns those alone that chose it. */
function asOwn(answer: Answer, chosen: string): Answer {
  if ('digest' in answer) return { ...answer, chosen }
  if (!('failure' in answer)) return answer
  const { failure } = answer
  return failure.upstream?.reason === 'NotFound' || failure.upstream?.reason === 'Invalid'
    ? ownFailure(failure)
    : answer
}

function ownFailure(failure: RegistryError): Answer {
  return { failure, isOwn: true }
}
