import { formatImageReference, parseImageReference } from '../oci/reference.ts'
import type { Tag } from '../streams/streams.ts'
import { createChooser, nothingFits, offerAll, parseTrack, trackOf, unreadableTrack } from '../streams/tracking.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { asking, type Frame, type ImportImage } from './request.ts'

/**
 * What is imported for a tag: what its source names, or of a tag with a tracking policy (`weir.dev/track`) what that chooses among
 * the tags of the source's repository, whatever tag the source names.
 *
 * @throws RegistryError the upstream's failure; MANIFEST_UNKNOWN (reason NotFound) when no tag fits, INVALID when the policy is none
 */
export type Choose = (frame: Frame, wanted: ImportImage, before: Tag | undefined) => Promise<ImportImage>

export function createChoose(upstream: Pick<Upstream, 'onBehalf'>): Choose {
  return async (frame, wanted, before) => {
    const spec = before?.record.spec
    const text = spec && trackOf({ ...spec, from: { kind: 'DockerImage', name: wanted.from } })
    const reference = parseImageReference(wanted.from)
    if (text === undefined || reference === undefined) return wanted
    const { host, repository } = reference
    const track = parseTrack(text)
    if ('problem' in track) throw unreadableTrack(host, text, track.problem)
    const { request, stream, signal } = frame
    const from = { host, repository, project: request.project, ...(stream && { projectUid: stream.projectUid }) }
    const chooser = createChooser(track)
    const take = async (tags: readonly string[]): Promise<boolean> => {
      await offerAll([chooser], tags, signal)
      return true
    }
    await asking(upstream, frame).tagPages(from, take, signal)
    const tag = chooser.chosen()
    if (tag === undefined) throw nothingFits(reference, text)
    return { ...wanted, chosen: formatImageReference({ host, repository, tag }) }
  }
}
