import { describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { imagesById } from '../../src/tagging/images.ts'
import { imageType } from '../streams/world.ts'
import { parse, taggingWorld } from './world.ts'

const name = parse('demo/app')

/** A stream with 250 blobs, and an image at each of these places in the order of digests. */
async function linksWith(...images: number[]) {
  const { links, writer } = await taggingWorld()
  const { uid } = await writer.create(name)
  const digests = Array.from({ length: 250 }, (_, n) => digestOf(`blob ${n}`)).sort()
  const locations = [{ kind: 'here' }] as const
  await links.add(
    name,
    uid,
    digests.map((digest, n) => ({
      digest,
      mediaType: images.includes(n) ? imageType : 'application/octet-stream',
      size: 1,
      locations,
    })),
  )
  const found = async (id: string): Promise<Digest[]> => (await imagesById(links, name, id)).map(({ digest }) => digest)
  return { digests, found }
}

describe('the images of an id', () => {
  test('are found behind any number of blobs', async () => {
    const { digests, found } = await linksWith(249)
    expect(await found('sha256:')).toEqual([digests[249]])
  })

  test('are two at most', async () => {
    const { digests, found } = await linksWith(0, 120, 249)
    expect(await found('sha256:')).toEqual([digests[0], digests[120]])
  })

  test('are the one of a whole digest, when it is an image', async () => {
    const { digests, found } = await linksWith(7)
    expect(await found(digests[7] ?? '')).toEqual([digests[7]])
    expect(await found(digests[8] ?? '')).toEqual([])
    expect(await found(digestOf('of nobody'))).toEqual([])
  })
})
