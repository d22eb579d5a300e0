import { expect, test, vi } from 'vitest'
import { makeImage, piecesOf } from '../support/images.ts'
import { retentionWorld } from './world.ts'

test('what a pin needs and is held no more is fetched again as soon as somebody says that it is missing', async () => {
  const { content, importImage, repository, registry, retention, start, settled, isHeld } = await retentionWorld()
  const image = makeImage('again')
  registry.put('lib/app', image, { tag: 'v1' })
  start()
  await importImage('app', 'prod', `${repository}:v1`)
  await settled()
  expect(await isHeld(image)).toBe(true)
  for (const { digest } of piecesOf(image)) await content.remove(digest, { unusedSince: Number.MAX_VALUE })
  expect(await isHeld(image)).toBe(false)
  retention.lookAgain()
  await vi.waitFor(async () => expect(await isHeld(image)).toBe(true), { timeout: 10_000, interval: 5 })
})
