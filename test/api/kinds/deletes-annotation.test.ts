import { describe, expect, test } from 'vitest'
import { makeImage } from '../../support/images.ts'
import { type Answered, apiWorld, imageApi, inDemo } from '../world.ts'

const name = 'weir.dev/deletes'
const project = '/api/v1/namespaces/demo'
const stream = `${imageApi}/${inDemo}/imagestreams/app`

const causesOf = ({ body }: Answered) => (body.details as { causes?: unknown[] } | undefined)?.causes

async function world() {
  const api = await apiWorld()
  await api.asAdmin('POST', `${imageApi}/${inDemo}/imagestreams`, { metadata: { name: 'app' } })
  const annotate = (path: string, value: string | null) =>
    api.send('PATCH', path, {
      token: api.adminToken,
      body: { metadata: { annotations: { [name]: value } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
  return { ...api, annotate }
}

describe.each([
  ['a project', project],
  ['an image stream', stream],
])('the annotation weir.dev/deletes of %s', (_what, path) => {
  test('is denied or allowed, without a warning', async () => {
    const { annotate } = await world()
    for (const value of ['denied', 'allowed']) {
      const answer = await annotate(path, value)
      expect(answer).toMatchObject({ status: 200, body: { metadata: { annotations: { [name]: value } } } })
      expect(answer.headers.get('warning')).toBeNull()
    }
    expect((await annotate(path, null)).status).toBe(200)
  })

  test.each(['Denied', 'no', '', 'x'.repeat(5000)])('is refused as %j', async (value) => {
    const { annotate } = await world()
    await annotate(path, 'denied')
    const answer = await annotate(path, value)
    expect(answer.status).toBe(422)
    expect(causesOf(answer)).toMatchObject([
      {
        field: `metadata.annotations[${name}]`,
        reason: 'FieldValueInvalid',
        message: expect.stringContaining('write denied or allowed'),
      },
    ])
  })
})

describe.each([
  ['project demo', project],
  ['image stream demo/app', stream],
])('denied on %s', (where, path) => {
  const tag = `${imageApi}/${inDemo}/imagestreamtags/app:prod`
  const alias = `${imageApi}/${inDemo}/imagetags/app:prod`

  async function denied() {
    const api = await world()
    api.registry.put('lib/app', makeImage('denied'), { tag: 'v1' })
    await api.importImage('app', 'prod', `${api.registry.host}/lib/app:v1`)
    await api.annotate(path, 'denied')
    return api
  }

  test.each([tag, alias, stream])('refuses to delete %s, dry run or not, and names the annotation', async (object) => {
    const api = await denied()
    for (const query of ['?dryRun=All', '']) {
      const answer = await api.asAdmin('DELETE', `${object}${query}`)
      expect(answer).toMatchObject({ status: 403, body: { reason: 'Forbidden' } })
      expect(answer.body.message).toContain(`${where} has the annotation weir.dev/deletes: denied`)
    }
    expect((await api.asAdmin('GET', tag)).status).toBe(200)
    await api.annotate(path, null)
    expect((await api.asAdmin('DELETE', object)).status).toBe(200)
    expect((await api.asAdmin('GET', tag)).status).toBe(404)
  })
})
