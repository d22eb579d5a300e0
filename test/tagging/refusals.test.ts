import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { failing } from '../support/fake-upstream-faults.ts'
import { makeImage, makeIndex, piece } from '../support/images.ts'
import {
  causesOf,
  from,
  fromRegistry,
  mayPullOnly,
  parse,
  type TaggingWorld,
  taggingWorld,
  type Wanted,
  wantedTag,
} from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')

async function worldWithDev(): Promise<TaggingWorld> {
  const world = await taggingWorld()
  await world.importTo('demo/app:dev', v1)
  return world
}

/** Two images whose digests begin alike, found by trying. */
function twins(): [ReturnType<typeof makeImage>, ReturnType<typeof makeImage>, string] {
  const seen = new Map<string, ReturnType<typeof makeImage>>()
  for (let n = 0; ; n += 1) {
    const image = makeImage(`twin ${n}`)
    const start = image.manifest.digest.slice(0, 'sha256:'.length + 3)
    const other = seen.get(start)
    if (other !== undefined) return [image, other, start]
    seen.set(start, image)
  }
}

const badWishes: [string, Wanted, string[]][] = [
  ['a kind that is none', { from: { kind: 'Foo' as never, name: 'x' } }, ['from.kind: FieldValueRequired']],
  ['no name', { from: { kind: 'ImageStreamTag', name: '' } }, ['from.name: FieldValueRequired']],
  ['no reference', fromRegistry('not a reference!'), ['from.name: FieldValueInvalid']],
  ['a stream and nothing', from('demo/app:'), ['from.name: FieldValueInvalid']],
  ['a tag that is none', from('demo/app:a!b'), ['from.name: FieldValueInvalid']],
  ['a stream that is none', from('demo/App:v1'), ['from.name: FieldValueInvalid']],
  [
    'a project that is none',
    { from: { kind: 'ImageStreamTag', name: 'app:v1', namespace: '../demo' } },
    ['from.namespace: FieldValueInvalid'],
  ],
  [
    'a path instead of a name',
    { from: { kind: 'ImageStreamTag', name: 'demo/app:v1' } },
    ['from.name: FieldValueInvalid'],
  ],
  ['an id that is none', from('demo/app@latest', 'ImageStreamImage'), ['from.name: FieldValueInvalid']],
  ['an empty id', from('demo/app@', 'ImageStreamImage'), ['from.name: FieldValueInvalid']],
  ['a stream that is not there', from('demo/gone:v1'), ['from.name: FieldValueNotFound']],
  ['an image that is not there', from('demo/app@sha256:0000'), ['from.name: FieldValueInvalid']],
  ['a registry that is not allowed', fromRegistry('evil.example.com/app:v1'), ['from.name: FieldValueForbidden']],
  [
    'a schedule for a tag of a stream',
    { ...from('demo/app:dev'), importPolicy: { scheduled: true } },
    ['importPolicy.scheduled: FieldValueInvalid'],
  ],
  [
    'policies that are none',
    { importPolicy: { importMode: 'Some' as never }, referencePolicy: { type: 'Else' as never } },
    ['importPolicy.importMode: FieldValueInvalid', 'referencePolicy.type: FieldValueInvalid'],
  ],
  ['too many annotations', { annotations: { a: 'x'.repeat(300_000) } }, ['annotations: FieldValueTooLong']],
]

describe('refused with its field', () => {
  test.each(badWishes)('%s', async (_, wanted, causes) => {
    const world = await worldWithDev()
    const before = (await world.reader.stream(parse('demo/app')))?.resourceVersion
    expect(await causesOf(world.set('demo/app:next', wanted))).toEqual(causes.map((cause) => `tag.${cause}`))
    expect(await causesOf(world.set('demo/app:next', wanted, { field: 'spec' }))).toEqual(
      causes.map((cause) => `spec.${cause}`),
    )
    expect(await causesOf(world.set('demo/fresh:next', wanted))).not.toEqual([])
    expect((await world.reader.stream(parse('demo/app')))?.resourceVersion).toBe(before)
    expect(await world.reader.stream(parse('demo/fresh'))).toBeUndefined()
  })

  test.each([
    ['weir.dev/track', 'semver:x.y.z'],
    ['weir.dev/track', 'latest'],
    ['weir.dev/import-interval', '1s'],
    ['weir.dev/min-age', 'old'],
  ])('%s: %s, where it was not before', async (name, text) => {
    const world = await worldWithDev()
    const wanted = { ...from('demo/app:dev'), annotations: { [name]: text } }
    expect(await causesOf(world.set('demo/app:next', wanted))).toEqual([
      `metadata.annotations[${name}]: FieldValueInvalid`,
    ])
    expect(await world.reader.tag(parse('demo/app'), 'next')).toBeUndefined()
  })

  test('all tags of a stream at once', async () => {
    const world = await worldWithDev()
    const tags = Object.fromEntries(badWishes.map(([, wanted], n) => [`t${n}`, wanted]))
    const expected = badWishes.flatMap(([, , causes], n) => causes.map((cause) => `spec.tags[t${n}].${cause}`))
    const all = { good: from('demo/app:dev'), ...tags }
    expect((await causesOf(world.createStream('demo/fresh', all))).sort()).toEqual(expected.sort())
    expect((await causesOf(world.updateStream('demo/app', all))).sort()).toEqual(expected.sort())
    expect(await world.reader.stream(parse('demo/fresh'))).toBeUndefined()
    expect(await world.reader.tag(parse('demo/app'), 'good')).toBeUndefined()
  })

  test.each(['', 'a!b', 'v1/../v2', '.v1', 'v'.repeat(129), '__proto__\n', 'ä'])('the tag name %j', async (tag) => {
    const world = await worldWithDev()
    const work = world.set('demo/app:dev', null, { tag, wanted: wantedTag(tag, {}) })
    expect(await causesOf(work)).toHaveLength(1)
    expect(await causesOf(world.set('demo/app:dev', null, { tag }))).toHaveLength(1)
    const tags = [wantedTag(tag, {})]
    expect(await causesOf(world.updateStream('demo/app', {}, { tags }))).toHaveLength(1)
    expect(await world.tagOf('demo/app:dev')).toMatchObject({ record: { spec: { name: 'dev' } } })
  })

  test.each(['bad_Name', 'Foo', '..', 'a/b', 's'.repeat(256)])('the stream name %j', async (stream) => {
    const world = await worldWithDev()
    const causes = ['metadata.name: FieldValueInvalid']
    expect(await causesOf(world.set('demo/app:v1', {}, { stream }))).toEqual(causes)
    expect(await causesOf(world.createStream('demo/app', {}, { stream }))).toEqual(causes)
    expect(await causesOf(world.createStream('demo/app', { x: fromRegistry('!') }, { stream }))).toEqual([
      ...causes,
      'spec.tags[x].from.name: FieldValueInvalid',
    ])
  })

  test('a project and a stream that are too long together', async () => {
    const world = await taggingWorld()
    const stream = 's'.repeat(251)
    expect(await causesOf(world.createStream('demo/x', {}, { stream }))).toEqual(['metadata.name: FieldValueInvalid'])
    expect((await world.createStream('demo/x', {}, { stream: stream.slice(1) })).changed).toBe(true)
  })

  test.each(['registry.example.com/app:v1', `registry.example.com/app@${v1.manifest.digest}`, 'not a repository'])(
    'the repository %s',
    async (dockerImageRepository) => {
      const world = await worldWithDev()
      const object = { labels: {}, annotations: {}, lookupPolicy: { local: false }, dockerImageRepository }
      const causes = ['spec.dockerImageRepository: FieldValueInvalid']
      expect(await causesOf(world.createStream('demo/fresh', {}, { object }))).toEqual(causes)
      expect(await causesOf(world.updateStream('demo/app', {}, { object }))).toEqual(causes)
    },
  )
})

describe('a registry that is not allowed', () => {
  const evil = 'evil.example.com/app:v1'

  test('is named, with what is allowed', async () => {
    const world = await taggingWorld({ allowed: ['quay.io'] })
    await expect(world.set('demo/app:v1', fromRegistry(evil))).rejects.toMatchObject({
      causes: [{ message: expect.stringMatching(/^Forbidden: .*"evil\.example\.com".*quay\.io/) }],
    })
  })

  test('stays where a tag has it already, and is refused to others', async () => {
    const world = await taggingWorld({ allowed: ['quay.io'] })
    await world.writer.changeTag(parse('demo/app'), 'old', () => ({ spec: wantedTag('old', fromRegistry(evil)) }), {
      create: true,
    })
    const annotated = { ...fromRegistry(evil), annotations: { a: 'b' } }
    await world.set('demo/app:old', annotated)
    await world.set('demo/app:old', { ...annotated, generation: 0 })
    await world.updateStream('demo/app', { old: fromRegistry(evil), new: fromRegistry('quay.io/org/app:v1') })
    expect(await causesOf(world.updateStream('demo/app', { old: annotated, new: annotated }))).toEqual([
      'spec.tags[new].from.name: FieldValueForbidden',
    ])
    expect(await causesOf(world.set('demo/app:old', fromRegistry('evil.example.com/app:v2')))).toHaveLength(1)
  })

  test('is none for a repository either, unless the stream has it already', async () => {
    const world = await taggingWorld()
    const object = { labels: {}, annotations: {}, lookupPolicy: { local: false } }
    const bad = { ...object, dockerImageRepository: 'evil.example.com/app' }
    const causes = ['spec.dockerImageRepository: FieldValueForbidden']
    expect(await causesOf(world.createStream('demo/app', {}, { object: bad }))).toEqual(causes)
    await world.writer.create(parse('demo/app'), bad)
    expect((await world.updateStream('demo/app', {}, { object: bad })).changed).toBe(false)
    const good = { ...object, dockerImageRepository: `${world.registry.host}/lib/app` }
    await world.updateStream('demo/app', {}, { object: good })
    expect(await causesOf(world.updateStream('demo/app', {}, { object: bad }))).toEqual(causes)
  })
})

describe('the id of an image', () => {
  test('that two images share is refused, and tells which it was', async () => {
    const world = await taggingWorld()
    const [one, other, start] = twins()
    await world.importTo('demo/app:one', one)
    await world.importTo('demo/app:other', other)
    await expect(world.set('prod/app:prod', from(`demo/app@${start}`))).rejects.toMatchObject({
      code: 'INVALID',
      causes: [
        { field: 'tag.from.name', message: expect.stringContaining(`multiple images match the prefix "${start}"`) },
      ],
    })
    await world.set('prod/app:prod', from(`demo/app@${one.manifest.digest}`))
    expect(await world.pin('prod/app:prod')).toBe(one.manifest.digest)
  })

  test.each<[string, (start: string) => string]>([
    ['the digest', (digest) => digest],
    ['a start of it', (digest) => digest.slice(0, 20)],
  ])('of another stream finds nothing by %s', async (_, id) => {
    const world = await worldWithDev()
    await world.importTo('demo/web:dev', v2, 'lib/web')
    expect(await causesOf(world.set('prod/app:prod', from(`demo/app@${id(v2.manifest.digest)}`)))).toEqual([
      'tag.from.name: FieldValueInvalid',
    ])
  })

  test.each<[string, () => string]>([
    ['a layer', () => v1.layers[0]?.digest ?? ''],
    ['a config', () => v1.config.digest],
    ['the start of a layer', () => v1.layers[0]?.digest.slice(0, 30) ?? ''],
  ])('is none of %s', async (_, id) => {
    const world = await worldWithDev()
    const asked = world.registry.requests.length
    expect(await causesOf(world.set('prod/app:prod', from(`demo/app@${id()}`)))).toEqual([
      'tag.from.name: FieldValueInvalid',
    ])
    expect(world.registry.requests.slice(asked)).toEqual([])
  })

  test('that an index merely names is none when nobody has it', async () => {
    const world = await taggingWorld()
    const index = makeIndex('sparse')
    const child = index.children[1]?.manifest.digest
    await world.importTo('demo/app:dev', index)
    if (child !== undefined) world.registry.remove(child)
    await expect(world.set('prod/app:prod', from(`demo/app@${child}`))).rejects.toMatchObject({
      causes: [{ field: 'tag.from.name', message: expect.stringContaining('can not be had') }],
    })
    expect(await world.pin('prod/app:prod')).toBeUndefined()
  })

  test('that an index names is not judged while its upstream is in trouble', async () => {
    const world = await taggingWorld()
    const index = makeIndex('sparse')
    await world.importTo('demo/app:dev', index)
    const source = from(`demo/app@${index.children[0]?.manifest.digest}`)
    const heal = world.registry.intercept(failing(/^/, 503))
    await expect(world.set('prod/app:prod', source)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await world.reader.stream(parse('prod/app'))).toBeUndefined()
    heal()
    await world.set('prod/app:prod', source)
    expect(await world.pin('prod/app:prod')).toBe(index.children[0]?.manifest.digest)
  })

  test('that an index names is not received for a trial', async () => {
    const world = await taggingWorld()
    const index = makeIndex('sparse')
    await world.importTo('demo/app:dev', index)
    const asked = world.registry.requests.length
    await world.set('prod/app:prod', from(`demo/app@${index.children[0]?.manifest.digest}`), { dryRun: true })
    expect(world.registry.requests.slice(asked)).toEqual([])
  })

  test('that an index of a stranger names is none, though another stream has it', async () => {
    const world = await taggingWorld()
    await world.importTo('prod/secret:v1', v1, 'private/secret')
    const lie = makeIndex('lie')
    const named = JSON.parse(lie.manifest.bytes.toString('utf8'))
    named.manifests[0] = { ...named.manifests[0], digest: v1.manifest.digest, size: v1.manifest.bytes.length }
    await world.importTo('demo/evil:v1', piece(lie.manifest.mediaType, JSON.stringify(named)), 'evil/index')
    expect(await causesOf(world.set('demo/evil:stolen', from(`demo/evil@${v1.manifest.digest}`)))).toEqual([
      'tag.from.name: FieldValueInvalid',
    ])
  })
})

test('every source text that is refused names a field, and none is an internal error', async () => {
  const world = await worldWithDev()
  const kinds = fc.constantFrom('ImageStreamTag', 'ImageStreamImage', 'DockerImage')
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom(...'app:@/sha256.0dev!%_-\u0000é') }),
    fc.constantFrom('__proto__', 'constructor:toString', 'app:dev', 'app@sha256:', ':', '@', 'x'.repeat(5000)),
  )
  await fc.assert(
    fc.asyncProperty(kinds, text, fc.option(text, { nil: undefined }), async (kind, name, namespace) => {
      const source = { kind, name, ...(namespace === undefined ? {} : { namespace }) } as const
      const asking = { dryRun: true, mayPull: mayPullOnly('demo/app') }
      try {
        await world.set('demo/app:next', { from: source }, asking)
      } catch (error) {
        expect(error).toBeInstanceOf(RegistryError)
        expect(error).toMatchObject({ code: 'INVALID' })
        for (const { field } of (error as RegistryError).causes) expect(field).toMatch(/^tag\./)
      }
    }),
    { numRuns: 300 },
  )
})
