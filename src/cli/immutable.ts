/** What makes a tag immutable, as a sentence. */

import { readTagChoice } from '../oci/tag-patterns.ts'
import type { Level } from './content-state.ts'
import type { StreamTag } from './stream-tags.ts'

const immutableAnnotation = 'weir.dev/immutable'

/** Whether a tag is immutable and what says so: itself, or else the nearest of what is `above`; undefined where nothing does. */
export function immutableText({ tag, wanted, image }: StreamTag, above: readonly Level[]): string | undefined {
  const own = wanted?.annotations?.[immutableAnnotation]
  if (own === 'true' || own === 'false') return sentence(own === 'true', image, 'its own annotation')
  for (const { called, annotations } of above) {
    const written = annotations?.[immutableAnnotation]
    const isChosen = written === undefined ? undefined : readTagChoice(written)
    if (isChosen !== undefined) return sentence(isChosen(tag), image, `the annotation of ${called}`)
  }
  return undefined
}

function sentence(isImmutable: boolean, image: string | undefined, by: string): string {
  const yes = image === undefined ? 'yes, once it stands' : 'yes'
  return `${isImmutable ? yes : 'no'} (by ${by})`
}
