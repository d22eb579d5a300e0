import { expect, test } from 'vitest'
import { makeImage } from '../support/images.ts'
import { parse } from '../tagging/world.ts'
import { follow, following, followingWorld } from './world.ts'

const [v1, v2] = [makeImage('v1'), makeImage('v2')]

test('what was pushed onto a tag stays when its source is merely spelled otherwise, past a start too', async () => {
  const world = await followingWorld()
  await world.importTo('demo/app:dev', v1)
  await world.set('demo/web:prod', following('demo/app:dev'))
  await world.importTo('demo/web:other', v2)
  const { digest: image, mediaType } = v2.manifest
  const event = { image, mediaType, dockerImageReference: 'w/demo/web', cause: { kind: 'push', by: 'ann' } as const }
  await world.writer.changeTag(parse('demo/web'), 'prod', () => ({ event }))
  await world.set('demo/web:prod', { from: { kind: 'ImageStreamTag', name: 'app:dev' }, annotations: follow })
  await world.idle()
  await world.stop()
  await world.start()
  expect(await world.pin('demo/web:prod')).toBe(image)
})

test.each([[undefined], ['ContentIncomplete']])(
  'what a tag awaits by a right that ended it does not get, and gets it with the right (%s)',
  async (reason) => {
    const world = await followingWorld()
    await world.importTo('demo/app:dev', v1)
    const annotations = { ...follow, 'weir.dev/move': 'when-held' }
    await world.set('prod/app:prod', { ...following('demo/app:dev'), annotations })
    await world.importTo('demo/app:dev', v2)
    await world.idle()
    const awaited = async () => (await world.tagOf('prod/app:prod'))?.record.awaits?.image
    expect(await awaited()).toBe(v2.manifest.digest)
    const condition = reason === undefined ? undefined : { reason, message: 'not all is held' }
    if (condition) await world.writer.changeTag(parse('prod/app'), 'prod', () => ({ condition }))
    world.revoked.add('ann demo/app')
    await world.stop()
    await world.start()
    expect(await awaited()).toBeUndefined()
    expect(await world.condition('prod/app:prod')).toMatchObject({ reason: 'Forbidden' })
    world.revoked.clear()
    world.rightsChanged()
    await world.pass(10_000)
    expect(await awaited()).toBe(v2.manifest.digest)
    expect(await world.condition('prod/app:prod')).toBeUndefined()
  },
)
