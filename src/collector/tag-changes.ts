import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import type { ContentPolicy } from '../streams/content-policy.ts'
import {
  decode,
  ledgerRange,
  lifeKey,
  projectKey,
  streamObjectKey,
  streamOfKey,
  tagOfKey,
  tagPrefix,
} from '../streams/keys.ts'
import type { LedgerEntry, TagRecord } from '../streams/records.ts'
import { newestRevision } from '../streams/stream-records.ts'
import { createTurns } from '../streams/turns.ts'
import { createHistoryKeep } from './history-keep.ts'
import { type MarkOptions, markTag, policiesOf, type StreamView, viewOf } from './mark-stream.ts'
import { marks } from './marks.ts'

/** Follows the tags that change while a pass is under way. */
export interface TagChanges extends AsyncDisposable {
  /**
   * Marks what is needed by all tags that changed so far, where they stand and where they stood meanwhile.
   *
   * @throws CompactedError when more changed than can be told
   */
  markChanged(): Promise<void>
}

/** What was entered in the ledger longer before a pass began was seen by it, also when the clock was set a little. */
const aroundMs = 3_600_000

/** Begins to follow at once. */
export async function followTagChanges(options: MarkOptions & { store: Store }): Promise<TagChanges> {
  const { store } = options
  const ending = new AbortController()
  const changed = new Set<string>()
  const inTurn = createTurns()
  let waiting: { revision: number; answer: PromiseWithResolvers<void> } | undefined
  let reached = await newestRevision(store)
  let failure: unknown

  async function follow(): Promise<void> {
    const { signal } = ending
    for await (const { revision, changes } of store.watch(tagPrefix, { since: reached, signal, prompt: true })) {
      for (const { key, value } of changes) if (value !== undefined) changed.add(key)
      reached = revision
      if (waiting !== undefined && waiting.revision <= reached) waiting.answer.resolve()
    }
  }

  const following = follow()
    .catch((error: unknown) => {
      failure = error
    })
    .finally(() => {
      // A watch ends without an error when the store closes.
      failure ??= new RegistryError('UNAVAILABLE', { message: 'the store was closed' })
      waiting?.answer.reject(failure)
    })

  /** Settles when all changes that are committed by now are known here. */
  async function catchUp(): Promise<void> {
    const revision = await newestRevision(store)
    if (failure !== undefined) throw failure
    if (revision <= reached) return
    const answer = Promise.withResolvers<void>()
    waiting = { revision, answer }
    await answer.promise.finally(() => {
      waiting = undefined
    })
  }

  async function markOne(key: string): Promise<void> {
    const name = streamOfKey(key)
    const [tag, life, project, object] = await Promise.all(
      [key, lifeKey(name), projectKey(name.project), streamObjectKey(name)].map((each) => store.get(each)),
    )
    const view = viewOf(options, name, life, project)
    const record = tag && decode<TagRecord>(tag)
    if (record === undefined || view.life?.uid !== record.uid) return
    const policy = policiesOf(options.policy, project, object)(record.spec?.annotations)
    await markTag(view, record, policy)
    await markNewEntries(view, name, tagOfKey(key), policy)
  }

  /** Where it stood for a moment meanwhile is in its history. */
  async function markNewEntries(view: StreamView, name: StreamName, tag: string, policy: ContentPolicy): Promise<void> {
    const keep = createHistoryKeep(policy, options.nowMs)
    for await (const entry of await store.range(ledgerRange(name, tag, undefined))) {
      const { image, projectUid, created } = decode<LedgerEntry>(entry)
      if (Date.parse(created) < options.nowMs - aroundMs || !keep.next(created)) return
      if (image !== '' && projectUid === view.projectUid) await view.reach.from(image, marks.history)
    }
  }

  async function markAll(): Promise<void> {
    await catchUp()
    const keys = [...changed]
    changed.clear()
    for (const key of keys) await markOne(key)
  }

  return {
    // Who comes while others mark has to know that they have.
    markChanged: () => inTurn('', markAll),
    async [Symbol.asyncDispose]() {
      ending.abort()
      await following
    },
  }
}
