/** What is kept of a tag, as records say: the annotations of its project are read, those of its stream and its own are handed in. */
import type { Entry } from '../store/store.ts'
import { type ContentPolicy, contentPolicy } from './content-policy.ts'
import { derivedImmutableBy, type Immutability, immutableBy } from './immutable.ts'
import { projectKey } from './keys.ts'
import { projectOf } from './open-project.ts'
import type { Stream } from './streams.ts'

type Annotations = Readonly<Record<string, string>> | null | undefined
type StreamLevel = Pick<Stream, 'project' | 'annotations'>

/** The policy of a tag with `annotations`, there or to be, of a stream. */
export type PolicyOf = (stream: StreamLevel, annotations: Annotations) => Promise<ContentPolicy>

/** The policies of a stream's tags by their annotations, at one moment of its project. */
export async function tagPolicies(
  get: (key: string) => Promise<Pick<Entry, 'value'> | undefined>,
  defaults: ContentPolicy,
  { project, annotations }: StreamLevel,
): Promise<(annotations: Annotations) => ContentPolicy> {
  const entry = await get(projectKey(project))
  const ofProject = entry && projectOf(entry).annotations
  return (ofTag) => contentPolicy(defaults, ofProject, annotations, ofTag)
}

/** What makes which tags of a stream immutable, by their names and annotations, at one moment of its project. */
export async function immutableTags(
  get: (key: string) => Promise<Pick<Entry, 'value'> | undefined>,
  { project, annotations }: StreamLevel,
): Promise<(tag: string, annotations: Annotations) => Immutability | undefined> {
  const entry = await get(projectKey(project))
  const ofProject = entry && projectOf(entry).annotations
  return (tag, ofTag) => immutableBy(tag, { project: ofProject, stream: annotations, tag: ofTag })
}

/** What makes a tag of a stream immutable that is derived from the digest of an image. */
export async function derivedImmutability(
  get: (key: string) => Promise<Pick<Entry, 'value'> | undefined>,
  { project, annotations }: StreamLevel,
  tag: string,
): Promise<Immutability | undefined> {
  const entry = await get(projectKey(project))
  return derivedImmutableBy(tag, { project: entry && projectOf(entry).annotations, stream: annotations })
}

export function createPolicyOf(
  store: { get(key: string): Promise<Pick<Entry, 'value'> | undefined> },
  defaults: ContentPolicy,
): PolicyOf {
  return async (stream, annotations) => (await tagPolicies((key) => store.get(key), defaults, stream))(annotations)
}
