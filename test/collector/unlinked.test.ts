/** What memory knows by links that another process removes. */
import { expect, onTestFinished, test } from 'vitest'
import { followUnlinked, type UnlinkedOptions } from '../../src/collector/unlinked.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { createPullThrough } from '../../src/pull-through.ts'
import { CompactedError, type Store } from '../../src/store/store.ts'
import { linksOf } from '../../src/streams/admission.ts'
import { imageIndexPrefix } from '../../src/streams/keys.ts'
import type { Upstream } from '../../src/upstream/upstream.ts'
import { makeIndex } from '../support/images.ts'
import { type CollectorWorld, collectorWorld, dayMs, manifestsOf, upstream } from './world.ts'

const app = { project: 'demo', stream: 'app' }
const index = makeIndex('again')
const [child] = index.children

/** The pulls of a process that removes none. */
function otherProcess({ log: _, ...parts }: CollectorWorld, store: Store = parts.store) {
  const heard = Promise.withResolvers<Parameters<UnlinkedOptions['onUnlinked']>>()
  const upstream: Pick<Upstream, 'manifest' | 'onBehalf'> = {
    onBehalf: () => upstream as Upstream,
    async manifest(_from, digest) {
      const found = manifestsOf(index).find((each) => each.digest === digest)
      if (found === undefined) throw new TypeError(`nobody asks for ${digest}`)
      return found
    },
  }
  const pullThrough = createPullThrough({ ...parts, now: parts.clock.now, upstream: upstream as Upstream })
  const ending = new AbortController()
  onTestFinished(() => ending.abort())
  followUnlinked({
    store,
    onUnlinked(...stream) {
      pullThrough.forget(stream[0])
      heard.resolve(stream)
    },
    signal: ending.signal,
  })
  return { pullThrough, heard: heard.promise }
}

/** What an import does that finds an index: of its children it knows no more than that it names them. */
async function importIndex({ links, stream, writer }: CollectorWorld): Promise<void> {
  const { digest, mediaType, bytes } = index.manifest
  const { uid } = await stream(app)
  const named = linksOf(index.manifest, parseManifest(bytes, mediaType), [upstream])
  await links.add(app, uid, named, { isReliedOn: true })
  const cause = { kind: 'import' as const, by: 'alice' }
  await writer.changeTag(app, 'prod', () => ({ event: { image: digest, mediaType, dockerImageReference: 'a', cause } }))
}

test('an image that comes again once another process removed its links is pulled whole', async () => {
  const world = await collectorWorld()
  const { pullThrough, heard } = otherProcess(world)
  await world.admit(app, index)
  const manifest = child?.manifest.digest ?? ''
  const config = child?.config.digest ?? ''
  await pullThrough.manifest(app, manifest, { head: false })
  await pullThrough.blobSize(app, config)
  world.later(2 * dayMs)
  expect((await world.open().prune({ dryRun: false })).removedLinks).toBeGreaterThan(0)
  expect(await heard).toEqual([(await world.stream(app)).uid, app, expect.arrayContaining([expect.any(String)])])
  expect((await heard)[2]).not.toContain(config)
  await importIndex(world)
  await pullThrough.manifest(app, manifest, { head: false })
  expect(await pullThrough.blobSize(app, config)).toMatchObject({ digest: config })
})

test('a process that was told too late what was removed forgets everything', async () => {
  const world = await collectorWorld()
  await world.admit(app, index)
  const begun = Promise.withResolvers<void>()
  let fails = true
  const watch: Store['watch'] = async function* (prefix, options) {
    if (prefix === imageIndexPrefix && fails) {
      await begun.promise
      fails = false
      throw new CompactedError(1)
    }
    yield* world.store.watch(prefix, options)
  }
  const { pullThrough, heard } = otherProcess(world, { ...world.store, watch })
  const { digest } = index.manifest
  await pullThrough.manifest(app, digest, { head: false })
  expect(pullThrough.warm(app.project, app.stream, digest)).toBeDefined()
  begun.resolve()
  expect(await heard).toEqual([])
  expect(pullThrough.warm(app.project, app.stream, digest)).toBeUndefined()
})
