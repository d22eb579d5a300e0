import { describe, expect, test } from 'vitest'
import { type Answered, apiWorld } from '../world.ts'

const demo = '/api/v1/namespaces/demo'
const project = '/apis/project.openshift.io/v1/projects/demo'
const name = 'weir.dev/home'

const causesOf = ({ body }: Answered) => (body.details as { causes?: unknown[] } | undefined)?.causes

async function world() {
  const api = await apiWorld()
  const annotate = (home: string | null, path = demo) =>
    api.send('PATCH', path, {
      token: api.adminToken,
      body: { metadata: { annotations: { [name]: home } } },
      headers: { 'content-type': 'application/merge-patch+json' },
    })
  return { ...api, annotate }
}

describe('the annotation weir.dev/home of a project', () => {
  test.each([demo, project])(
    'is written through %s where its registry may be imported from, without a warning',
    async (path) => {
      const { annotate, registry } = await world()
      const answer = await annotate(`${registry.host}/team`, path)
      expect(answer).toMatchObject({
        status: 200,
        body: { metadata: { annotations: { [name]: `${registry.host}/team` } } },
      })
      expect(answer.headers.get('warning')).toBeNull()
      expect((await annotate(null, path)).status).toBe(200)
    },
  )

  test('is refused for another registry', async () => {
    const { annotate, registry, asAdmin } = await world()
    await annotate(`${registry.host}/team`)
    const answer = await annotate('evil.example/team')
    expect(answer).toMatchObject({ status: 422, body: { reason: 'Invalid' } })
    expect(causesOf(answer)).toEqual([
      {
        field: `metadata.annotations[${name}]`,
        reason: 'FieldValueForbidden',
        message: expect.stringContaining('pushing images on to registry "evil.example" is forbidden: allowed are'),
      },
    ])
    expect((await asAdmin('GET', demo)).text).toContain(`${registry.host}/team`)
  })

  test.each(['team', 'evil.example', 'https://evil.example/team', ''])('is refused as %j', async (written) => {
    const { annotate } = await world()
    const answer = await annotate(written)
    expect(answer.status).toBe(422)
    expect(causesOf(answer)).toMatchObject([{ field: `metadata.annotations[${name}]`, reason: 'FieldValueInvalid' }])
  })

  test.each([
    '/api/v1/namespaces',
    '/apis/project.openshift.io/v1/projects',
    '/apis/project.openshift.io/v1/projectrequests',
  ])('is looked at when a project is made at %s', async (path) => {
    const { asAdmin } = await apiWorld()
    const metadata = { name: 'new', annotations: { [name]: 'evil.example/team' } }
    expect((await asAdmin('POST', path, { metadata })).status).toBe(422)
    expect((await asAdmin('GET', '/api/v1/namespaces/new')).status).toBe(404)
  })
})
