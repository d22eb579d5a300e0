import { expect, test } from 'vitest'
import { createRoom } from '../../src/importer/room.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { type FlowsWorld, flowsWorld } from '../support/flows.ts'
import { makeImage, type Piece, piece } from '../support/images.ts'

const plain = makeImage('room')
const document = JSON.parse(plain.manifest.bytes.toString('utf8'))

/** A manifest of its own that is as large as `change` makes it. */
function manifest(name: string, change: object): Piece {
  return piece(plain.manifest.mediaType, JSON.stringify({ ...document, ...change, annotations: { name } }))
}

async function imported({ importer, registry }: FlowsWorld, tags: readonly string[], dryRun = false) {
  const images = tags.map((tag) => ({
    from: `${registry.host}/lib/app:${tag}`,
    to: tag,
    importPolicy: { importMode: 'PreserveOriginal' as const },
  }))
  const result = await importer.import({ project: 'demo', stream: 'app', by: 'admin', images, dryRun })
  return result.images.map((image) => {
    if ('error' in image) throw image.error
    return image
  })
}

test('room is taken until something does not fit, which less may still do', () => {
  const room = createRoom(10)
  expect([room.take(6), room.isFull, room.take(5), room.isFull, room.take(4), room.take(1)]).toEqual([
    true,
    false,
    false,
    true,
    true,
    false,
  ])
})

test('a request is told manifests of 16 MiB in all, and every image whatever its manifest takes', async () => {
  const flows = await flowsWorld()
  const tags = ['a', 'b', 'c', 'd', 'e', 'f']
  const layers = document.layers.map((layer: object) => ({ ...layer, annotations: { x: 'y'.repeat(3_500_000) } }))
  flows.registry.put('lib/app', plain, { tag: 'plain' })
  for (const tag of tags) flows.registry.put('lib/app', manifest(tag, { layers }), { tag })
  const images = await imported(flows, tags)
  expect(images.map(({ bytes }) => bytes !== undefined)).toEqual([true, true, true, true, false, false])
  expect(images.every(({ image }) => image.layers.length === 1)).toBe(true)
})

test('a request is told children as there is room, and a dry run asks for no more', async () => {
  const flows = await flowsWorld()
  const [layer] = plain.layers
  const layers = Array.from({ length: 4_000 }, (_, i) => ({
    mediaType: layer?.mediaType,
    digest: `sha256:${String(i).padStart(64, '0')}`,
    size: 1,
  }))
  const children = Array.from({ length: 48 }, (_, i) => manifest(`child ${i}`, { layers }))
  const manifests = children.map(({ digest, mediaType, bytes }) => ({ digest, mediaType, size: bytes.length }))
  const index = piece(
    mediaTypes.ociIndex,
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }),
  )
  flows.registry.put('lib/app', plain, { tag: 'plain' })
  for (const child of children) flows.registry.put('lib/app', child, {})
  flows.registry.put('lib/app', index, { tag: 'multi' })
  const [image] = await imported(flows, ['multi'], true)
  const told = image?.children?.length ?? 0
  expect(told).toBeGreaterThan(20)
  expect(told).toBeLessThan(40)
  expect(flows.registry.matching(/^GET .*\/manifests\/sha256/).length).toBeLessThan(44)
})
