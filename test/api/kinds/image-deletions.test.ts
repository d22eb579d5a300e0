import { describe, expect, test } from 'vitest'
import { makeImage, makeIndex } from '../../support/images.ts'
import { type ApiWorld, apiWorld, inDemo, invalidFields, refusal, weirApi } from '../world.ts'

const image = makeImage('deleted')
const { digest } = image.manifest
const path = `${weirApi}/${inDemo}/imagedeletions`
const app = { project: 'demo', stream: 'app' }
const body = (spec: unknown) => ({ apiVersion: 'weir.dev/v1', kind: 'ImageDeletion', spec })

/** `demo/app:prod` and `:stable` stand at an image. */
async function world(): Promise<ApiWorld> {
  const api = await apiWorld()
  for (const tag of ['prod', 'stable']) {
    api.registry.put('lib/app', image, { tag })
    await api.importImage('app', tag, `${api.registry.host}/lib/app:${tag}`)
  }
  return api
}

async function tagsOf(api: ApiWorld): Promise<string[]> {
  return (await api.reader.tags(app)).map(({ name }) => name)
}

describe('an image deletion', () => {
  test('takes the image with its tags, and tells them and why', async () => {
    const api = await world()
    const answer = await api.asAdmin('POST', path, body({ stream: 'app', image: digest, reason: 'a leaked key' }))
    expect(answer).toMatchObject({
      status: 201,
      body: {
        kind: 'ImageDeletion',
        apiVersion: 'weir.dev/v1',
        metadata: { name: `app@${digest}`, namespace: 'demo' },
        spec: { stream: 'app', image: digest, dryRun: false, reason: 'a leaked key' },
        status: { tags: ['prod', 'stable'], manifests: [digest], dryRun: false },
      },
    })
    expect(await tagsOf(api)).toEqual([])
    const [entry] = await api.reader.ledger(app, 'prod')
    expect(entry?.cause).toMatchObject({ kind: 'delete', reason: 'a leaked key' })
    expect(api.audited.at(-1)).toMatchObject({ verb: 'create', object: { resource: 'imagedeletions' } })
  })

  test('of a tag leaves the image and its other tags', async () => {
    const api = await world()
    const answer = await api.asAdmin('POST', path, body({ stream: 'app', tag: 'prod' }))
    expect(answer).toMatchObject({ status: 201, body: { status: { tags: ['prod'], manifests: [] } } })
    expect(await tagsOf(api)).toEqual(['stable'])
  })

  test.each([
    ['in the object', path, { dryRun: true }],
    ['in the query', `${path}?dryRun=All`, {}],
  ])('that is a dry run, said %s, takes nothing', async (_where, to, more) => {
    const api = await world()
    const answer = await api.asAdmin('POST', to, body({ stream: 'app', image: digest, ...more }))
    expect(answer).toMatchObject({
      status: 201,
      body: { spec: { dryRun: true }, status: { tags: ['prod', 'stable'], manifests: [digest], dryRun: true } },
    })
    expect(await tagsOf(api)).toEqual(['prod', 'stable'])
  })

  test('is for who may delete from the stream: neither who pulls nor who pushes', async () => {
    const api = await world()
    const wish = body({ stream: 'app', tag: 'prod' })
    for (const role of ['system:image-puller', 'system:image-pusher']) {
      const token = await api.robot(role.replace('system:', ''), role)
      expect(await api.send('POST', path, { token, body: wish })).toMatchObject(refusal(403, 'Forbidden'))
    }
    expect((await api.send('POST', path, { body: wish })).status).toBe(403)
    expect(await tagsOf(api)).toEqual(['prod', 'stable'])
    const editor = await api.robot('editor', 'registry-editor')
    expect((await api.send('POST', path, { token: editor, body: wish })).status).toBe(201)
  })

  test('of a held tag is refused with the field and what to do', async () => {
    const api = await world()
    await api.tagEvents.rollback(app, 'prod', { by: 'ann', to: 1 })
    for (const spec of [
      { stream: 'app', image: digest },
      { stream: 'app', tag: 'prod' },
    ]) {
      const answer = await api.asAdmin('POST', path, body(spec))
      expect(answer).toMatchObject(invalidFields('spec'))
      expect(answer.body.message).toContain('weir resume demo/app:prod')
    }
    expect(await tagsOf(api)).toEqual(['prod', 'stable'])
  })

  test('of what an index names, at which a tag stands, is refused with 422, and names both', async () => {
    const api = await world()
    const index = makeIndex('multi')
    api.registry.put('lib/app', index, { tag: 'multi' })
    await api.importImage('app', 'multi', `${api.registry.host}/lib/app:multi`)
    const [child] = index.children
    const spec = { stream: 'app', image: child?.manifest.digest }
    for (const dryRun of [true, false]) {
      const answer = await api.asAdmin('POST', path, body({ ...spec, dryRun }))
      expect(answer).toMatchObject(invalidFields('spec'))
      expect(answer.body.message).toContain(index.manifest.digest)
      expect(answer.body.message).toContain('tag "multi"')
    }
  })

  test.each([
    [{}, ['spec.stream', 'spec.image']],
    [{ stream: 'App', tag: '!' }, ['spec.stream', 'spec.tag']],
    [{ stream: 'app', image: 'sha256:1234' }, ['spec.image']],
    [{ stream: 'app', image: 'x'.repeat(5000) }, ['spec.image']],
    [{ stream: 'app', image: digest, tag: 'prod' }, ['spec.tag']],
  ])('of %o is refused by its fields', async (spec, fields) => {
    const api = await world()
    expect(await api.asAdmin('POST', path, body(spec))).toMatchObject(invalidFields(...fields))
  })

  test('of what is not there is 404 and says so', async () => {
    const api = await world()
    const other = makeImage('other').manifest.digest
    for (const [spec, words] of [
      [{ stream: 'app', tag: 'none' }, 'demo/app has no tag "none"'],
      [{ stream: 'app', image: other }, `demo/app has no image ${other}`],
      [{ stream: 'none', tag: 'prod' }, 'none'],
    ] as const) {
      const answer = await api.asAdmin('POST', path, body(spec))
      expect(answer).toMatchObject(refusal(404, 'NotFound'))
      expect(answer.body.message).toContain(words)
    }
  })

  test('can be found by discovery and explained', async () => {
    const api = await world()
    const { body: group } = await api.asAdmin('GET', weirApi)
    expect(group.resources).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'imagedeletions', verbs: ['create'] })]),
    )
    const { text } = await api.asAdmin('GET', '/openapi/v3/apis/weir.dev/v1')
    expect(text).toContain('dev.weir.v1.ImageDeletionStatus')
  })
})
