import type { StreamName } from '../oci/reference.ts'
import type { RangeQuery } from '../store/store.ts'
import { generationKey, lifeKey, lifePrefix, streamKey, streamObjectKey, tagKey, tagPrefix } from './keys.ts'

/** The records that a stream as shown is made of, beside its tags. */
export type Head = 'life' | 'touched' | 'object' | 'generation'

/** Which record of which stream a key is. */
export interface RecordPlace {
  /** `project/stream`. */
  path: string
  place: { head: Head } | { tag: string }
}

const headPrefixes: readonly [prefix: string, head: Head][] = [
  [lifePrefix, 'life'],
  ['stream/', 'touched'],
  ['object/imagestreams/', 'object'],
  ['generation/', 'generation'],
]

/** The prefixes of all that a stream as shown is made of. */
export const recordPrefixes: readonly string[] = [...headPrefixes.map(([prefix]) => prefix), tagPrefix]

/** @throws TypeError for a key under none of {@link recordPrefixes} */
export function placeOf(key: string): RecordPlace {
  if (key.startsWith(tagPrefix)) {
    const [project = '', stream = '', tag = ''] = key.slice(tagPrefix.length).split('/')
    return { path: `${project}/${stream}`, place: { tag } }
  }
  const found = headPrefixes.find(([prefix]) => key.startsWith(prefix))
  if (found === undefined) throw new TypeError(`${key} is no record of a stream`)
  const [prefix, head] = found
  return { path: key.slice(prefix.length), place: { head } }
}

/** What to read for a whole stream. */
export function recordRanges(name: StreamName): RangeQuery[] {
  const heads = [lifeKey(name), streamKey(name), streamObjectKey(name), generationKey(name)]
  // No key lies between another and the same with U+0000 behind it.
  return [...heads.map((key) => ({ prefix: key, end: `${key}\0` })), { prefix: tagKey(name, '') }]
}
