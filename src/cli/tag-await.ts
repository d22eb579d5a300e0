import { type Condition, type ImageTag, resources } from './api.ts'
import type { Client } from './client.ts'
import type { TagName } from './references.ts'
import { tagOfImageTag } from './stream-tags.ts'
import { tagTarget } from './tag-write.ts'
import type { Clock } from './verbs.ts'

/** What came of an import in the background. */
export type Imported =
  | { kind: 'stands'; image: string }
  | { kind: 'failed'; failure: Condition }
  /** Somebody deleted the tag meanwhile, rolled it back, or let it come from something else. */
  | { kind: 'deleted' }
  | { kind: 'held' }
  | { kind: 'replaced'; by: string | undefined }
  /** Nothing yet. */
  | { kind: 'pending'; afterMs: number }

/** Upstreams may be slow; Weir itself gives up on each long before. */
const defaultPatienceMs = 600_000
const firstPauseMs = 100
const longestPauseMs = 2000

/**
 * Looks at a tag again and again until what was wanted of it at `generation`, the image `from`, was imported or could not be.
 *
 * @throws ApiError, CliError when the tag can not be looked at any more
 */
export async function awaitImport(
  client: Client,
  clock: Clock,
  name: TagName,
  { from, generation }: { from: string; generation: number },
): Promise<Imported> {
  const startMs = clock.now()
  const endMs = startMs + (client.timeoutMs ?? defaultPatienceMs)
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    const found = await client.find<ImageTag>(tagTarget(resources.imageTags, name))
    const imported = found === undefined ? ({ kind: 'deleted' } as const) : outcomeOf(name, found, from, generation)
    if (imported !== undefined) return imported
    const leftMs = endMs - clock.now()
    if (leftMs <= 0) return { kind: 'pending', afterMs: clock.now() - startMs }
    await clock.pause(Math.min(pauseMs, leftMs))
  }
}

function outcomeOf(name: TagName, found: ImageTag, from: string, generation: number): Imported | undefined {
  const { wanted, items, image, failure, hold } = tagOfImageTag(name, found)
  if (wanted?.from?.kind !== 'DockerImage' || wanted.from.name !== from || wanted.reference === true) {
    return { kind: 'replaced', by: wanted?.from?.name }
  }
  if ((failure?.generation ?? 0) >= generation && failure !== undefined) return { kind: 'failed', failure }
  if ((items[0]?.generation ?? 0) >= generation && image !== undefined) return { kind: 'stands', image }
  return hold === undefined ? undefined : { kind: 'held' }
}
