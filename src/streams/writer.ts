import { RegistryError } from '../oci/errors.ts'
import type { Store } from '../store/store.ts'
import { attemptStream, type StreamRequest } from './change-stream.ts'
import { attemptTag, type TagAttempt, type TagRequest } from './change-tag.ts'
import type { ContentPolicy } from './content-policy.ts'
import { lifeKey, tagKey } from './keys.ts'
import { createStream, deleteStream } from './lives.ts'
import { type ProjectUse, withCountedTags } from './project-use.ts'
import { createStreamSizes } from './stream-sizes.ts'
import type { ChangeResult, StreamWriter } from './streams.ts'
import { createTurns } from './turns.ts'
import { requireValid, validateTagName } from './validation.ts'

/** Most times that one change is decided anew. A change that lost a race waits for its turn, so few need a second. */
const maxAttempts = 100

/** For where nothing is fetched: only what annotations say counts. */
const atOnce: ContentPolicy = { retain: 'pulled', platforms: [], historyKeep: 1, historyKeepDays: 0, move: 'at-once' }

export interface StreamWriterOptions {
  store: Store
  now: () => number
  /** What holds of tags where no annotation says otherwise; default: they move at once. */
  policy?: ContentPolicy
  /** Counts what projects use; default: nobody does. */
  use?: ProjectUse
}

/** Writes streams and tags. All tag records are written by `commitSteps`, from what `draftChanges` worked out (I2). */
export function createStreamWriter({ store, now, policy: defaults = atOnce, use }: StreamWriterOptions): StreamWriter {
  const inTurn = createTurns()
  const ownSizes = createStreamSizes(store)
  const sizes = use === undefined ? ownSizes : withCountedTags(ownSizes, use)

  async function decideAnew(request: TagRequest, first: TagAttempt): Promise<ChangeResult | undefined> {
    const { name, tag, options } = request
    let attempt = first
    for (let count = 1; 'lostAt' in attempt && count < maxAttempts; count++) {
      const isOwn = [lifeKey(name), tagKey(name, tag)].includes(attempt.lostAt)
      if (options.onConflict === 'drop' && isOwn) return undefined
      attempt = await attemptTag(store, sizes, request, now())
    }
    if ('result' in attempt) return attempt.result
    throw new RegistryError('CONFLICT', {
      message: `tag ${JSON.stringify(tag)} of image stream "${name.project}/${name.stream}" kept being changed by others and ${attempt.standing}; try again`,
      subject: { name: `${name.stream}:${tag}`, kind: 'imagestreamtags', group: 'image.openshift.io' },
    })
  }

  async function decideStreamAnew(request: StreamRequest) {
    const { name } = request
    for (let count = 1; count < maxAttempts; count++) {
      const result = await attemptStream(store, sizes, request, now())
      if (result !== 'lost') return result
    }
    throw new RegistryError('CONFLICT', {
      message: `image stream "${name.project}/${name.stream}" kept being changed by others; try again`,
      subject: { name: name.stream, kind: 'imagestreams', group: 'image.openshift.io' },
    })
  }

  return {
    create: (name, object = {}) => createStream(store, name, object, now()),
    delete: (name, preconditions = {}, options = {}) => deleteStream(store, name, preconditions, options),
    async changeTag(name, tag, decide, options = {}) {
      requireValid('ImageStreamTag', `${name.stream}:${tag}`, validateTagName(tag, 'tag'))
      const request: TagRequest = { name, tag, decide, options, defaults }
      const first = await attemptTag(store, sizes, request, now())
      // Losers of one stream go one after the other: each would otherwise lose to all others in turn.
      return 'result' in first ? first.result : inTurn(lifeKey(name), () => decideAnew(request, first))
    },
    async changeStream(name, decide, options = {}) {
      const request: StreamRequest = { name, decide, options, defaults }
      const first = await attemptStream(store, sizes, request, now())
      return first === 'lost' ? inTurn(lifeKey(name), () => decideStreamAnew(request)) : first
    },
  }
}
