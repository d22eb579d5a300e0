import { isDeepStrictEqual } from 'node:util'
import type { TagRecord, TagReference } from './records.ts'
import type { TagChange } from './streams.ts'

/** A tag reference as a caller wants it; the generation is given to it here. */
export type WantedReference = Omit<TagReference, 'generation'>

/** The spec after a change, and the stream's new generation when the change is one of the spec. */
export interface SpecStep {
  spec: TagReference | undefined
  generation: number | undefined
  /** Whether something new is wanted of the tag, or the same anew: its generation is the stream's new one. */
  renewed: boolean
}

/**
 * Whether two references want the same thing imported: okd.md 2.2. `from.kind` alone, `scheduled`, `insecure`,
 * `referencePolicy` and `annotations` are no part of it. `project` is what an absent `from.namespace` means.
 */
export function sameIdentity(a: WantedReference, b: WantedReference, project: string): boolean {
  return isDeepStrictEqual(identity(a, project), identity(b, project))
}

/** Whether two references say the same; what is absent, false or empty is equal. */
export function sameReference(a: WantedReference, b: WantedReference): boolean {
  return isDeepStrictEqual(meaning(a), meaning(b))
}

/**
 * The generation rules of okd.md 2.2: any change of the spec gives the stream `nextGeneration`; a new tag, a tag of
 * another identity and a tag to be imported again take it over, others keep theirs.
 */
export function nextSpec(
  before: TagRecord,
  change: TagChange,
  context: { project: string; nextGeneration: number },
): SpecStep {
  const stored = before.spec
  const wanted = change.spec === undefined ? stored : (change.spec ?? undefined)
  if (wanted === undefined) return { spec: undefined, generation: stored && context.nextGeneration, renewed: false }
  const renewed = stored === undefined || !sameIdentity(stored, wanted, context.project) || isReimported(before, change)
  if (stored !== undefined && !renewed && sameReference(stored, wanted))
    return { spec: stored, generation: undefined, renewed }
  const generation = renewed ? context.nextGeneration : stored.generation
  return { spec: { ...wanted, generation }, generation: context.nextGeneration, renewed }
}

/** Whether a failure says what the last one said: okd.md 2.6. */
export function sameFailure(before: TagRecord, failure: NonNullable<TagChange['condition']>): boolean {
  return before.condition?.reason === failure.reason && before.condition.message === failureMessage(failure)
}

/** A condition's message is never empty. */
export function failureMessage(failure: NonNullable<TagChange['condition']>): string {
  return failure.message === '' ? 'unknown error prevented import' : failure.message
}

/** An import by hand counts as one only when it brings something new: okd.md 2.6 and 2.7, step 9. */
function isReimported(before: TagRecord, change: TagChange): boolean {
  if (!change.reimport) return false
  if (change.condition) return !sameFailure(before, change.condition)
  if (change.event === undefined) return true
  const [head] = before.items
  return (
    head === undefined ||
    head.image !== change.event.image ||
    head.dockerImageReference !== change.event.dockerImageReference ||
    (before.spec?.generation ?? 0) > head.generation
  )
}

function identity({ from, reference, importPolicy }: WantedReference, project: string): unknown {
  return [from && [from.namespace || project, from.name], reference ?? false, importPolicy.importMode ?? 'Legacy']
}

function meaning({ name, annotations, from, reference, importPolicy, referencePolicy }: WantedReference): unknown {
  return {
    name,
    annotations: annotations ?? {},
    from: from && [from.kind, from.name, from.namespace ?? ''],
    reference: reference ?? false,
    import: [importPolicy.insecure ?? false, importPolicy.scheduled ?? false, importPolicy.importMode ?? ''],
    type: referencePolicy.type,
  }
}
