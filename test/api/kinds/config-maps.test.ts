import { describe, expect, test } from 'vitest'
import { apiWorld, inDemo, invalidFields, names, refusal } from '../world.ts'

const configMaps = `/api/v1/${inDemo}/configmaps`

describe('config maps', () => {
  test('are created, read, changed, listed and deleted in Kubernetes’ shape', async () => {
    const { asAdmin } = await apiWorld()
    const data = { 'app.yaml': 'a: 1\n', constructor: 'x', 'a..b': '' }
    const made = await asAdmin('POST', configMaps, { metadata: { name: 'c' }, data, binaryData: { raw: 'AAE=' } })
    expect(made).toMatchObject({
      status: 201,
      body: {
        kind: 'ConfigMap',
        apiVersion: 'v1',
        metadata: { name: 'c', namespace: 'demo', uid: expect.any(String) },
        data,
        binaryData: { raw: 'AAE=' },
      },
    })
    expect((await asAdmin('GET', `${configMaps}/c`)).body).toEqual(made.body)
    const changed = await asAdmin('PUT', `${configMaps}/c`, { metadata: { name: 'c' }, data: { b: '2' } })
    expect(changed).toMatchObject({ status: 200, body: { data: { b: '2' } } })
    expect(changed.body).not.toHaveProperty('binaryData')
    expect((await asAdmin('GET', configMaps)).body).toMatchObject({
      kind: 'ConfigMapList',
      items: [{ data: { b: '2' } }],
    })
    expect((await asAdmin('DELETE', `${configMaps}/c`)).status).toBe(200)
    expect(await asAdmin('GET', `${configMaps}/c`)).toMatchObject(refusal(404, 'NotFound', 'configmaps "c" not found'))
  })

  test('that oc login looks for and that are not there are 404', async () => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('GET', '/api/v1/namespaces/openshift/configmaps/motd')).toMatchObject(
      refusal(404, 'NotFound', 'configmaps "motd" not found'),
    )
  })

  test.each([
    ['an empty key', '{"": "x"}', 'data[]'],
    ['a key with a slash', '{"a/b": "x"}', 'data[a/b]'],
    ['the key .', '{".": "x"}', 'data[.]'],
    ['the key ..', '{"..": "x"}', 'data[..]'],
    ['a key that begins with ..', '{"..a": "x"}', 'data[..a]'],
    ['the key __proto__', '{"__proto__": "x"}', 'data[__proto__]'],
    ['a key with NUL', '{"a\\u0000": "x"}', 'data[a\0]'],
  ])('with %s are refused', async (_, data, field) => {
    const { send, adminToken: token } = await apiWorld()
    const body = `{"metadata": {"name": "c"}, "data": ${data}}`
    expect(await send('POST', configMaps, { token, body })).toMatchObject(invalidFields(field))
  })

  test.each([
    ['a key twice', { data: { a: 'x' }, binaryData: { a: 'AA==' } }, 'data[a]'],
    ['bytes that are no base64', { binaryData: { a: 'no base64' } }, 'binaryData[a]'],
    ['base64 without its end', { binaryData: { a: 'AAE' } }, 'binaryData[a]'],
  ])('with %s are refused', async (_, fields, field) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', configMaps, { metadata: { name: 'c' }, ...fields })).toMatchObject(
      invalidFields(field),
    )
  })

  test.each([
    ['a value that is no text', { data: { a: 1 } }],
    ['a value that is null', { data: { a: null } }],
    ['data that is a list', { data: ['a'] }],
    ['data that is a text', { data: 'x'.repeat(1_000_000) }],
    ['immutable that is no boolean', { immutable: 'yes' }],
  ])('with %s are a bad request', async (_, fields) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', configMaps, { metadata: { name: 'c' }, ...fields })).toMatchObject(
      refusal(400, 'BadRequest'),
    )
  })

  test('of up to 512 KiB are kept, and larger ones refused with the bound', async () => {
    const { asAdmin } = await apiWorld()
    const body = (bytes: number) => ({ metadata: { name: 'c' }, data: { a: 'x'.repeat(bytes) } })
    expect((await asAdmin('POST', configMaps, body(500 * 1024))).status).toBe(201)
    const refused = refusal(413, 'RequestEntityTooLarge', expect.stringContaining('524288 bytes'))
    expect(await asAdmin('PUT', `${configMaps}/c`, body(1024 * 1024))).toMatchObject(refused)
    expect(await asAdmin('POST', configMaps, body(3 * 1024 * 1024))).toMatchObject(refused)
  })

  test('of many bad keys are refused without a cause for each', async () => {
    const { asAdmin } = await apiWorld()
    const data = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`!${i}`, '']))
    const answer = await asAdmin('POST', configMaps, { metadata: { name: 'c' }, data })
    expect(answer.status).toBe(422)
    expect((answer.body.details as { causes: unknown[] }).causes.length).toBeLessThanOrEqual(50)
  })

  test('that are immutable change in metadata alone', async () => {
    const { asAdmin } = await apiWorld()
    const fixed = { metadata: { name: 'c' }, data: { a: '1' }, immutable: true }
    await asAdmin('POST', configMaps, fixed)
    const put = (body: unknown) => asAdmin('PUT', `${configMaps}/c`, body)
    expect(await put({ ...fixed, data: { a: '2' } })).toMatchObject(invalidFields('data'))
    expect(await put({ ...fixed, immutable: false })).toMatchObject(invalidFields('immutable'))
    expect(await put({ ...fixed, binaryData: { b: 'AA==' } })).toMatchObject(invalidFields('binaryData'))
    expect(await put({ ...fixed, metadata: { name: 'c', labels: { a: 'b' } } })).toMatchObject({ status: 200 })
    expect((await asAdmin('DELETE', `${configMaps}/c`)).status).toBe(200)
  })

  test('are read by viewers and written by editors of their project alone', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    await asAdmin('POST', configMaps, { metadata: { name: 'c' } })
    const viewer = await robot('viewer', 'view')
    const editor = await robot('editor', 'edit')
    const nobody = await robot('nobody')
    const body = { metadata: { name: 'd' } }
    expect(names(await send('GET', configMaps, { token: viewer }))).toEqual(['c'])
    expect((await send('POST', configMaps, { token: viewer, body })).status).toBe(403)
    expect((await send('POST', configMaps, { token: editor, body })).status).toBe(201)
    for (const sent of [{ token: nobody }, {}]) {
      expect((await send('GET', configMaps, sent)).status).toBe(403)
      expect((await send('GET', `${configMaps}/none`, sent)).status).toBe(403)
      expect((await send('POST', configMaps, { ...sent, body })).status).toBe(403)
      expect((await send('DELETE', `${configMaps}/c`, sent)).status).toBe(403)
    }
    expect((await send('GET', '/api/v1/namespaces/other/configmaps', { token: editor })).status).toBe(403)
  })
})
