import { expect, test } from 'vitest'
import { createGoneUpstream, type GoneOptions } from '../../src/collector/gone.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { makeImage } from '../support/images.ts'
import { collectorWorld, upstream } from './world.ts'

const name = { project: 'demo', stream: 'app' }
const imageType = 'application/vnd.oci.image.manifest.v1+json'

/** Counts what is looked up of parts. */
function counted(links: GoneOptions['links']) {
  const counts = { links: 0 }
  const get: GoneOptions['links']['get'] = (...args) => {
    counts.links += 1
    return links.get(...args)
  }
  return { counts, links: { ...links, get, image: links.image } }
}

test('all tags at an image are told, which is looked at once', async () => {
  const world = await collectorWorld()
  const image = makeImage('image')
  for (let n = 0; n < 5; n += 1) await world.move(name, `t${n}`, image)
  await world.move(name, 'other', makeImage('other'))
  const { counts, links } = counted(world.links)
  const gone = createGoneUpstream({ ...world, ...world.clock, links })
  await gone.tell(name, new Set([image.config.digest]), upstream.host)
  const tags = await world.reader.tags(name, { limit: 10 })
  const told = tags.filter(({ record }) => record.upstreamGone?.image === image.manifest.digest)
  expect(told.map((tag) => tag.name)).toEqual(['t0', 't1', 't2', 't3', 't4'])
  expect(counts.links).toBeLessThan(10)
})

test('tags that need more parts than anybody looks at cost no more than that', async () => {
  const world = await collectorWorld()
  const life = await world.stream(name)
  const layers = Array.from({ length: 5000 }, (_, n) => {
    return { digest: digestOf(Buffer.from(`layer ${n}`)), mediaType: 'application/octet-stream', size: 1 }
  })
  for (let n = 0; n < 100; n += 1) {
    const digest: Digest = digestOf(Buffer.from(`huge ${n}`))
    const link = { digest, mediaType: imageType, size: 1, locations: [upstream], received: true as const }
    await world.links.add(name, life.uid, [link])
    await world.links.putImage(digest, { mediaType: imageType, size: 1, layers, manifests: [] })
    await world.writer.changeTag(name, `t${n}`, () => ({
      event: {
        image: digest,
        mediaType: imageType,
        dockerImageReference: 'a.example/x',
        cause: { kind: 'push', by: 'alice' },
      },
    }))
  }
  const { counts, links } = counted(world.links)
  const gone = createGoneUpstream({ ...world, ...world.clock, links })
  await gone.tell(name, new Set([digestOf(Buffer.from('nothing'))]), upstream.host)
  expect(counts.links).toBeLessThan(25_000)
})
