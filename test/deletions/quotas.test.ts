import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createAccounts } from '../../src/quotas/accounts.ts'
import { makeImage } from '../support/images.ts'
import { bob, type DeletionsWorld, deletionsWorld, nameOf } from './world.ts'

const images = ['one', 'two', 'three'].map((text) => makeImage(text))
const places = ['demo/app', 'demo/tool']

/** What the project uses, as it is kept up, and as one counts it anew. */
async function counts(world: DeletionsWorld) {
  const { bytes } = await createAccounts({ store: world.store, now: world.clock.now }).of('demo')
  return [(await world.quotas.usage('demo')).bytes, bytes]
}

function counted(world: DeletionsWorld) {
  return world.deletionsWith({
    forget(uid, name, digests) {
      world.pullThrough.forget(uid)
      world.quotas.use.unlinked(name, digests)
    },
  })
}

const step = fc.record({
  what: fc.constantFrom('push', 'push', 'delete image', 'delete blob', 'look'),
  place: fc.nat(1),
  image: fc.nat(2),
})

test('what a project uses is what a full count says, whatever is pushed and deleted', async () => {
  const world = await deletionsWorld()
  const deletions = counted(world)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 6 }), async (steps) => {
      for (const { what, place: i, image: j } of steps) {
        const place = places[i] ?? ''
        const image = images[j] ?? images[0]
        if (image === undefined) continue
        const { manifest, layers } = image
        if (what === 'push') await world.push(`${place}@${manifest.digest}`, image)
        // What is not there, or is named still, is refused.
        if (what === 'delete image') await deletions.image(nameOf(place), manifest.digest, bob).catch(() => undefined)
        if (what === 'delete blob')
          await deletions.blob(nameOf(place), layers[0]?.digest ?? manifest.digest).catch(() => undefined)
        if (what === 'look') await world.quotas.usage('demo')
      }
      const [kept, anew] = await counts(world)
      expect(kept).toBe(anew)
    }),
    { numRuns: 200 },
  )
}, 120_000)

test('a deletion of which nobody can say whether it was written does not count for long', async () => {
  const world = await deletionsWorld()
  const [image] = images
  if (image === undefined) throw new TypeError('there are images')
  await world.push('demo/app:v1', image)
  const before = (await world.quotas.usage('demo')).bytes
  const { commit } = world.store
  world.store.commit = async (operations) => {
    const result = await commit(operations)
    return operations.operations.some(({ key }) => key.startsWith('link/'))
      ? { status: 'unknown', cause: undefined }
      : result
  }
  await expect(counted(world).image(nameOf('demo/app'), image.manifest.digest, bob)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  })
  expect((await world.quotas.usage('demo')).bytes).toBe(before - image.manifest.bytes.length)
})
