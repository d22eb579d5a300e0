import type { Digest } from '../oci/digest.ts'
import type { RegistryError } from '../oci/errors.ts'
import type { ImageReference } from '../oci/reference.ts'
import { createChooser, nothingFits, offerAll, parseTrack, unreadableTrack } from '../streams/tracking.ts'
import type { Upstream, UpstreamRepository } from '../upstream/upstream.ts'

/** What a source answers some of its followers: `isOwn` is a failure of what these want of it, and not of the source. */
export type Answer = { digest: Digest; chosen?: string } | { failure: RegistryError; isOwn?: true }

/** Asks where a tag of the source stands. @throws whatever `signal` aborted with */
export type Resolve = (tag: string) => Promise<Answer>

/**
 * What a repository answers the tags that follow it by these policies: its tags are listed once for all of them, page by page, and of
 * those that are chosen each is resolved once. What is wrong with one policy, or with what it chose, is no matter of the others.
 *
 * @throws RegistryError when the repository can not be listed; whatever `signal` aborted with
 */
export async function chooseForAll(
  asked: Pick<Upstream, 'tagPages'>,
  from: UpstreamRepository,
  tracks: ReadonlySet<string>,
  resolve: Resolve,
  signal: AbortSignal,
): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>()
  const choosers = new Map<string, ReturnType<typeof createChooser>>()
  for (const text of tracks) {
    const track = parseTrack(text)
    if ('problem' in track) answers.set(text, ownFailure(unreadableTrack(from.host, text, track.problem)))
    else choosers.set(text, createChooser(track))
  }
  if (choosers.size === 0) return answers
  const all = [...choosers.values()]
  await asked.tagPages(
    from,
    async (tags) => {
      await offerAll(all, tags, signal)
      return true
    },
    signal,
  )
  const resolved = new Map<string, Answer>()
  for (const [text, chooser] of choosers) {
    const tag = chooser.chosen()
    const answer = tag === undefined ? nothing(from, text) : (resolved.get(tag) ?? asOwn(await resolve(tag), tag))
    if (tag !== undefined) resolved.set(tag, answer)
    answers.set(text, answer)
  }
  return answers
}

function nothing(from: ImageReference, text: string): Answer {
  return ownFailure(nothingFits(from, text))
}

/** A tag that is listed and not there concerns those alone that chose it. */
function asOwn(answer: Answer, chosen: string): Answer {
  if ('digest' in answer) return { ...answer, chosen }
  const { failure } = answer
  return failure.upstream?.reason === 'NotFound' || failure.upstream?.reason === 'Invalid'
    ? ownFailure(failure)
    : answer
}

function ownFailure(failure: RegistryError): Answer {
  return { failure, isOwn: true }
}
