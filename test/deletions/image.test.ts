import { expect, test } from 'vitest'
import { makeImage } from '../support/images.ts'
import { bob, deletionsWorld, nameOf, refusalOf } from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const app = nameOf('demo/app')

test('an image goes with all tags that stand there, at once, and others stay', async () => {
  const world = await deletionsWorld()
  await world.push(`demo/app@${v1.manifest.digest}`, v1, { tags: ['stable', 'prod'] })
  await world.push('demo/app:next', v2)
  expect(await world.look('demo/app:prod')).toBe(v1.manifest.digest)
  const deleted = await world.deletions.image(app, v1.manifest.digest, bob)
  expect(deleted).toEqual({ tags: ['prod', 'stable'], manifests: [v1.manifest.digest] })
  for (const at of ['demo/app:prod', 'demo/app:stable', `demo/app@${v1.manifest.digest}`]) {
    expect(await world.look(at)).toBe('MANIFEST_UNKNOWN')
  }
  expect(await world.look('demo/app:next')).toBe(v2.manifest.digest)
  for (const tag of ['prod', 'stable'])
    expect(await world.newest(`demo/app:${tag}`)).toMatchObject({ cause: { kind: 'delete', by: 'bob' } })
})

test('an image that is not there, or no more, is unknown', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await world.deletions.image(app, v1.manifest.digest, bob)
  for (const { digest } of [v1.manifest, v2.manifest, v1.config]) {
    expect(await refusalOf(world.deletions.image(app, digest, bob))).toMatchObject({ code: 'MANIFEST_UNKNOWN' })
  }
})
