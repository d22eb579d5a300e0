import type { UpstreamLocation } from '../content/content.ts'
import type { FieldCause } from '../oci/errors.ts'
import { canonicalHost, maxNameLength, parseImageReference } from '../oci/reference.ts'

/** On a project: the registry that keeps what is pushed to it, with the path that its streams are below: `registry.example.com/team`. */
export const homeAnnotation = 'weir.dev/home'

/** Streams of the project have their repositories below `path` at `host` (with its port, as image references have it). */
export interface HomePath {
  host: string
  path: string
}

type Annotations = Readonly<Record<string, string>> | null | undefined

/** Why a registry may not be pushed to; undefined when it may. */
export type RefusalOf = (host: string) => string | undefined

const hint = 'write a registry and a path there, such as registry.example.com/team'

/** Reads the annotation; undefined where it is none. A registry is always written: there is no default one to push to. */
export function parseHome(written: string): HomePath | undefined {
  const [first = '', ...components] = written.split('/')
  const whole = components.length === 0 ? undefined : parseImageReference(`${written}/stream`)
  if (whole?.host !== canonicalHost(first)) return undefined
  return { host: whole.host, path: components.join('/') }
}

/**
 * Where what is pushed to a stream of the project is kept, and what its links have in the place of `here`; undefined where it is kept
 * here, or nowhere: the annotation can not be read, or the name would be longer than names can be.
 */
export function homeLocation(
  { name, uid, annotations }: { name: string; uid: string; annotations?: Annotations },
  stream: string,
): UpstreamLocation | undefined {
  const written = writtenIn(annotations)
  const home = written === undefined ? undefined : parseHome(written)
  if (home === undefined) return undefined
  const repository = `${home.path}/${stream}`
  if (repository.length > maxNameLength) return undefined
  return { kind: 'upstream', host: home.host, repository, project: name, projectUid: uid }
}

/**
 * What is wrong with the annotation that is to be written at `field`. What is there `before` is not judged anew: else nothing else
 * of the project could be changed.
 */
export function validateHome(
  annotations: Annotations,
  before: Annotations,
  field: string,
  refusalOf: RefusalOf,
): FieldCause[] {
  const written = writtenIn(annotations)
  if (written === undefined || written === writtenIn(before)) return []
  const at = `${field}[${homeAnnotation}]`
  const home = parseHome(written)
  if (home === undefined) {
    const message = `Invalid value: ${JSON.stringify(written.slice(0, 100))}: ${hint}`
    return [{ field: at, reason: 'FieldValueInvalid', message }]
  }
  const refusal = refusalOf(home.host)
  return refusal === undefined ? [] : [{ field: at, reason: 'FieldValueForbidden', message: `Forbidden: ${refusal}` }]
}

/** The annotation as it stands. */
export function writtenIn(annotations: Annotations): string | undefined {
  return annotations && Object.hasOwn(annotations, homeAnnotation) ? annotations[homeAnnotation] : undefined
}
