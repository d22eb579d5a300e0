import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maxBodyBytes } from '../../../src/api/body.ts'
import { checkSecret, secretFields } from '../../../src/api/kinds/secret-fields.ts'
import { apiWorld, imageApi, inDemo, invalidFields, names, rbacApi, refusal } from '../world.ts'

const secrets = `/api/v1/${inDemo}/secrets`
const base64 = (text: string) => Buffer.from(text).toString('base64')
const config = (text: string) => ({ '.dockerconfigjson': base64(text) })
const dockerConfig = config(JSON.stringify({ auths: { 'registry.test': { auth: base64('robot:s3cret') } } }))
const pullType = 'kubernetes.io/dockerconfigjson'
const named = (name: string, fields: object = {}) => ({ metadata: { name }, ...fields })
const patchOf = (type: string) => ({ 'content-type': `application/${type}` })

describe('secrets', () => {
  test('are created, read, changed, listed and deleted in Kubernetes’ shape', async () => {
    const { asAdmin } = await apiWorld()
    const made = await asAdmin('POST', secrets, named('pull', { type: pullType, data: dockerConfig }))
    expect(made).toMatchObject({
      status: 201,
      body: {
        kind: 'Secret',
        apiVersion: 'v1',
        metadata: { name: 'pull', namespace: 'demo', uid: expect.any(String) },
        type: pullType,
        data: dockerConfig,
      },
    })
    expect((await asAdmin('GET', `${secrets}/pull`)).body).toEqual(made.body)
    const put = named('pull', { type: pullType, data: config('{}') })
    expect(await asAdmin('PUT', `${secrets}/pull`, put)).toMatchObject({ status: 200, body: { data: config('{}') } })
    expect((await asAdmin('GET', secrets)).body).toMatchObject({ kind: 'SecretList', items: [{ data: config('{}') }] })
    expect((await asAdmin('DELETE', `${secrets}/pull`)).status).toBe(200)
    expect(await asAdmin('GET', `${secrets}/pull`)).toMatchObject(refusal(404, 'NotFound', 'secrets "pull" not found'))
  })

  test('keep stringData as data, and never show it', async () => {
    const { asAdmin } = await apiWorld()
    const data = { a: base64('1'), b: base64('2') }
    const made = await asAdmin('POST', secrets, named('s', { data, stringData: { b: 'zwei\u00e4', c: '' } }))
    expect(made.body).toMatchObject({ type: 'Opaque', data: { a: base64('1'), b: base64('zwei\u00e4'), c: '' } })
    expect(made.body).not.toHaveProperty('stringData')
    expect((await asAdmin('GET', `${secrets}/s`)).body).toEqual(made.body)
  })

  test('of any text in stringData and any bytes in data are kept as they were written', () => {
    const key = fc.stringMatching(/^[-_a-zA-Z0-9]{1,20}$/).filter((name) => name !== '__proto__')
    fc.assert(
      fc.property(
        fc.dictionary(key, fc.uint8Array({ maxLength: 40 }), { maxKeys: 5, noNullPrototype: true }),
        fc.dictionary(key, fc.string({ unit: 'grapheme' }), { maxKeys: 5, noNullPrototype: true }),
        (bytes, stringData) => {
          const data = mapValues(bytes, (value) => Buffer.from(value).toString('base64'))
          const kept = secretFields.parse({ data, stringData })
          expect(kept.data ?? {}).toEqual({ ...data, ...mapValues(stringData, base64) })
          expect(checkSecret(kept)).toEqual([])
          expect(secretFields.parse(kept)).toEqual(kept)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('take as base64 what Go takes, and nothing else', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'AbZ9+/=-_ \n\r'), maxLength: 12 }), (text) => {
        // encoding/base64's StdEncoding: line breaks are skipped, then groups of four, the last one padded.
        const isGo = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(
          text.replace(/[\r\n]/g, ''),
        )
        const causes = checkSecret(secretFields.parse({ data: { a: text } }))
        expect([text, causes.length === 0]).toEqual([text, isGo])
      }),
      { numRuns: 1000 },
    )
  })

  test.each([
    ['line breaks', 'c2Vj\r\ncmV0\n', 'c2VjcmV0'],
    ['bits behind the end', 'AB==', 'AA=='],
  ])('in base64 with %s are kept as Kubernetes writes it', async (_, sent, kept) => {
    const { asAdmin } = await apiWorld()
    const made = await asAdmin('POST', secrets, named('s', { data: { a: sent } }))
    expect(made.body, made.text).toMatchObject({ data: { a: kept } })
    const again = await asAdmin('PUT', `${secrets}/s`, named('s', { data: { a: sent } }))
    expect(again.body.data).toEqual({ a: kept })
  })

  test.each([
    ['kubernetes.io/dockercfg', { '.dockercfg': base64('{"registry.test":{"auth":"YTpi"}}') }],
    ['kubernetes.io/basic-auth', { username: base64('ann') }],
    ['kubernetes.io/basic-auth', { password: '' }],
    ['kubernetes.io/tls', { 'tls.crt': base64('c'), 'tls.key': base64('k') }],
    ['kubernetes.io/ssh-auth', { 'ssh-privatekey': base64('k') }],
    ['bootstrap.kubernetes.io/token', {}],
    ['example.com/own', { anything: '' }],
  ])('of type %s are taken with what it needs', async (type, data) => {
    const { asAdmin } = await apiWorld()
    const made = await asAdmin('POST', secrets, named('s', { type, data }))
    expect(made).toMatchObject({ status: 201, body: { type } })
  })

  test.each<[string, Record<string, string> | undefined, string[]]>([
    [pullType, {}, ['data[.dockerconfigjson]']],
    [pullType, { '.dockercfg': base64('{}') }, ['data[.dockerconfigjson]']],
    [pullType, config('{'), ['data[.dockerconfigjson]']],
    [pullType, config(''), ['data[.dockerconfigjson]']],
    [pullType, config('[]'), ['data[.dockerconfigjson]']],
    [pullType, config('{"auths": 1}'), ['data[.dockerconfigjson]']],
    ['kubernetes.io/dockercfg', { '.dockercfg': base64('nothing') }, ['data[.dockercfg]']],
    ['kubernetes.io/dockercfg', undefined, ['data[.dockercfg]']],
    ['kubernetes.io/basic-auth', { user: '' }, ['data[username]', 'data[password]']],
    ['kubernetes.io/tls', { 'tls.crt': '' }, ['data[tls.key]']],
    ['kubernetes.io/tls', undefined, ['data[tls.crt]', 'data[tls.key]']],
    ['kubernetes.io/ssh-auth', { 'ssh-privatekey': '' }, ['data[ssh-privatekey]']],
    ['kubernetes.io/ssh-auth', undefined, ['data[ssh-privatekey]']],
  ])('of type %s with %j are refused', async (type, data, fields) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', secrets, named('s', { type, data }))).toMatchObject(invalidFields(...fields))
    const dry = await asAdmin('POST', `${secrets}?dryRun=All`, named('s', { type, data }))
    expect(dry).toMatchObject(invalidFields(...fields))
    expect(names(await asAdmin('GET', secrets))).toEqual([])
  })

  test('without a key of their type are refused in the words of Kubernetes', async () => {
    const { asAdmin } = await apiWorld()
    const { body } = await asAdmin('POST', secrets, named('s', { type: pullType, data: {} }))
    expect(body).toMatchObject({ message: 'secrets "s" is invalid: data[.dockerconfigjson]: Required value' })
  })

  test('that hold tokens of service accounts are refused, with the way to get one', async () => {
    const { asAdmin } = await apiWorld()
    const annotations = { 'kubernetes.io/service-account.name': 'ci' }
    const body = { metadata: { name: 's', annotations }, type: 'kubernetes.io/service-account-token' }
    const refused = await asAdmin('POST', secrets, body)
    expect(refused).toMatchObject(invalidFields('type'))
    expect(refused.text).toContain('kubectl create token NAME')
  })

  test.each([
    ['an empty key', '{"": ""}', 'data[]'],
    ['a key with a slash', '{"a/b": ""}', 'data[a/b]'],
    ['the key ..', '{"..": ""}', 'data[..]'],
    ['the key __proto__', '{"__proto__": ""}', 'data[__proto__]'],
    ['a key with NUL', '{"a\\u0000": ""}', 'data[a\0]'],
    ['a key of 254 letters', `{"${'k'.repeat(254)}": ""}`, `data[${'k'.repeat(60)}...]`],
  ])('with %s are refused, in data and in stringData', async (_, map, field) => {
    const { send, adminToken: token } = await apiWorld()
    for (const name of ['data', 'stringData']) {
      const body = `{"metadata": {"name": "s"}, "${name}": ${map}}`
      const wanted = field.replace('data', name)
      expect(await send('POST', secrets, { token, body })).toMatchObject(invalidFields(wanted))
    }
  })

  test('with keys that objects have by themselves keep them', async () => {
    const { asAdmin } = await apiWorld()
    const data = { constructor: 'YQ==', toString: '', hasOwnProperty: 'YQ==', prototype: 'YQ==' }
    await asAdmin('POST', secrets, named('s', { data }))
    expect((await asAdmin('GET', `${secrets}/s`)).body.data).toEqual(data)
  })

  test.each([
    ['no base64', 'top secret value'],
    ['base64 of URLs', 'a-_b'],
    ['base64 without its end', 'dG9wIHNlY3JldA'],
    ['base64 with something behind its end', 'YQ==YQ=='],
    ['padding alone', '===='],
    ['letters of another script', 'ÄÄÄÄ'],
  ])('with %s are refused, and not quoted', async (_, value) => {
    const { asAdmin } = await apiWorld()
    const refused = await asAdmin('POST', secrets, named('s', { data: { good: 'YQ==', a: value } }))
    expect(refused).toMatchObject(invalidFields('data[a]'))
    expect(refused.text).not.toContain(value)
  })

  test.each([
    ['a value that is no text', { data: { a: 1 } }],
    ['a value that is null', { stringData: { a: null } }],
    ['data that is a list', { data: ['YQ=='] }],
    ['data that is a text', { data: 'x'.repeat(1_000_000) }],
    ['stringData that is nested', { stringData: { a: { b: 'c' } } }],
    ['a type that is a list', { type: ['Opaque'] }],
    ['immutable that is no boolean', { immutable: 'yes' }],
  ])('with %s are a bad request', async (_, fields) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', secrets, named('s', fields))).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('of up to 512 KiB are kept, and larger ones refused', async () => {
    const { asAdmin } = await apiWorld()
    const sized = (length: number) => named('s', { stringData: { a: 'x'.repeat(length) } })
    expect((await asAdmin('POST', secrets, sized(380 * 1024))).status).toBe(201)
    expect((await asAdmin('PUT', `${secrets}/s`, sized(383 * 1024))).status).toBe(200)
    const tooLarge = refusal(413, 'RequestEntityTooLarge')
    expect(await asAdmin('PUT', `${secrets}/s`, sized(500 * 1024))).toMatchObject(tooLarge)
    expect(await asAdmin('POST', secrets, sized(1024 * 1024 + 1))).toMatchObject(invalidFields('data'))
    expect(await asAdmin('POST', secrets, sized(maxBodyBytes))).toMatchObject(tooLarge)
  })

  test('of many bad keys or values are refused without a cause for each', async () => {
    const { asAdmin } = await apiWorld()
    const many = (key: string, value: string) =>
      Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`${key}${i}`, value]))
    for (const data of [many('!', ''), many('a', '!')]) {
      const refused = await asAdmin('POST', secrets, named('s', { data }))
      expect(refused.status).toBe(422)
      expect((refused.body.details as { causes: unknown[] }).causes.length).toBeLessThanOrEqual(50)
    }
  })

  test('keep their type', async () => {
    const { asAdmin, send, adminToken: token } = await apiWorld()
    await asAdmin('POST', secrets, named('s', { type: pullType, data: dockerConfig }))
    const tls = { type: 'kubernetes.io/tls', data: { 'tls.crt': '', 'tls.key': '' } }
    expect(await asAdmin('PUT', `${secrets}/s`, named('s', tls))).toMatchObject(invalidFields('type'))
    expect(await asAdmin('PUT', `${secrets}/s`, named('s', { data: dockerConfig }))).toMatchObject(
      invalidFields('type'),
    )
    const headers = patchOf('merge-patch+json')
    const patched = await send('PATCH', `${secrets}/s`, { token, headers, body: { type: null } })
    expect(patched).toMatchObject(invalidFields('type'))
  })

  test('that are immutable change in metadata alone', async () => {
    const { asAdmin } = await apiWorld()
    const fixed = named('s', { data: { a: 'YQ==' }, immutable: true })
    await asAdmin('POST', secrets, fixed)
    const put = (body: unknown) => asAdmin('PUT', `${secrets}/s`, body)
    expect(await put({ ...fixed, data: { a: 'Yg==' } })).toMatchObject(invalidFields('data'))
    expect(await put({ ...fixed, data: null })).toMatchObject(invalidFields('data'))
    expect(await put({ ...fixed, stringData: { a: 'b' } })).toMatchObject(invalidFields('data'))
    expect(await put({ ...fixed, immutable: false })).toMatchObject(invalidFields('immutable'))
    expect(await put({ ...fixed, immutable: null })).toMatchObject(invalidFields('immutable'))
    expect(await put({ ...fixed, stringData: { a: 'a' } })).toMatchObject({ status: 200 })
    expect(await put({ ...fixed, metadata: { name: 's', labels: { a: 'b' } } })).toMatchObject({ status: 200 })
    expect((await asAdmin('DELETE', `${secrets}/s`)).status).toBe(200)
  })

  test.each([
    ['merge-patch+json', { data: { a: null }, stringData: { b: 'two' } }],
    ['strategic-merge-patch+json', { data: { a: null }, stringData: { b: 'two' } }],
    [
      'json-patch+json',
      [
        { op: 'remove', path: '/data/a' },
        { op: 'add', path: '/data/b', value: 'dHdv' },
      ],
    ],
  ])('are changed by application/%s', async (type, body) => {
    const { asAdmin, send, adminToken: token } = await apiWorld()
    await asAdmin('POST', secrets, named('s', { data: { a: 'YQ==', c: 'Yw==' } }))
    const patched = await send('PATCH', `${secrets}/s`, { token, headers: patchOf(type), body })
    expect(patched).toMatchObject({ status: 200, body: { data: { b: 'dHdv', c: 'Yw==' } } })
    expect(patched.body.data).not.toHaveProperty('a')
  })

  test('are deleted as a collection, by label and by type', async () => {
    const { asAdmin } = await apiWorld()
    await asAdmin('POST', secrets, named('a', { type: pullType, data: dockerConfig }))
    await asAdmin('POST', secrets, { metadata: { name: 'b', labels: { x: 'y' } } })
    await asAdmin('POST', secrets, named('c'))
    expect(names(await asAdmin('GET', `${secrets}?fieldSelector=type%3D${pullType}`))).toEqual(['a'])
    expect(names(await asAdmin('GET', `${secrets}?fieldSelector=type!%3D${pullType}`))).toEqual(['b', 'c'])
    expect((await asAdmin('DELETE', `${secrets}?labelSelector=x%3Dy`)).status).toBe(200)
    expect((await asAdmin('DELETE', `${secrets}?fieldSelector=type%3D${pullType}`)).status).toBe(200)
    expect(names(await asAdmin('GET', secrets))).toEqual(['c'])
  })

  test('write nothing as a dry run', async () => {
    const { asAdmin, store } = await apiWorld()
    const made = await asAdmin('POST', `${secrets}?dryRun=All`, named('s', { stringData: { a: 'b' } }))
    expect(made).toMatchObject({ status: 201, body: { data: { a: base64('b') }, type: 'Opaque' } })
    expect(await store.get('object/secrets/demo/s')).toBeUndefined()
    await asAdmin('POST', secrets, named('s'))
    const before = await store.get('object/secrets/demo/s')
    await asAdmin('PUT', `${secrets}/s?dryRun=All`, named('s', { stringData: { a: 'b' } }))
    expect(await store.get('object/secrets/demo/s')).toEqual(before)
  })

  test('that do not change are not written, though each sealing differs', async () => {
    const { asAdmin } = await apiWorld()
    const body = named('s', { stringData: { a: 'b' } })
    const made = await asAdmin('POST', secrets, body)
    expect((await asAdmin('PUT', `${secrets}/s`, body)).body).toEqual(made.body)
  })

  test('are shown in a table without their values', async () => {
    const { asAdmin, send, adminToken: token } = await apiWorld()
    await asAdmin('POST', secrets, named('pull', { type: pullType, data: dockerConfig }))
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
    const table = await send('GET', secrets, { token, headers })
    expect(table.body).toMatchObject({
      columnDefinitions: [{ name: 'Name' }, { name: 'Type' }, { name: 'Data' }, { name: 'Age' }],
      rows: [{ cells: ['pull', pullType, 1, '0s'] }],
    })
    expect(table.text).not.toContain(dockerConfig['.dockerconfigjson'])
  })

  test('are watched, by type, and seen as they were before', async () => {
    const { asAdmin, watch, adminToken } = await apiWorld()
    const next = await watch(`${secrets}?watch=1&fieldSelector=type%3DOpaque`, adminToken)
    await asAdmin('POST', secrets, named('pull', { type: pullType, data: dockerConfig }))
    await asAdmin('POST', secrets, named('s', { stringData: { a: '1' } }))
    await asAdmin('PUT', `${secrets}/s`, named('s', { stringData: { a: '2' } }))
    await asAdmin('DELETE', `${secrets}/s`)
    const seen = [await next(), await next(), await next()]
    expect(seen.map((event) => [event?.type, event?.object.data])).toEqual([
      ['ADDED', { a: base64('1') }],
      ['MODIFIED', { a: base64('2') }],
      ['DELETED', { a: base64('2') }],
    ])
  })

  test('are at most 1,000 in a project, and 16 MiB of them all', async () => {
    const { asAdmin, objects } = await apiWorld()
    for (let i = 0; i < 1000; i += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, j) =>
          objects.create('secrets', 'demo', { metadata: { name: `s${i + j}` }, type: 'Opaque' }),
        ),
      )
    }
    const full = refusal(403, 'Forbidden', expect.stringContaining('project demo has 1000 other secrets'))
    expect(await asAdmin('POST', secrets, named('more'))).toMatchObject(full)
    expect((await asAdmin('PUT', `${secrets}/s1`, named('s1', { stringData: { a: 'b' } }))).status).toBe(200)
    await asAdmin('DELETE', `${secrets}/s0`)
    expect((await asAdmin('POST', secrets, named('more'))).status).toBe(201)

    await asAdmin('POST', '/apis/project.openshift.io/v1/projectrequests', named('large'))
    const large = secrets.replace('demo', 'large')
    const stringData = { a: 'x'.repeat(380 * 1024) }
    let made = 0
    while ((await asAdmin('POST', large, named(`s${made}`, { stringData }))).status === 201) made += 1
    expect(made).toBeGreaterThan(15)
    expect(made).toBeLessThan(32)
    expect(await asAdmin('POST', large, named('more', { stringData }))).toMatchObject(refusal(403, 'Forbidden'))
    await asAdmin('POST', large, named('small'))
    const grown = await asAdmin('PUT', `${large}/small`, named('small', { stringData }))
    expect(grown).toMatchObject(refusal(403, 'Forbidden'))
  })
})

describe('rights to secrets', () => {
  test('are of editors, and of nobody who can only look', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    await asAdmin('POST', secrets, named('s', { stringData: { a: 'top-secret' } }))
    const editor = await robot('editor', 'edit')
    expect((await send('GET', `${secrets}/s`, { token: editor })).status).toBe(200)
    expect((await send('POST', secrets, { token: editor, body: named('t') })).status).toBe(201)
    for (const role of ['view', 'system:image-puller', 'system:image-builder', undefined]) {
      const token = await robot(`r${role?.replaceAll(':', '-')}`, role)
      const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io;includeObject=Object' }
      for (const path of ['', '/s', '/none', '?watch=1', '?watch=1&resourceVersion=1', '?limit=1']) {
        for (const more of [{}, { headers }]) {
          const refused = await send('GET', `${secrets}${path}`, { token, ...more })
          expect([role, path, refused.status]).toEqual([role, path, 403])
          expect(refused.text).not.toContain(base64('top-secret'))
        }
      }
      for (const [method, path] of [
        ['POST', ''],
        ['PUT', '/s'],
        ['DELETE', '/s'],
        ['DELETE', ''],
      ] as const) {
        expect((await send(method, `${secrets}${path}`, { token, body: named('s') })).status, method).toBe(403)
      }
      expect((await send('GET', `${imageApi}/${inDemo}/imagestreams/x/secrets`, { token })).status).toBe(403)
      expect((await send('GET', '/api/v1/secrets', { token })).status).toBe(403)
    }
    expect((await send('GET', `${secrets}/s`)).status).toBe(403)
    expect((await send('GET', '/api/v1/namespaces/other/secrets/s', { token: editor })).status).toBe(403)
  })

  test('of one name reach that secret alone', async () => {
    const { asAdmin, send, robot, objects, authorizer } = await apiWorld()
    await asAdmin('POST', secrets, named('s'))
    await asAdmin('POST', secrets, named('t'))
    const rules = [{ verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['secrets'], resourceNames: ['s'] }]
    await asAdmin('POST', `${rbacApi}/${inDemo}/roles`, { metadata: { name: 'one' }, rules })
    const token = await robot('r')
    const made = await objects.create('rolebindings', 'demo', {
      metadata: { name: 'one' },
      subjects: [{ kind: 'ServiceAccount', name: 'r', namespace: 'demo' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'one' },
    })
    await authorizer.reached(Number(made.metadata.resourceVersion))
    expect((await send('GET', `${secrets}/s`, { token })).status).toBe(200)
    expect((await send('GET', `${secrets}/t`, { token })).status).toBe(403)
    expect((await send('GET', secrets, { token })).status).toBe(403)
    expect(names(await send('GET', `${secrets}?fieldSelector=metadata.name%3Ds`, { token }))).toEqual(['s'])
  })
})

describe('imagestreams/secrets', () => {
  const path = `${imageApi}/${inDemo}/imagestreams/any/secrets`

  test('shows the project’s logins to registries, whatever the stream is called', async () => {
    const { asAdmin } = await apiWorld()
    const login = { type: pullType, data: dockerConfig }
    await asAdmin('POST', secrets, named('a', login))
    await asAdmin('POST', secrets, named('b', { data: dockerConfig }))
    const annotations = { 'openshift.io/image.excludeSecret': 'true' }
    await asAdmin('POST', secrets, { metadata: { name: 'c', annotations }, ...login })
    const old = { type: 'kubernetes.io/dockercfg', data: { '.dockercfg': base64('{}') } }
    await asAdmin('POST', secrets, { metadata: { name: 'd', labels: { x: 'y' } }, ...old })
    const shown = await asAdmin('GET', path)
    expect(shown.body).toMatchObject({ kind: 'SecretList', apiVersion: 'v1', items: [login, old] })
    expect(shown.body.metadata).toEqual({ resourceVersion: expect.stringMatching(/^\d+$/) })
    expect(names(shown)).toEqual(['a', 'd'])
    expect(names(await asAdmin('GET', `${path}?labelSelector=x%3Dy`))).toEqual(['d'])
    const first = await asAdmin('GET', `${path}?limit=1`)
    expect(names(first)).toEqual(['a'])
    const { continue: next } = first.body.metadata as { continue: string }
    expect(names(await asAdmin('GET', `${path}?limit=1&continue=${encodeURIComponent(next)}`))).toEqual(['d'])
  })

  test('of a project without any is empty, and of another is another’s', async () => {
    const { asAdmin } = await apiWorld()
    await asAdmin('POST', secrets, named('a', { type: pullType, data: dockerConfig }))
    expect(names(await asAdmin('GET', path.replace('demo', 'other')))).toEqual([])
  })

  test('needs its own right', async () => {
    const { send, robot, asAdmin } = await apiWorld()
    await asAdmin('POST', secrets, named('a', { type: pullType, data: dockerConfig }))
    expect(names(await send('GET', path, { token: await robot('e', 'edit') }))).toEqual(['a'])
    const refused = await send('GET', path, { token: await robot('v', 'view') })
    expect(refused).toMatchObject(refusal(403, 'Forbidden'))
  })
})

describe('the value of a secret', () => {
  const value = 'hunter2-hunter2-hunter2'
  const shapes = [value, base64(value), Buffer.from(value).toString('hex'), encodeURIComponent(value)]
  const showsIt = (text: string) => shapes.some((shape) => text.includes(shape))

  test('is neither in the store nor in its change log, whatever was done with it', async () => {
    const { asAdmin, send, adminToken: token, store } = await apiWorld()
    const applied = JSON.stringify({ stringData: { a: value } })
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': applied }
    const body = { metadata: { name: 's', annotations }, stringData: { a: value } }
    await asAdmin('POST', secrets, body)
    await asAdmin('PUT', `${secrets}/s`, { ...body, stringData: { a: value, b: value } })
    const headers = patchOf('apply-patch+yaml')
    const config = { apiVersion: 'v1', kind: 'Secret', ...named('s'), data: { c: base64(value) } }
    const owned = await send('PATCH', `${secrets}/s?fieldManager=me&force=true`, { token, headers, body: config })
    expect(owned.status).toBe(200)
    expect(JSON.stringify((owned.body.metadata as { managedFields: unknown }).managedFields)).toContain('"f:c"')
    expect(showsIt(JSON.stringify((owned.body.metadata as { managedFields: unknown }).managedFields))).toBe(false)
    await asAdmin('POST', secrets, named('t', { stringData: { a: value } }))
    await asAdmin('DELETE', `${secrets}/t`)
    let seen = 0
    for await (const { key, value: stored } of await store.range({ prefix: '' })) {
      seen += 1
      expect([key, showsIt(stored)]).toEqual([key, false])
    }
    const end = new AbortController()
    const { revision: newest } = await store.range({ prefix: '', limit: 0 })
    for await (const { revision, changes } of store.watch('object/', { since: 0, signal: end.signal })) {
      expect(showsIt(JSON.stringify(changes))).toBe(false)
      seen += changes.length
      if (revision >= newest) break
    }
    expect(seen).toBeGreaterThan(5)
    expect(showsIt((await asAdmin('GET', `${secrets}/s`)).text)).toBe(true)
  })

  test('is in no refusal and in no line of the log', async () => {
    const { asAdmin, send, adminToken: token, lines } = await apiWorld()
    await asAdmin('POST', secrets, named('s', { stringData: { a: value }, immutable: true }))
    const patch = (type: string, body: unknown, query = '') =>
      send('PATCH', `${secrets}/s${query}`, { token, headers: patchOf(type), body })
    const refusals = [
      await asAdmin('POST', secrets, named('x', { data: { a: value } })),
      await asAdmin('POST', secrets, named('x', { type: pullType, data: config(`{"${value}`) })),
      await asAdmin('POST', secrets, named('x', { type: pullType, data: config(`{"auths":"${value}"}`) })),
      await asAdmin('POST', secrets, named('x', { type: pullType, stringData: { '.dockerconfigjson': value } })),
      await asAdmin('POST', secrets, named('x', { data: { a: [value] } })),
      await asAdmin('POST', secrets, named('x', { stringData: [value] })),
      await asAdmin('POST', secrets, named('s', { stringData: { a: value } })),
      await asAdmin('POST', `${secrets}?fieldValidation=Strict`, named('x', { date: { a: value } })),
      await asAdmin('PUT', `${secrets}/s`, named('s', { stringData: { a: `${value}!` } })),
      await asAdmin('PUT', `${secrets}/s`, { metadata: { name: 's', resourceVersion: '1' }, stringData: { a: value } }),
      await asAdmin('PUT', `${secrets}/none`, named('none', { stringData: { a: value } })),
      await asAdmin('POST', secrets, named('x', { stringData: { a: value.repeat(60_000) } })),
      await send('POST', secrets, { token, body: `{"metadata":{"name":"x"},"data":{"a":"${value}}` }),
      await send('POST', secrets, { token, body: `{"stringData":{"a":"${value}"},"stringData":{"a":"${value}"}}` }),
      await send('POST', secrets, { token, headers: patchOf('yaml'), body: `stringData: {a: "${value}` }),
      await send('POST', secrets, { token, headers: patchOf('yaml'), body: `stringData: {a: &x ${value}, a: *y}` }),
      await patch('json-patch+json', [{ op: 'test', path: '/data/a', value: base64('other') }]),
      await patch('json-patch+json', [{ op: 'test', path: '/data/b', value }]),
      await patch('json-patch+json', [{ op: 'move', from: '/data/a', path: '/type' }]),
      await patch('merge-patch+json', { data: { a: base64('other') } }),
      await patch('merge-patch+json', { data: { a: { b: value } } }),
      await patch('strategic-merge-patch+json', { data: { $patch: value } }),
      await patch(
        'apply-patch+yaml',
        { apiVersion: 'v1', kind: 'Secret', ...named('s'), data: { a: 'YQ==' } },
        '?fieldManager=o',
      ),
      await send('GET', `${secrets}/s`),
    ]
    for (const [i, { status, text }] of refusals.entries()) {
      expect([i, status >= 400, showsIt(text)]).toEqual([i, true, false])
      expect(status, text).toBeLessThan(500)
    }
    expect(showsIt(lines.join('\n'))).toBe(false)
  })

  test('is in no file of the data directory, no metric and no line of the whole server’s log', async () => {
    const { startWorld } = await import('../../support/world.ts')
    const world = await startWorld()
    await world.cli('new-project', 'demo')
    const made = await world.api('POST', secrets, named('s', { stringData: { a: value } }))
    expect(made.status).toBe(201)
    await world.api('PUT', `${secrets}/s`, named('s', { stringData: { a: value, b: value } }))
    await world.api('DELETE', `${secrets}/s`)
    expect(showsIt((await world.request('/metrics')).body.toString())).toBe(false)
    await world.weir.stop(0)
    expect(showsIt(world.logged.join('\n'))).toBe(false)
    const files = await readdir(world.dataDirectory, { recursive: true, withFileTypes: true })
    const contents = await Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), 'latin1')),
    )
    expect(contents.length).toBeGreaterThan(5)
    expect(contents.filter(showsIt)).toEqual([])
    // The name is in the clear: the files were looked into.
    expect(contents.some((text) => text.includes('object/secrets/demo/s'))).toBe(true)
  })
})

function mapValues<T>(map: Record<string, T>, change: (value: T) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]))
}
