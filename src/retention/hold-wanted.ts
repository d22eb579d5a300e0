import { isDeepStrictEqual } from 'node:util'
import type { HeldProgress } from '../streams/records.ts'
import type { StreamReader } from '../streams/streams.ts'
import type { PolicyOf } from '../streams/tag-policy.ts'
import type { AwaitingTag } from './awaited.ts'
import type { Outcome } from './hold.ts'
import type { SharedHold } from './shared-hold.ts'

export interface HoldWantedOptions {
  reader: Pick<StreamReader, 'stream' | 'tag'>
  policyOf: PolicyOf
  shared: Pick<SharedHold, 'hold'>
}

/**
 * Has everything of an image held that the policy of its tag wants when it is done: while an image is fetched somebody may want it
 * for other platforms.
 *
 * @returns undefined when the tag, or its stream, is gone
 * @throws as `SharedHold.hold`
 */
export type HoldWanted = (
  tag: AwaitingTag,
  signal: AbortSignal,
  onProgress?: (progress: HeldProgress) => void,
) => Promise<Outcome | undefined>

export function createHoldWanted({ reader, policyOf, shared }: HoldWantedOptions): HoldWanted {
  return async ({ name, tag, image }, signal, onProgress) => {
    let hasFetched = false
    let held: { platforms: readonly string[]; leftOut: Outcome['leftOut'] } | undefined
    for (;;) {
      const stream = await reader.stream(name)
      const found = stream?.uid === name.uid ? await reader.tag(name, tag) : undefined
      if (stream === undefined || found === undefined) return undefined
      const { platforms } = await policyOf(stream, found.record.spec?.annotations)
      if (isDeepStrictEqual(platforms, held?.platforms)) return { hasFetched, leftOut: held?.leftOut ?? [] }
      const outcome = await shared.hold({ stream, image, platforms }, signal, onProgress)
      hasFetched ||= outcome.hasFetched
      held = { platforms, leftOut: outcome.leftOut }
    }
  }
}
