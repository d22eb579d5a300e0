/** What answers tell of what the asker may not know: forbidden, unknown and absent are the same. */
import { describe, expect, test } from 'vitest'
import type { Answered, RequestToSend } from '../support/world.ts'
import { type Attacked, absent, claimsOf, errorOf, hidden, image, pull, useAttacked } from './attacks-world.ts'

const attacked = useAttacked()

/** An answer but for the name that was asked for, and what is new in each. */
function told({ status, headers, body }: Answered, name: string): object {
  const { date: _, 'x-request-id': __, ...rest } = headers
  return JSON.parse(JSON.stringify({ status, headers: rest, body: body.toString() }).replaceAll(name, 'NAME'))
}

/** The same but for the source of a mount, which a challenge repeats as it was written, whether it is there or not. */
function toldButSource({ headers, ...answered }: Answered, name: string): string {
  const { 'content-length': _, ...rest } = headers
  return JSON.stringify(told({ ...answered, headers: rest }, name))
    .replace(/ repository:(?!NAME)[a-z0-9/]+:pull/, '')
    .replace(/,\{[^{}]*Name[\\": ]+(?!NAME)[a-z0-9/]+[^{}]*\}/, '')
}

const layer = hidden.layers[0]?.digest ?? ''
const forbidden = 'secret/app'
const unknown = ['secret/nop', 'secre2/app', 'demo/nobod']

describe('what answers tell', () => {
  const asked: [string, (name: string) => string][] = [
    ['a tag', (name) => `/v2/${name}/manifests/prod`],
    ['a tag that is not there', (name) => `/v2/${name}/manifests/nope`],
    ['a manifest', (name) => `/v2/${name}/manifests/${hidden.manifest.digest}`],
    ['a manifest that is nowhere', (name) => `/v2/${name}/manifests/${absent}`],
    ['a blob', (name) => `/v2/${name}/blobs/${layer}`],
    ['a blob that is nowhere', (name) => `/v2/${name}/blobs/${absent}`],
    ['no digest at all', (name) => `/v2/${name}/blobs/none`],
    ['the tags', (name) => `/v2/${name}/tags/list`],
    ['a page of the tags', (name) => `/v2/${name}/tags/list?n=-1`],
    ['the referrers', (name) => `/v2/${name}/referrers/${hidden.manifest.digest}`],
    ['nothing that is served', (name) => `/v2/${name}/nothing`],
  ]
  const ways: [string, (world: Attacked, name: string) => Promise<RequestToSend>][] = [
    ['without a token', async () => ({})],
    ['with a token for something else', async ({ tokenFor }) => ({ token: await tokenFor(pull) })],
    [
      'with the token that was granted for it',
      async ({ tokenFor }, name) => ({ token: await tokenFor(`repository:${name}:pull,push`) }),
    ],
    [
      'with a token of anonymous',
      async ({ pullToken }, name) => ({ token: await pullToken(`repository:${name}:pull`) }),
    ],
    ['with Basic', async ({ ci }) => ({ headers: { authorization: `Basic ${btoa(`ci:${ci}`)}` } })],
    ['with nonsense', async () => ({ token: 'nonsense' })],
  ]

  test.each(ways)('I5: a forbidden repository and an unknown one answer the same, asked %s', async (_, way) => {
    const world = attacked()
    for (const [what, path] of asked) {
      for (const method of ['GET', 'HEAD', 'DELETE', 'PUT', 'POST', 'OPTIONS']) {
        const answers = [forbidden, ...unknown].map(async (name) => {
          const sent = await way(world, name)
          return told(await world.request(path(name), { ...sent, method }), name)
        })
        const [first, ...others] = await Promise.all(answers)
        for (const other of others) expect(other, `${method} ${what}`).toEqual(first)
        if (method === 'GET' && what === 'a tag') expect(first).toMatchObject({ status: 401 })
      }
    }
  })

  test('I5: /token grants the same of a forbidden repository and of an unknown one, and says the same', async () => {
    const { request, ci } = attacked()
    const login = { authorization: `Basic ${btoa(`ci:${ci}`)}` }
    for (const headers of [login, {}]) {
      const answers = [forbidden, ...unknown].map(async (name) => {
        const answer = await request(`/token?scope=repository:${name}:pull,push,delete`, { headers })
        const { token, access_token: _, issued_at: __, ...body } = JSON.parse(answer.body.toString())
        const { jti: _jti, iat: _iat, nbf: _nbf, exp: _exp, ...rest } = claimsOf(token)
        return {
          ...told({ ...answer, body: Buffer.from(JSON.stringify(body)) }, name),
          claims: rest,
          length: token.length,
        }
      })
      const [first, ...others] = await Promise.all(answers)
      for (const other of others) expect(other).toEqual(first)
    }
  })

  test('I5: a blob of another project, held here, answers as one that is nowhere', async () => {
    const { request, tokenFor } = attacked()
    const token = await tokenFor(pull)
    for (const { digest } of [hidden.config, ...hidden.layers, hidden.manifest]) {
      for (const kind of ['blobs', 'manifests']) {
        for (const method of ['GET', 'HEAD']) {
          const of = async (each: string) =>
            told(await request(`/v2/demo/app/${kind}/${each}`, { method, token }), each)
          expect(await of(digest)).toEqual(await of(absent))
          expect(await of(digest)).toMatchObject({ status: 404 })
        }
      }
    }
  })

  test('I5: the catalog of a robot is what he may pull, and of anonymous nothing', async () => {
    const { request, tokenFor, pullToken } = attacked()
    const own = await request('/v2/_catalog', { token: await tokenFor('registry:catalog:*') })
    expect(JSON.parse(own.body.toString())).toEqual({ repositories: ['demo/app'] })
    const nobodys = await request('/v2/_catalog', { token: await pullToken('registry:catalog:*') })
    expect([nobodys.status, errorOf(nobodys)]).toEqual([401, 'insufficient_scope'])
  })
})

describe('mounts', () => {
  const sources: [string, string][] = [
    ['a forbidden source that has it', `mount=${layer}&from=secret/app`],
    ['a source that is not there', `mount=${layer}&from=secret/nop`],
    ['a project that is not there', `mount=${layer}&from=nope/app`],
    ['no source', `mount=${layer}`],
    ['a source that is empty', `mount=${layer}&from=`],
    ['a source that may be pulled and does not have it', `mount=${layer}&from=demo/app`],
    ['a source that may be pulled and has it', `mount=${image.config.digest}&from=demo/app`],
    ['itself', `mount=${image.config.digest}&from=demo/app`],
    ['a digest that is nowhere', `mount=${absent}&from=secret/app`],
    ['a digest that is none', 'mount=none&from=secret/app'],
    ['a source that climbs', `mount=${layer}&from=demo/../secret/app`],
    ['the digest of bytes that are held, to skip sending them', `digest=${layer}`],
    ['two sources', `mount=${layer}&from=demo/app&from=secret/app`],
    ['nothing', ''],
  ]

  test.each(['demo/app', 'demo/fresh', 'secret/app', 'nope/app'])(
    'I5: into %s answer the same whatever is mounted from where, and make nothing',
    async (into) => {
      const world = attacked()
      const granted = await world.tokenFor(`repository:${into}:pull,push`, 'repository:secret/app:pull', pull)
      for (const sent of [{}, { token: granted }, { token: 'nonsense' }]) {
        const answers = []
        for (const [, query] of sources) {
          const path = `/v2/${into}/blobs/uploads/${query === '' ? '' : `?${query}`}`
          answers.push(toldButSource(await world.request(path, { ...sent, method: 'POST' }), into))
        }
        expect(new Set(answers).size, answers.join('\n')).toBe(1)
        const { status, headers } = JSON.parse(answers[0] ?? '') as { status: number; headers: object }
        expect(status).toBeGreaterThanOrEqual(400)
        expect(headers).not.toHaveProperty('location')
      }
      for (const { digest } of hidden.layers) {
        const head = await world.request(`/v2/demo/app/blobs/${digest}`, { token: granted, method: 'HEAD' })
        expect(head.status).toBe(404)
      }
    },
  )
})
