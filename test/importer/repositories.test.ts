import { describe, expect, test } from 'vitest'
import type { RepositoryImportRequest, RepositoryImportResult } from '../../src/importer.ts'
import { fakeAnswer, fakeError } from '../support/fake-upstream-answers.ts'
import { answering, withHeader } from '../support/fake-upstream-faults.ts'
import { type FlowsWorld, flowsWorld } from '../support/flows.ts'
import { makeImage } from '../support/images.ts'

const app = { project: 'demo', stream: 'app' }
const list = /tags\/list/
const v1 = makeImage('v1')
const v2 = makeImage('v2')

type World = FlowsWorld & { from: string }

async function world(tags: readonly string[] = ['1.0', '1.1', 'latest']): Promise<World> {
  const flows = await flowsWorld()
  for (const tag of tags) flows.registry.put('lib/app', v1, { tag })
  return { ...flows, from: `${flows.registry.host}/lib/app` }
}

function importWhole(
  { importer, from }: World,
  more: Partial<RepositoryImportRequest> = {},
): Promise<RepositoryImportResult> {
  return importer.importRepository({ ...app, by: 'ann', from, importPolicy: {}, ...more })
}

async function tagNames({ reader }: World): Promise<string[]> {
  return (await reader.tags(app)).map(({ name }) => name)
}

describe('the import of a repository', () => {
  test('imports its tags in the order of okd.md 2.7, each from its own reference', async () => {
    const there = await world(['zeta', '1.0', 'latest', '1.0.1', '1.1'])
    const result = await importWhole(there, { reason: 'mirror' })
    expect(result.images.map(({ to }) => to)).toEqual(['latest', '1.1', '1.0', '1.0.1', 'zeta'])
    expect(result).toMatchObject({ additionalTags: [], stream: app })
    expect(result.error).toBeUndefined()
    const tag = await there.reader.tag(app, '1.1')
    expect(tag?.record).toMatchObject({
      spec: { from: { kind: 'DockerImage', name: `${there.from}:1.1` } },
      items: [{ image: v1.manifest.digest }],
    })
    expect(await there.reader.ledger(app, '1.1')).toMatchObject([
      { cause: { kind: 'import', by: 'ann', reason: 'mirror', from: { name: `${there.from}:1.1` } } },
    ])
  })

  test('imports the first 50 and names the others in order', async () => {
    const tags = Array.from({ length: 60 }, (_, i) => `1.${i}`)
    const there = await world(tags)
    const result = await importWhole(there)
    expect(result.images).toHaveLength(50)
    expect(result.additionalTags).toEqual(['1.9', '1.8', '1.7', '1.6', '1.5', '1.4', '1.3', '1.2', '1.1', '1.0'])
    expect(await tagNames(there)).toHaveLength(50)
  })

  test('imports as many as it is told to', async () => {
    const there = await world()
    expect(await importWhole(there, { maxTags: 1 })).toMatchObject({
      images: [{ to: 'latest', digest: v1.manifest.digest }],
      additionalTags: ['1.1', '1.0'],
    })
  })

  test('gives its policies to every tag', async () => {
    const there = await world(['latest'])
    await importWhole(there, { importPolicy: { scheduled: true }, referencePolicy: { type: 'Source' } })
    expect((await there.reader.tag(app, 'latest'))?.record.spec).toMatchObject({
      importPolicy: { scheduled: true },
      referencePolicy: { type: 'Source' },
    })
  })

  test('is additive: what the repository no longer has stays, what it has anew comes', async () => {
    const there = await world()
    await importWhole(there)
    there.registry.untag('lib/app', '1.0')
    there.registry.put('lib/app', v2, { tag: '2.0' })
    await importWhole(there)
    expect(await tagNames(there)).toEqual(['1.0', '1.1', '2.0', 'latest'])
  })

  test('of one without tags makes an empty stream', async () => {
    const there = await world()
    there.registry.intercept(answering(list, fakeAnswer(200, '{"name":"lib/app","tags":null}')))
    expect(await importWhole(there)).toMatchObject({ stream: app, images: [], additionalTags: [] })
  })

  test('as a dry run tells everything and writes nothing', async () => {
    const there = await world()
    const result = await importWhole(there, { dryRun: true, maxTags: 2 })
    expect(result.images).toMatchObject([{ to: 'latest', digest: v1.manifest.digest }, { to: '1.1' }])
    expect(result).toMatchObject({ stream: undefined, additionalTags: ['1.0'], revision: 0 })
    expect(await there.reader.stream(app)).toBeUndefined()
  })

  test('I7: of which a tag fails has a condition for that tag and moves the others', async () => {
    const there = await world()
    there.registry.intercept(answering(/manifests\/1\.0/, fakeError(404, 'MANIFEST_UNKNOWN')))
    const result = await importWhole(there)
    expect(result.images.map((image) => 'error' in image)).toEqual([false, false, true])
    expect((await there.reader.tag(app, '1.0'))?.record).toMatchObject({
      items: [],
      condition: {
        reason: 'NotFound',
        message: expect.stringContaining(`image.openshift.io "${there.from}:1.0" not found`),
      },
    })
  })

  test('leaves a held tag where it is', async () => {
    const there = await world(['latest'])
    await importWhole(there)
    there.registry.put('lib/app', v2, { tag: 'latest' })
    await importWhole(there)
    await there.tagEvents.rollback(app, 'latest', { by: 'ann' })
    const { images } = await importWhole(there)
    expect(images).toMatchObject([{ error: { message: expect.stringContaining('weir resume') } }])
    expect((await there.reader.tag(app, 'latest'))?.record.items[0]?.image).toBe(v1.manifest.digest)
  })
})

describe('a repository that can not be listed', () => {
  test.each([
    ['NotFound', fakeError(404, 'NAME_UNKNOWN')],
    ['Unauthorized', fakeError(401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="x"' })],
    ['Forbidden', fakeError(403, 'DENIED')],
    ['TooManyRequests', fakeAnswer(429, '', { 'retry-after': '3600' })],
    ['Unreachable', fakeError(503, 'UNAVAILABLE')],
    ['Invalid', fakeAnswer(200, '<html>')],
  ])('is %s, and no stream is made for it', async (reason, answer) => {
    const there = await world()
    there.registry.intercept(answering(list, answer))
    const result = await importWhole(there)
    expect(result).toMatchObject({ stream: undefined, images: [], additionalTags: [], error: { upstream: { reason } } })
    expect(await there.reader.stream(app)).toBeUndefined()
  })

  test('is one that goes on elsewhere, and nothing of it is imported', async () => {
    const there = await world()
    there.registry.intercept(withHeader(list, 'link', '<http://elsewhere.example/v2/lib/app/tags/list>; rel="next"'))
    expect((await importWhole(there)).error?.message).toContain('not followed')
    expect(await there.reader.stream(app)).toBeUndefined()
  })

  test('is one of a registry that is not allowed, which is never asked', async () => {
    const there = await world()
    const { error } = await importWhole(there, { from: 'evil.example/lib/app' })
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
    expect(there.registry.requests).toEqual([])
  })

  test.each([':v1', '@sha256:abc', `@sha256:${'a'.repeat(64)}`, ':v1@x'])(
    'is one with %s behind it',
    async (suffix) => {
      const there = await world()
      const { error } = await importWhole(there, { from: there.from + suffix })
      expect(error).toMatchObject({ code: 'INVALID', causes: [{ field: 'from.name' }] })
      expect(there.registry.requests).toEqual([])
    },
  )

  test('is what is no reference', async () => {
    const there = await world()
    expect((await importWhole(there, { from: 'Not A Reference' })).error?.code).toBe('INVALID')
  })

  test('of a stream that the client saw and that is gone is never asked for', async () => {
    const there = await world()
    await expect(importWhole(there, { uid: 'gone' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(importWhole(there, { resourceVersion: '1' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(there.registry.requests).toEqual([])
  })
})

describe('an import of several images', () => {
  test('of which two are for one tag is refused before any upstream is asked, by the second', async () => {
    const there = await world()
    const images = ['1.0', '1.1', '1.0'].map((tag) => ({ from: `${there.from}:${tag}`, to: 'prod', importPolicy: {} }))
    await expect(there.importer.import({ ...app, by: 'ann', images })).rejects.toMatchObject({
      code: 'INVALID',
      causes: [
        { field: 'spec.images[1].to.name', reason: 'FieldValueDuplicate' },
        { field: 'spec.images[2].to.name', reason: 'FieldValueDuplicate' },
      ],
    })
    expect(there.registry.requests).toEqual([])
    expect(await there.reader.stream(app)).toBeUndefined()
  })

  test('that may be insecure opens no registry that the operator does not', async () => {
    const there = await world()
    const images = [{ from: '127.0.0.1:9/lib/app:v1', to: 'prod', importPolicy: { insecure: true } }]
    const result = await there.importer.import({ ...app, by: 'ann', images })
    expect(result.images).toMatchObject([{ error: { upstream: { reason: 'NotAllowed' } } }])
  })
})
