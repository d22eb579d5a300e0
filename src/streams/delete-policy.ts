/** Whether anything of a stream may be deleted by a request, as the annotations of project and stream say. */
import { type ErrorSubject, type FieldCause, RegistryError } from '../oci/errors.ts'
import type { Entry } from '../store/store.ts'
import { projectKey } from './keys.ts'
import { projectOf } from './open-project.ts'
import type { Stream } from './streams.ts'

/** On a project or a stream: `denied` or `allowed`; the stream's counts before the project's. Default: allowed. */
export const deletesAnnotation = 'weir.dev/deletes'

const values: readonly string[] = ['denied', 'allowed']

type Annotations = Readonly<Record<string, string>> | null | undefined

interface ReadStore {
  get(key: string): Promise<Pick<Entry, 'value'> | undefined>
}
type StreamLevel = Pick<Stream, 'project' | 'stream' | 'annotations'>

/**
 * Refuses a deletion where the project or the stream says no, as `/v2/` does.
 *
 * @throws RegistryError UNSUPPORTED
 */
export async function requireDeletable(store: ReadStore, stream: StreamLevel): Promise<void> {
  const message = await denialOf(store, stream)
  if (message !== undefined) throw new RegistryError('UNSUPPORTED', { message })
}

/**
 * As {@link requireDeletable}, in the words of the API, of the stream or of one of its tags.
 *
 * @throws RegistryError FORBIDDEN
 */
export async function requireNotDenied(store: ReadStore, stream: StreamLevel, subject: ErrorSubject): Promise<void> {
  const denial = await denialOf(store, stream)
  if (denial === undefined) return
  const message = `${subject.kind}.${subject.group} ${JSON.stringify(subject.name)} is forbidden: ${denial}`
  throw new RegistryError('FORBIDDEN', { message, subject })
}

async function denialOf(store: ReadStore, { project, stream, annotations }: StreamLevel): Promise<string | undefined> {
  const ofStream = saidIn(annotations)
  if (ofStream === 'allowed') return undefined
  const entry = await store.get(projectKey(project))
  const ofProject = entry && saidIn(projectOf(entry).annotations)
  if (ofStream === undefined && ofProject !== 'denied') return undefined
  const where = ofStream === 'denied' ? `image stream ${project}/${stream}` : `project ${project}`
  return `nothing can be deleted here: ${where} has the annotation ${deletesAnnotation}: denied`
}

/** What is wrong with annotations that are to be written at `field`; what is there `before` is not judged anew. */
export function validateDeletes(annotations: Annotations, before: Annotations, field: string): FieldCause[] {
  const [written, stands] = [annotations, before].map(writtenIn)
  if (written === undefined || written === stands || values.includes(written)) return []
  const message = `Invalid value: ${JSON.stringify(written.slice(0, 100))}: write ${values.join(' or ')}`
  return [{ field: `${field}[${deletesAnnotation}]`, reason: 'FieldValueInvalid', message }]
}

function saidIn(annotations: Annotations): string | undefined {
  return values.find((value) => value === writtenIn(annotations))
}

function writtenIn(annotations: Annotations): string | undefined {
  return annotations && Object.hasOwn(annotations, deletesAnnotation) ? annotations[deletesAnnotation] : undefined
}
