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
