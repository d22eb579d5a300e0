import { expect, test } from 'vitest'
import { moveAwaited } from '../../src/retention/awaited.ts'
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

test.each(['tag', 'follow'] as const)(
  'the right is asked again when the content is held that a tag awaits (%s)',
  async (kind) => {
    const world = await followingWorld()
    const at = parse('prod/app')
    const mayFollow = ({ name }: { name: string }, { project, stream }: { project: string; stream: string }) =>
      !world.revoked.has(`${name} ${project}/${stream}`)
    const recordOf = async () => (await world.tagOf('prod/app:prod'))?.record
    const held = async () => {
      const { uid, awaits } = (await recordOf()) ?? {}
      if (uid !== undefined && awaits !== undefined) {
        await moveAwaited(world.writer, { name: { ...at, uid }, tag: 'prod', image: awaits.image }, mayFollow)
      }
      await world.idle()
    }
    const annotations = { ...follow, 'weir.dev/move': 'when-held' }
    await world.importTo('demo/app:dev', v1)
    await world.set('prod/app:prod', { ...following('demo/app:dev'), annotations })
    if (kind === 'follow') {
      await held()
      await world.importTo('demo/app:dev', v2)
      await world.idle()
    }
    const before = await recordOf()
    expect(before?.awaits?.cause.kind).toBe(kind)
    world.revoked.add('ann demo/app')
    await held()
    expect(await recordOf()).toMatchObject({ revision: before?.revision, condition: { reason: 'Forbidden' } })
    expect(await recordOf()).not.toHaveProperty('awaits')
    world.revoked.clear()
    world.rightsChanged()
    await world.pass(10_000)
    await held()
    expect(await recordOf()).not.toHaveProperty('condition')
    const { digest } = (kind === 'follow' ? v2 : v1).manifest
    expect(await world.pin('prod/app:prod')).toBe(digest)
  },
)
