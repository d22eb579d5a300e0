import { describe, expect, test } from 'vitest'
import { apiWorld, imageApi, inDemo, invalidFields, names, refusal } from '../world.ts'

const secrets = `/api/v1/${inDemo}/secrets`
const base64 = (text: string) => Buffer.from(text).toString('base64')
const auths = { 'registry.test': { auth: base64('robot:s3cret') } }
const dockerConfig = { '.dockerconfigjson': base64(JSON.stringify({ auths })) }

describe('secrets', () => {
  test('are created, read, changed, listed and deleted in Kubernetes’ shape', async () => {
    const { asAdmin } = await apiWorld()
    const made = await asAdmin('POST', secrets, {
      metadata: { name: 'pull' },
      type: 'kubernetes.io/dockerconfigjson',
      data: dockerConfig,
    })
    expect(made).toMatchObject({
      status: 201,
      body: {
        kind: 'Secret',
        apiVersion: 'v1',
        metadata: { name: 'pull', namespace: 'demo', uid: expect.any(String) },
        type: 'kubernetes.io/dockerconfigjson',
        data: dockerConfig,
      },
    })
    expect((await asAdmin('GET', `${secrets}/pull`)).body).toEqual(made.body)
    const data = { '.dockerconfigjson': base64('{}') }
    const put = { metadata: { name: 'pull' }, type: 'kubernetes.io/dockerconfigjson', data }
    expect(await asAdmin('PUT', `${secrets}/pull`, put)).toMatchObject({ status: 200, body: { data } })
    expect((await asAdmin('GET', secrets)).body).toMatchObject({ kind: 'SecretList', items: [{ data }] })
    expect((await asAdmin('DELETE', `${secrets}/pull`)).status).toBe(200)
    expect(await asAdmin('GET', `${secrets}/pull`)).toMatchObject(refusal(404, 'NotFound', 'secrets "pull" not found'))
  })

  test('keep stringData as data, and never show it', async () => {
    const { asAdmin } = await apiWorld()
    const sent = { metadata: { name: 's' }, data: { a: base64('1'), b: base64('2') }, stringData: { b: 'two', c: '' } }
    const made = await asAdmin('POST', secrets, sent)
    expect(made.body).toMatchObject({ type: 'Opaque', data: { a: base64('1'), b: base64('two'), c: '' } })
    expect(made.body).not.toHaveProperty('stringData')
    expect((await asAdmin('GET', `${secrets}/s`)).body).toEqual(made.body)
  })
})

describe('imagestreams/secrets', () => {
  test('shows the project’s logins to registries, whatever the stream is called', async () => {
    const { asAdmin } = await apiWorld()
    const config = { type: 'kubernetes.io/dockerconfigjson', data: dockerConfig }
    await asAdmin('POST', secrets, { metadata: { name: 'a' }, ...config })
    await asAdmin('POST', secrets, { metadata: { name: 'b' }, data: dockerConfig })
    const annotations = { 'openshift.io/image.excludeSecret': 'true' }
    await asAdmin('POST', secrets, { metadata: { name: 'c', annotations }, ...config })
    const shown = await asAdmin('GET', `${imageApi}/${inDemo}/imagestreams/any/secrets`)
    expect(shown.body).toMatchObject({ kind: 'SecretList', apiVersion: 'v1', items: [config] })
    expect(names(shown)).toEqual(['a'])
  })
})

test('a secret with a wrong docker config is refused', async () => {
  const { asAdmin } = await apiWorld()
  const data = { '.dockerconfigjson': base64('{') }
  const body = { metadata: { name: 'a' }, type: 'kubernetes.io/dockerconfigjson', data }
  expect(await asAdmin('POST', secrets, body)).toMatchObject(invalidFields('data[.dockerconfigjson]'))
})
