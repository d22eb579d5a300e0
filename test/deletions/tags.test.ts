import { expect, test } from 'vitest'
import { makeImage } from '../support/images.ts'
import { bob, deletionsWorld, nameOf, refusalOf } from './world.ts'

const v1 = makeImage('v1')
const app = nameOf('demo/app')

test('a tag goes alone: the image stays, and the ledger tells who took the tag away', async () => {
  const world = await deletionsWorld()
  await world.push(`demo/app@${v1.manifest.digest}`, v1, { tags: ['prod', 'stable'] })
  const why = { by: 'bob', reason: 'retired', client: 'crane/0.20' }
  expect(await world.deletions.tag(app, 'prod', why)).toEqual({ tags: ['prod'], manifests: [] })
  expect(await world.look('demo/app:prod')).toBe('MANIFEST_UNKNOWN')
  expect(await world.look('demo/app:stable')).toBe(v1.manifest.digest)
  expect(await world.look(`demo/app@${v1.manifest.digest}`)).toBe(v1.manifest.digest)
  expect(await world.newest('demo/app:prod')).toMatchObject({
    image: '',
    previousImage: v1.manifest.digest,
    cause: { kind: 'delete', by: 'bob', reason: 'retired', client: 'crane/0.20' },
  })
})

test('a tag that is not there is unknown, as is one that was deleted', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await world.deletions.tag(app, 'prod', bob)
  for (const tag of ['prod', 'other', 'not a tag', '']) {
    expect(await refusalOf(world.deletions.tag(app, tag, bob))).toMatchObject({ code: 'MANIFEST_UNKNOWN' })
  }
  const elsewhere = world.deletions.tag(nameOf('demo/none'), 'prod', bob)
  expect(await refusalOf(elsewhere)).toMatchObject({ code: 'NAME_UNKNOWN' })
})
