import { describe, expect, test } from 'vitest'
import { imageApi, invalidFields, names, rbacApi, refusal, weirApi } from '../world.ts'
import { type ImagesWorld, imagesWorld, tags, v1, v2, wire, withoutContent } from './images.ts'

const events = `${weirApi}/namespaces/demo/tagevents`
const ofProd = 'fieldSelector=stream%3Dapp,tag%3Dprod'

/** The tag `app:prod`, imported at v1 and then at v2. */
async function moved(): Promise<ImagesWorld> {
  const world = await imagesWorld()
  await world.importTag('prod')
  world.registry.put('lib/app', v2, { tag: 'v1' })
  await world.importTag('prod')
  return world
}

const rollback = (more: object = {}) => ({
  apiVersion: 'weir.dev/v1',
  kind: 'Rollback',
  stream: 'app',
  tag: 'prod',
  ...more,
})
const resume = (more: object = {}) => ({ kind: 'Resume', stream: 'app', tag: 'prod', ...more })

describe('tag events', () => {
  test('are the ledger of a tag, newest first', async () => {
    const { asAdmin, from, registry } = await moved()
    const { body } = await asAdmin('GET', `${events}?${ofProd}`)
    const event = (revision: number, image: string, more: object) => ({
      metadata: { name: `app.prod.${revision}`, namespace: 'demo', creationTimestamp: '2026-01-01T00:00:00Z' },
      stream: 'app',
      tag: 'prod',
      revision,
      image,
      mediaType: v1.manifest.mediaType,
      dockerImageReference: `${registry.host}/lib/app@${image}`,
      generation: revision + 1,
      cause: { kind: 'import', by: 'weir:admin', from: { kind: 'DockerImage', name: from } },
      ...more,
    })
    expect(body).toMatchObject({ kind: 'TagEventList', apiVersion: 'weir.dev/v1' })
    expect(body.items).toEqual([
      event(2, v2.manifest.digest, { previousImage: v1.manifest.digest }),
      event(1, v1.manifest.digest, {}),
    ])
  })

  test('I5: tell nobody without a right whether a project is there', async () => {
    const { send } = await moved()
    const ask = (project: string) => send('POST', `${weirApi}/namespaces/${project}/tagevents`, { body: rollback() })
    const [there, absent] = [await ask('demo'), await ask('gone')]
    expect(there).toMatchObject(refusal(403, 'Forbidden'))
    expect(absent.status).toBe(403)
    expect(JSON.stringify(absent.body)).toBe(
      JSON.stringify(there.body).replaceAll('"demo', '"gone').replaceAll('demo', 'gone'),
    )
  })

  test('in a project that is not there are 404 for who may move its tags', async () => {
    const { asAdmin } = await moved()
    expect(await asAdmin('POST', `${weirApi}/namespaces/gone/tagevents`, rollback())).toMatchObject(
      refusal(404, 'NotFound'),
    )
  })

  test('are not asked for with more than 64 KiB', async () => {
    const { asAdmin } = await moved()
    expect(await asAdmin('POST', events, rollback({ reason: 'x'.repeat(70_000) }))).toMatchObject(
      refusal(413, 'RequestEntityTooLarge', expect.stringContaining('65536')),
    )
  })

  test('are listed in pages', async () => {
    const { asAdmin } = await moved()
    await asAdmin('POST', events, rollback())
    const first = await asAdmin('GET', `${events}?${ofProd}&limit=2`)
    expect(names(first)).toEqual(['app.prod.3', 'app.prod.2'])
    const { continue: token } = first.body.metadata as { continue: string }
    const second = await asAdmin('GET', `${events}?${ofProd}&limit=2&continue=${token}`)
    expect(names(second)).toEqual(['app.prod.1'])
    expect(second.body.metadata).not.toHaveProperty('continue')
    const other = 'fieldSelector=stream%3Dapp,tag%3Dother'
    expect(await asAdmin('GET', `${events}?${other}&continue=${token}`)).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('come in pages of 1000, whatever the limit', async () => {
    const world = await moved()
    const entries = Array.from({ length: 1100 }, (_, i) => ({
      type: 'put' as const,
      key: `event/demo/app/long!${String(i + 1).padStart(12, '0')}`,
      value: JSON.stringify({ revision: i + 1, created: '2026-01-01T00:00:00Z', image: '', cause: {} }),
    }))
    for (let start = 0; start < entries.length; start += 100) {
      await world.store.commit({ operations: entries.slice(start, start + 100) })
    }
    const selector = 'fieldSelector=stream%3Dapp,tag%3Dlong'
    const first = await world.asAdmin('GET', `${events}?${selector}&limit=10000`)
    expect(names(first)).toHaveLength(1000)
    const { continue: token } = first.body.metadata as { continue: string }
    expect(names(await world.asAdmin('GET', `${events}?${selector}&continue=${token}`))).toHaveLength(100)
  })

  test('of a tag that never was are none', async () => {
    const { asAdmin } = await moved()
    for (const tag of ['gone', 'a!b', 'x y']) {
      const selector = encodeURIComponent(`stream=app,tag=${tag}`)
      expect(names(await asAdmin('GET', `${events}?fieldSelector=${selector}`))).toEqual([])
    }
  })

  test.each(['', '?fieldSelector=stream%3Dapp', '?fieldSelector=tag%3Dprod'])(
    'are not listed without stream and tag: "%s"',
    async (query) => {
      const { asAdmin } = await moved()
      expect(await asAdmin('GET', `${events}${query}`)).toMatchObject(
        refusal(400, 'BadRequest', expect.stringContaining('fieldSelector=stream=NAME,tag=NAME')),
      )
    },
  )

  test('are for those who may read the tag, or that one tag', async () => {
    const { asAdmin, send, robot } = await moved()
    const viewer = await robot('viewer', 'view')
    const puller = await robot('puller', 'system:image-puller')
    const limited = await robot('limited')
    const rules = [
      {
        apiGroups: ['image.openshift.io'],
        resources: ['imagestreamtags'],
        resourceNames: ['app:prod'],
        verbs: ['get'],
      },
    ]
    await asAdmin('POST', `${rbacApi}/namespaces/demo/roles`, { metadata: { name: 'one' }, rules })
    await asAdmin('POST', `${rbacApi}/namespaces/demo/rolebindings`, {
      metadata: { name: 'one' },
      subjects: [{ kind: 'ServiceAccount', name: 'limited', namespace: 'demo' }],
      roleRef: { kind: 'Role', name: 'one' },
    })
    const other = 'fieldSelector=stream%3Dapp,tag%3Dother'
    expect((await send('GET', `${events}?${ofProd}`, { token: viewer })).status).toBe(200)
    expect((await send('GET', `${events}?${ofProd}`, { token: limited })).status).toBe(200)
    expect((await send('GET', `${events}?${other}`, { token: limited })).status).toBe(403)
    expect((await send('GET', `${events}?${ofProd}`, { token: puller })).status).toBe(403)
    expect((await send('GET', `${events}?${ofProd}`)).status).toBe(403)
  })
})

describe('a rollback', () => {
  test('answers the event in force, which pulls see at once', async () => {
    const { asAdmin, pins } = await moved()
    expect(await asAdmin('POST', events, rollback({ reason: 'bad build' }))).toMatchObject({
      status: 201,
      body: {
        kind: 'TagEvent',
        apiVersion: 'weir.dev/v1',
        metadata: { name: 'app.prod.3', namespace: 'demo' },
        revision: 3,
        image: v1.manifest.digest,
        previousImage: v2.manifest.digest,
        cause: { kind: 'rollback', by: 'weir:admin', reason: 'bad build', restoredRevision: 1 },
      },
    })
    expect((await pins.pin({ project: 'demo', stream: 'app' }, 'prod'))?.digest).toBe(v1.manifest.digest)
  })

  test.each([
    ['a number', 1],
    ['digits', '1'],
    ['a digest', v1.manifest.digest],
  ])('goes to a target given as %s', async (_, to) => {
    const { asAdmin } = await moved()
    expect((await asAdmin('POST', events, rollback({ to }))).body).toMatchObject({ image: v1.manifest.digest })
  })

  test('takes its reason from the change-cause annotation too', async () => {
    const { asAdmin } = await moved()
    const metadata = { annotations: { 'kubernetes.io/change-cause': 'by kubectl' } }
    expect((await asAdmin('POST', events, rollback({ metadata }))).body).toMatchObject({
      cause: { reason: 'by kubectl' },
    })
  })

  test.each([
    ['revision 99', { to: 99 }, 'to'],
    ['revision 0', { to: 0 }, 'to'],
    ['revision -1', { to: -1 }, 'to'],
    ['a word', { to: 'latest' }, 'to'],
    ['a short digest', { to: 'sha256:abc' }, 'to'],
    ['a stranger’s digest', { to: `sha256:${'0'.repeat(64)}` }, 'to'],
    ['no stream', { stream: '' }, 'stream'],
    ['a bad stream', { stream: '../other/app' }, 'stream'],
    ['no tag', { tag: '' }, 'tag'],
    ['a bad tag', { tag: 'a!b' }, 'tag'],
  ])('to %s is refused and moves nothing', async (_, more, field) => {
    const { asAdmin } = await moved()
    expect(await asAdmin('POST', events, rollback(more))).toMatchObject(invalidFields(field))
    expect((await asAdmin('GET', `${tags}/app:prod`)).body).toMatchObject({
      image: { metadata: { name: v2.manifest.digest } },
    })
  })

  test.each([
    ['another kind', { kind: 'TagEvent' }],
    ['no kind', { kind: undefined }],
    ['a fraction', { to: 1.5 }],
  ])('with %s is refused', async (_, more) => {
    const { asAdmin } = await moved()
    expect(await asAdmin('POST', events, rollback(more))).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('of a stream that is not there is 404', async () => {
    const { asAdmin } = await moved()
    expect(await asAdmin('POST', events, rollback({ stream: 'gone' }))).toMatchObject(refusal(404, 'NotFound'))
  })

  test('of another project’s tag goes by that project’s rights', async () => {
    const { asAdmin, send, robot } = await moved()
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    const token = await robot('editor', 'edit')
    const there = `${weirApi}/namespaces/other/tagevents`
    expect((await send('POST', there, { token, body: rollback() })).status).toBe(403)
    const body = rollback({ metadata: { namespace: 'demo' } })
    expect((await asAdmin('POST', there, body)).status).toBe(400)
  })

  test('needs the right to update the tag, and is refused the same whether it exists', async () => {
    const { send, robot } = await moved()
    const viewer = await robot('viewer', 'view')
    expect(await send('POST', events, { token: viewer, body: rollback() })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('cannot update resource "imagestreamtags"')),
    )
    expect((await send('POST', events, { token: viewer, body: rollback({ stream: 'gone' }) })).status).toBe(403)
    const editor = await robot('editor', 'edit')
    expect((await send('POST', events, { token: editor, body: rollback() })).status).toBe(201)
  })
})

describe('a resume', () => {
  test('ends the hold, checks the source, and answers the event in force', async () => {
    const { asAdmin, pins } = await moved()
    await asAdmin('POST', events, rollback())
    expect(await asAdmin('POST', events, resume({ reason: 'fixed' }))).toMatchObject({
      status: 201,
      body: { kind: 'TagEvent', revision: 4, image: v2.manifest.digest, cause: { kind: 'import', reason: 'fixed' } },
    })
    expect((await pins.pin({ project: 'demo', stream: 'app' }, 'prod'))?.digest).toBe(v2.manifest.digest)
    expect(withoutContent(wire(await asAdmin('GET', `${tags}/app:prod`))).metadata).not.toHaveProperty('annotations')
  })

  test('with the source gone answers where the tag stays', async () => {
    const { asAdmin, registry } = await moved()
    await asAdmin('POST', events, rollback())
    registry.untag('lib/app', 'v1')
    expect(await asAdmin('POST', events, resume())).toMatchObject({
      status: 201,
      body: { kind: 'TagEvent', revision: 3, image: v1.manifest.digest, cause: { kind: 'rollback' } },
    })
    expect((await asAdmin('GET', `${tags}/app:prod`)).body).toMatchObject({ conditions: [{ reason: 'NotFound' }] })
  })

  test('of a tag that is not held, or with a target, is refused', async () => {
    const { asAdmin } = await moved()
    expect(await asAdmin('POST', events, resume())).toMatchObject({ status: 422 })
    await asAdmin('POST', events, rollback())
    expect(await asAdmin('POST', events, resume({ to: 1 }))).toMatchObject(invalidFields('to'))
  })

  test('of a tag that is not there is 404', async () => {
    const { asAdmin } = await moved()
    expect(await asAdmin('POST', events, resume({ tag: 'gone' }))).toMatchObject(refusal(404, 'NotFound'))
    expect((await asAdmin('GET', `${imageApi}/namespaces/demo/imagestreamtags/app:gone`)).status).toBe(404)
  })
})
