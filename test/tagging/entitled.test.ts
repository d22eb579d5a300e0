import { describe, expect, test } from 'vitest'
import { createObjects } from '../../src/store/objects.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import {
  causesOf,
  digestsOf,
  from,
  mayPullOnly,
  parse,
  type TaggingWorld,
  taggingWith,
  taggingWorld,
  wantedTag,
} from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const multi = makeIndex('multi')

/** `demo/app:dev` at an index and `demo/app:other` at an image. */
async function worldWithIndex(): Promise<TaggingWorld> {
  const world = await taggingWorld()
  await world.importTo('demo/app:dev', multi)
  await world.importTo('demo/app:other', v2)
  return world
}

describe('I5: who pulls a promoted image', () => {
  test('gets the whole of it: children that nobody had fetched, and their blobs', async () => {
    const world = await worldWithIndex()
    await world.set('prod/app:prod', from('demo/app:dev'))
    expect((await world.pullAll('prod/app:prod')).sort()).toEqual(digestsOf(multi).sort())
  })

  test('gets the whole of it by digest as well', async () => {
    const world = await worldWithIndex()
    await world.set('prod/app:prod', from(`demo/app@${multi.manifest.digest}`))
    expect((await world.pullAll(`prod/app@${multi.manifest.digest}`)).sort()).toEqual(digestsOf(multi).sort())
  })

  test('gets manifests that others had fetched from the source before without asking for them again', async () => {
    const world = await worldWithIndex()
    await world.pullAll('demo/app:dev')
    await world.set('prod/app:prod', from('demo/app:dev'))
    const asked = world.registry.requests.length
    expect((await world.pullAll('prod/app:prod')).sort()).toEqual(digestsOf(multi).sort())
    const manifests = world.registry.requests.slice(asked).filter(({ path }) => path.includes('/manifests/'))
    expect(manifests).toEqual([])
  })

  test('gets nothing else of the source', async () => {
    const world = await worldWithIndex()
    await world.pullAll('demo/app:other')
    await world.set('prod/app:prod', from('demo/app:dev'))
    for (const digest of digestsOf(v2)) {
      await expect(world.pullAll(`prod/app@${digest}`)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
      await expect(world.pullThrough.blob(parse('prod/app'), digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    }
  })

  test('gets of one child nothing of the others', async () => {
    const world = await worldWithIndex()
    const [child, sibling] = multi.children
    await world.set('prod/app:arm', from(`demo/app@${child?.manifest.digest}`))
    expect((await world.pullAll('prod/app:arm')).sort()).toEqual(child && digestsOf(child).sort())
    await expect(world.pullAll(`prod/app@${sibling?.manifest.digest}`)).rejects.toMatchObject({
      code: 'MANIFEST_UNKNOWN',
    })
  })

  test('keeps it when the source stream is deleted', async () => {
    const world = await worldWithIndex()
    await world.set('prod/app:prod', from('demo/app:dev'))
    await world.writer.delete(parse('demo/app'))
    expect((await world.pullAll('prod/app:prod')).sort()).toEqual(digestsOf(multi).sort())
  })

  test('keeps it when the project of the source is gone', async () => {
    const world = await worldWithIndex()
    await world.set('prod/app:prod', from('demo/app:dev'))
    await world.writer.delete(parse('demo/app'))
    await createObjects({ store: world.store, now: world.clock.now }).delete('namespaces', '', 'demo')
    expect((await world.pullAll('prod/app:prod')).sort()).toEqual(digestsOf(multi).sort())
  })

  test('of a copy of a copy still gets all', async () => {
    const world = await worldWithIndex()
    await world.set('prod/app:prod', from('demo/app:dev'))
    await world.set('prod/web:prod', from('prod/app:prod'))
    await world.writer.delete(parse('demo/app'))
    await world.writer.delete(parse('prod/app'))
    expect((await world.pullAll('prod/web:prod')).sort()).toEqual(digestsOf(multi).sort())
  })
})

describe('I5, I9: a location is carried with its project', () => {
  const login = { username: 'robot', password: 'secret', projects: ['demo'], repositories: ['**'] }

  test('so that a login which serves the source alone fetches for the copy, and for nothing else', async () => {
    const closed = await startFakeUpstream({ auth: { kind: 'basic', users: { robot: 'secret' } } })
    const world = await taggingWorld({ rules: [{ host: closed.host, insecure: true, login }] })
    closed.put('team/app', multi, { tag: 'v1' })
    const image = { from: `${closed.host}/team/app:v1`, to: 'dev', importPolicy: {} }
    await world.importer.import({ project: 'demo', stream: 'app', by: 'admin', images: [image] })
    await world.set('prod/app:prod', from('demo/app:dev'))
    expect((await world.links.get(parse('prod/app'), multi.manifest.digest))?.locations).toEqual([
      { kind: 'upstream', host: closed.host, repository: 'team/app', project: 'demo', projectUid: expect.any(String) },
    ])
    expect((await world.pullAll('prod/app:prod')).sort()).toEqual(digestsOf(multi).sort())
    const { images } = await world.importer.import({ project: 'prod', stream: 'own', by: 'admin', images: [image] })
    expect(images).toMatchObject([{ error: { upstream: { reason: 'Unauthorized' } } }])
  })
})

describe('I5: nothing is had without the right to it', () => {
  test('when the right ends before the tag moves', async () => {
    const world = await worldWithIndex()
    let asked = 0
    const work = world.set('prod/app:prod', from('demo/app:dev'), { mayPull: () => ++asked === 1 })
    expect(await causesOf(work)).toEqual(['tag.from.name: FieldValueForbidden'])
    expect(await world.pin('prod/app:prod')).toBeUndefined()
    expect(await world.links.get(parse('prod/app'), multi.manifest.digest)).toBeUndefined()
  })

  test('when the right ends after the links were copied', async () => {
    const world = await worldWithIndex()
    let may = true
    const tagging = taggingWith(world, {
      async copy(...args) {
        const copied = await world.links.copy(...args)
        may = false
        return copied
      },
    })
    const wanted = wantedTag('prod', from('demo/app:dev'))
    const asking = { by: 'ann', mayPull: () => may, seen: {}, field: 'tag' }
    const work = tagging.setTag({ ...parse('prod/app:prod'), ...asking, wanted })
    expect(await causesOf(work)).toEqual(['tag.from.name: FieldValueForbidden'])
    expect(await world.tagOf('prod/app:prod')).toBeUndefined()
  })

  test('of a stream that was made anew by others', async () => {
    const world = await worldWithIndex()
    await world.writer.delete(parse('demo/app'))
    await world.importTo('demo/app:fresh', v1)
    expect(await causesOf(world.set('prod/app:prod', from(`demo/app@${multi.manifest.digest}`)))).toEqual([
      'tag.from.name: FieldValueInvalid',
    ])
    const { entry } = await world.set('prod/app:prod', from('demo/app:dev'))
    expect(entry).toBeUndefined()
  })

  test('of a project that was made anew by others, whose links are not those of the old one', async () => {
    const world = await worldWithIndex()
    await world.writer.delete(parse('demo/app'))
    await createObjects({ store: world.store, now: world.clock.now }).delete('namespaces', '', 'demo')
    await world.project('demo')
    await world.importTo('demo/app:fresh', v1)
    const source = from(`demo/app@${multi.manifest.digest}`)
    expect(await causesOf(world.set('prod/app:prod', source))).toEqual(['tag.from.name: FieldValueInvalid'])
    expect(await causesOf(world.set('prod/app:prod', from('demo/app:fresh'), { mayPull: () => false }))).toEqual([
      'tag.from.name: FieldValueForbidden',
    ])
    expect(await world.reader.stream(parse('prod/app'))).toBeUndefined()
  })

  test('of whole streams: each tag is judged by itself', async () => {
    const world = await worldWithIndex()
    await world.importTo('demo/secret:v1', v1, 'private/secret')
    const tags = { good: from('demo/app:dev'), bad: from('demo/secret:v1') }
    const work = world.createStream('prod/app', tags, { mayPull: mayPullOnly('demo/app') })
    expect(await causesOf(work)).toEqual(['spec.tags[bad].from.name: FieldValueForbidden'])
    expect(await world.reader.stream(parse('prod/app'))).toBeUndefined()
  })
})
