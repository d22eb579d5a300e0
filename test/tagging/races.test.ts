import { describe, expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import type { RegistryError } from '../../src/oci/errors.ts'
import type { Tagging } from '../../src/tagging.ts'
import { ownHost } from '../support/flows.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import {
  causesOf,
  digestsOf,
  from,
  parse,
  type TaggingWorld,
  taggingWith,
  taggingWorld,
  type Wanted,
  wantedTag,
} from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const multi = makeIndex('multi')

function promotion(to: string, source: string, more: Wanted = {}) {
  const { tag, ...name } = parse(to)
  const wanted = wantedTag(tag, { ...from(source), ...more })
  return { ...name, tag, wanted, field: 'tag', by: 'ann', mayPull: () => true, seen: {} }
}

describe('at the same time', () => {
  test('fifty tags of one stream all land', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', v1)
    const tags = Array.from({ length: 50 }, (_, n) => `t${n}`)
    await Promise.all(tags.map((tag, n) => world.set(`prod/app:${tag}`, n % 2 ? from('demo/app:dev') : {})))
    const whole = await world.reader.whole(parse('prod/app'))
    expect(whole?.tags.map(({ name }) => name)).toEqual([...tags].sort())
    for (const [n, tag] of tags.entries()) {
      expect(await world.pin(`prod/app:${tag}`)).toBe(n % 2 ? v1.manifest.digest : undefined)
    }
  })

  test('writers of the whole stream, each of another tag, all land once those who conflict read again', async () => {
    const world = await taggingWorld()
    const names = Array.from({ length: 12 }, (_, n) => `t${n}`)
    await world.createStream('prod/app', Object.fromEntries(names.map((name): [string, Wanted] => [name, {}])))
    const write = async (name: string): Promise<void> => {
      const whole = await world.reader.whole(parse('prod/app'))
      const tags = Object.fromEntries((whole?.tags ?? []).map((tag) => [tag.name, tag.record.spec ?? {}]))
      const seen = { resourceVersion: String(whole?.stream.resourceVersion) }
      const work = world.updateStream('prod/app', { ...tags, [name]: { annotations: { by: name } } }, { seen })
      const code = await work.then(
        () => 'OK',
        (error: RegistryError) => error.code,
      )
      expect(['OK', 'CONFLICT']).toContain(code)
      if (code === 'CONFLICT') await write(name)
    }
    await Promise.all(names.map(write))
    const whole = await world.reader.whole(parse('prod/app'))
    for (const { name, record } of whole?.tags ?? []) expect(record.spec?.annotations).toEqual({ by: name })
    expect(whole?.stream.generation).toBe(13)
  })

  test('a writer of the whole stream and fifty of tags that he leaves as they are all land', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', v1)
    const names = Array.from({ length: 50 }, (_, n) => `t${n}`)
    const tags = Object.fromEntries(names.map((name): [string, Wanted] => [name, {}]))
    const { revision } = await world.createStream('prod/app', { ...tags, own: {} })
    const move = (tag: string) => {
      const { digest: image, mediaType } = v1.manifest
      const event = {
        image,
        mediaType,
        dockerImageReference: `x/y@${image}`,
        cause: { kind: 'push', by: 'ci' },
      } as const
      return world.writer.changeTag(parse('prod/app'), tag, () => ({ event }))
    }
    const { uid = '' } = (await world.reader.stream(parse('prod/app'))) ?? {}
    await world.links.copy(parse('demo/app'), { ...parse('prod/app'), uid }, v1.manifest.digest)
    const seen = { resourceVersion: String(revision) }
    const whole = { ...tags, own: { annotations: { by: 'me' } } }
    await Promise.all([...names.map(move), world.updateStream('prod/app', whole, { seen })])
    expect((await world.tagOf('prod/app:own'))?.record.spec?.annotations).toEqual({ by: 'me' })
    for (const name of names) expect(await world.pin(`prod/app:${name}`)).toBe(v1.manifest.digest)
  })

  test('two who create one tag, or one stream, are told apart', async () => {
    const world = await taggingWorld()
    await world.writer.create(parse('prod/app'))
    for (const both of [
      () => world.set('prod/app:x', {}, { mode: 'create' }),
      () => world.createStream('prod/web', { x: {} }),
    ]) {
      const results = await Promise.allSettled([both(), both()])
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      const refused = results.find((result) => result.status === 'rejected')
      expect(refused).toMatchObject({ reason: { code: 'ALREADY_EXISTS' } })
    }
  })

  test('two of one tag both get an answer, and the tag stands at one of them', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', v1)
    await world.importTo('demo/app:next', v2)
    const results = await Promise.all([
      world.set('prod/app:prod', from('demo/app:dev')),
      world.set('prod/app:prod', from('demo/app:next')),
    ])
    expect(results.map(({ changed }) => changed)).toEqual([true, true])
    const { record } = (await world.tagOf('prod/app:prod')) ?? {}
    const source = record?.spec?.from?.name
    expect(record?.items[0]?.image).toBe(source === 'app:dev' ? v1.manifest.digest : v2.manifest.digest)
  })
})

describe('while a source is copied', () => {
  test('and moves, the tag gets the one or the other, with all its links', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', multi)
    let copies = 0
    const tagging = taggingWith(world, {
      async copy(...args) {
        const copied = await world.links.copy(...args)
        if (++copies === 1) await world.importTo('demo/app:dev', v2)
        return copied
      },
    })
    await tagging.setTag(promotion('prod/app:prod', 'demo/app:dev'))
    const pin = await world.pin('prod/app:prod')
    expect([multi.manifest.digest, v2.manifest.digest]).toContain(pin)
    const expected = pin === v2.manifest.digest ? digestsOf(v2) : digestsOf(multi)
    expect((await world.pullAll('prod/app:prod')).sort()).toEqual(expected.sort())
  })

  test('and its stream is made anew by others, nothing of the new one is had', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', v1)
    let copies = 0
    const tagging = taggingWith(world, {
      async copy(...args) {
        if (++copies === 1) {
          await world.writer.delete(parse('demo/app'))
          await world.importTo('demo/app:other', v2)
        }
        return world.links.copy(...args)
      },
    })
    await tagging.setTag(promotion('prod/app:prod', 'demo/app:dev'))
    expect(await world.pin('prod/app:prod')).toBeUndefined()
    expect(await world.links.get(parse('prod/app'), v2.manifest.digest)).toBeUndefined()
  })

  test('and its own stream is made anew, the links are made for the new one', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', v1)
    await world.set('prod/app:old', {})
    let copies = 0
    const tagging = taggingWith(world, {
      async copy(...args) {
        const copied = await world.links.copy(...args)
        if (++copies === 1) {
          await world.writer.delete(parse('prod/app'))
          await world.set('prod/app:new', {})
        }
        return copied
      },
    })
    await tagging.setTag(promotion('prod/app:prod', 'demo/app:dev'))
    expect((await world.pullAll('prod/app:prod')).sort()).toEqual(digestsOf(v1).sort())
  })

  test('and somebody else sets the tag, the last one wins whole', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', v1)
    await world.importTo('demo/app:next', v2)
    let copies = 0
    const tagging = taggingWith(world, {
      async copy(...args) {
        const copied = await world.links.copy(...args)
        if (++copies === 1) await world.set('prod/app:prod', from('demo/app:next'))
        return copied
      },
    })
    await tagging.setTag(promotion('prod/app:prod', 'demo/app:dev'))
    const tag = await world.tagOf('prod/app:prod')
    expect(tag?.record.spec?.from?.name).toBe('app:dev')
    expect(tag?.record.items.map(({ image }) => image)).toEqual([v1.manifest.digest, v2.manifest.digest])
  })

  test('and somebody else sets the tag, the writer of the whole stream wins whole', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', v1)
    await world.importTo('demo/app:next', v2)
    await world.set('prod/app:prod', {})
    let copies = 0
    const tagging = taggingWith(world, {
      async copy(...args) {
        const copied = await world.links.copy(...args)
        if (++copies === 1) await world.set('prod/app:prod', from('demo/app:next'))
        return copied
      },
    })
    const { wanted, ...request } = promotion('prod/app:prod', 'demo/app:dev')
    const object = { labels: {}, annotations: {}, lookupPolicy: { local: false } }
    await tagging.updateStream({ ...request, object, tags: [wanted] })
    const tag = await world.tagOf('prod/app:prod')
    expect(tag?.record.items.map(({ image }) => image)).toEqual([v1.manifest.digest, v2.manifest.digest])
  })

  test('and its own stream is deleted, it is made anew with its links', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', v1)
    await world.set('prod/app:old', {})
    let copies = 0
    const tagging = taggingWith(world, {
      async copy(...args) {
        if (++copies === 1) await world.writer.delete(parse('prod/app'))
        return world.links.copy(...args)
      },
    })
    await tagging.setTag(promotion('prod/app:prod', 'demo/app:dev'))
    expect((await world.pullAll('prod/app:prod')).sort()).toEqual(digestsOf(v1).sort())
  })

  test('that never comes to rest, the caller is told to try again', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', v1)
    const tagging = taggingWith(world, { copy: async () => undefined })
    await expect(tagging.setTag(promotion('prod/app:prod', 'demo/app:dev'))).rejects.toMatchObject({ code: 'CONFLICT' })
  })
})

describe('while a tag is looked at', () => {
  /** Does `meanwhile` once, after a tag was read for the first time. */
  function taggingAfter(world: TaggingWorld, meanwhile: () => Promise<unknown>): Tagging {
    let reads = 0
    return taggingWith(world, {
      async readTag(...args) {
        const tag = await world.reader.tag(...args)
        if (++reads === 1) await meanwhile()
        return tag
      },
    })
  }

  test('and gets another source, one that it had before is none that it has', async () => {
    const world = await taggingWorld()
    const evil = { from: { kind: 'DockerImage', name: 'evil.example.com/app:v1' } } as const
    await world.writer.changeTag(parse('prod/app'), 'prod', () => ({ spec: wantedTag('prod', evil) }), { create: true })
    const tagging = taggingAfter(world, () => world.set('prod/app:prod', {}))
    const { wanted: _wanted, ...request } = promotion('prod/app:prod', 'demo/app:dev')
    const work = tagging.setTag({ ...request, wanted: wantedTag('prod', { ...evil, annotations: { a: 'b' } }) })
    expect(await causesOf(work)).toEqual(['tag.from.name: FieldValueForbidden'])
  })

  test('and becomes a mere reference, the same source is taken again', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', v1)
    const { digest: image, mediaType } = v1.manifest
    const dockerImageReference = `${ownHost}/demo/app@${image}`
    const event = { image, mediaType, dockerImageReference, cause: { kind: 'push', by: 'ci' } } as const
    await world.writer.changeTag(parse('demo/app'), 'pushed', () => ({ event }))
    await world.set('prod/app:prod', from('demo/app:pushed'))
    const tagging = taggingAfter(world, () =>
      world.set('prod/app:prod', { ...from('demo/app:pushed'), reference: true }),
    )
    await tagging.setTag(promotion('prod/app:prod', 'demo/app:pushed'))
    expect((await world.tagOf('prod/app:prod'))?.record).toMatchObject({
      items: [{ image, dockerImageReference: `${ownHost}/prod/app@${image}` }],
    })
  })
})

describe('links first, the move last', () => {
  test.each<[string, (world: TaggingWorld, tagging: Tagging) => Promise<unknown>]>([
    ['a tag', (_, tagging) => tagging.setTag(promotion('prod/app:prod', 'demo/app:dev'))],
    [
      'a new stream',
      (_, tagging) => {
        const { wanted, ...request } = promotion('prod/app:prod', 'demo/app:dev')
        const object = { labels: {}, annotations: {}, lookupPolicy: { local: false } }
        return tagging.createStream({ ...request, object, tags: [wanted] })
      },
    ],
  ])('%s is at nothing before every link is there', async (_, act) => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', multi)
    await world.pullAll('demo/app:dev')
    const named = [multi, ...multi.children].map(({ manifest }) => manifest.digest)
    let before: (string | undefined)[] = []
    const tagging = taggingWith(world, {
      async copy(...args) {
        before = [await world.pin('prod/app:prod')]
        const copied = await world.links.copy(...args)
        before.push(await world.pin('prod/app:prod'))
        expect(await linkedOf(world, 'prod/app', named)).toEqual([true, true, true])
        return copied
      },
    })
    await act(world, tagging)
    expect(before).toEqual([undefined, undefined])
    expect(await world.pin('prod/app:prod')).toBe(multi.manifest.digest)
  })

  test('a death between the two leaves the tag as it was, and doing it again ends it', async () => {
    const world = await taggingWorld()
    await world.importTo('demo/app:dev', multi)
    await world.set('prod/app:prod', {})
    const dying = taggingWith(world, {
      copy: async (...args) => {
        await world.links.copy(...args)
        throw new Error('the process died')
      },
    })
    await expect(dying.setTag(promotion('prod/app:prod', 'demo/app:dev'))).rejects.toThrow('the process died')
    expect((await world.tagOf('prod/app:prod'))?.record.spec?.from).toBeUndefined()
    expect(await world.pin('prod/app:prod')).toBeUndefined()
    await world.set('prod/app:prod', from('demo/app:dev'))
    expect((await world.pullAll('prod/app:prod')).sort()).toEqual(digestsOf(multi).sort())
  })
})

/** Which of the digests a stream has a link of. */
async function linkedOf({ links }: TaggingWorld, at: string, digests: readonly Digest[]): Promise<boolean[]> {
  return Promise.all(digests.map(async (digest) => (await links.get(parse(at), digest)) !== undefined))
}
