import { describe, expect, test } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import type { Referrer, Referrers } from '../../../src/referrers.ts'
import { startHttp } from '../harness.ts'

const index = 'application/vnd.oci.image.index.v1+json'
const subject = digestOf('subject')
const path = `/v2/demo/app/referrers/${subject}`
const signature: Referrer = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digestOf('signature'),
  size: 7,
  artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
  annotations: { made: 'today' },
}

async function world(list?: Referrers['list']) {
  const asked: unknown[] = []
  const referrers: Pick<Referrers, 'list'> = {
    async list(name, digest, options) {
      asked.push(options)
      return list === undefined ? { referrers: [signature] } : list(name, digest, options)
    },
  }
  return { ...(await startHttp({ parts: { referrers } })), asked }
}

describe('GET of referrers', () => {
  test('is an index of them, exactly', async () => {
    const { ask, asked } = await world()
    const { status, headers, body, json } = await ask(path, { token: 'good' })
    expect([status, headers['content-type'], headers['content-length']]).toEqual([200, index, String(body.length)])
    expect(json()).toEqual({ schemaVersion: 2, mediaType: index, manifests: [signature] })
    expect(headers).not.toHaveProperty('oci-filters-applied')
    expect(headers).not.toHaveProperty('link')
    expect(asked).toEqual([{}])
  })

  test('HEAD has the headers alone', async () => {
    const { ask } = await world()
    const get = await ask(path, { token: 'good', headers: { 'x-request-id': 'r' } })
    const head = await ask(path, { token: 'good', method: 'HEAD', headers: { 'x-request-id': 'r' } })
    expect({ ...head.headers, date: '' }).toEqual({ ...get.headers, date: '' })
    expect(head.body).toHaveLength(0)
  })

  test('filtered by artifactType says so', async () => {
    const { ask, asked } = await world()
    const type = 'application/vnd.example+json; version=1'
    const { headers } = await ask(`${path}?artifactType=${encodeURIComponent(type)}`, { token: 'good' })
    expect(headers['oci-filters-applied']).toBe('artifactType')
    expect(asked).toEqual([{ artifactType: type }])
  })

  test('by an empty artifactType is not filtered', async () => {
    const { ask, asked } = await world()
    const { headers } = await ask(`${path}?artifactType=`, { token: 'good' })
    expect(headers).not.toHaveProperty('oci-filters-applied')
    expect(asked).toEqual([{}])
  })

  test('of which there are more has a link to them that keeps the filter', async () => {
    const { ask, asked } = await world(async () => ({ referrers: [signature], next: signature.digest }))
    const { headers } = await ask(`${path}?artifactType=a/b%2Bc&n=1`, { token: 'good' })
    const [, next = ''] = /^<(.+)>; rel="next"$/.exec(String(headers.link)) ?? []
    expect(new URL(next, 'http://x').pathname).toBe(path)
    await ask(next, { token: 'good' })
    expect(asked).toEqual([
      { artifactType: 'a/b+c', limit: 1 },
      { artifactType: 'a/b+c', limit: 1, after: signature.digest },
    ])
    const unlimited = await ask(path, { token: 'good' })
    expect(unlimited.headers.link).toBe(`<${path}?${new URLSearchParams({ last: signature.digest })}>; rel="next"`)
  })

  test('that an upstream could not tell are warned about', async () => {
    const failure = new RegistryError('UNAVAILABLE', {
      message: 'quay.io/secret/repository: 502',
      upstream: { host: 'quay.io', status: 502, reason: 'Unreachable' },
    })
    const { ask } = await world(async () => ({ referrers: [signature], failure }))
    const { status, headers } = await ask(path, { token: 'good' })
    expect([status, headers.warning]).toEqual([200, '299 - "there may be more: quay.io answered 502: not available"'])
  })

  test('whose store fails is no empty index', async () => {
    const { ask } = await world(async () => {
      throw new RegistryError('UNAVAILABLE')
    })
    expect((await ask(path, { token: 'good' })).status).toBe(503)
  })

  test.each([
    ['/v2/demo/app/referrers/sha256:0', 'DIGEST_INVALID'],
    ['/v2/demo/app/referrers/latest', 'DIGEST_INVALID'],
    [`${path}?n=-1`, 'UNSUPPORTED'],
    [`${path}?last=latest`, 'UNSUPPORTED'],
    [`${path}?artifactType=a&artifactType=b`, 'UNSUPPORTED'],
    [`${path}?artifactType=%0d%0aX-Evil:1`, 'UNSUPPORTED'],
    [`${path}?artifactType=${'a'.repeat(300)}`, 'UNSUPPORTED'],
  ])('%s is 400', async (bad, code) => {
    const { ask, asked } = await world()
    const answer = await ask(bad, { token: 'good' })
    expect(answer.status).toBe(400)
    expect(answer.json()).toMatchObject({ errors: [{ code }] })
    expect(asked).toEqual([])
  })

  test('rights come first, and refusals have a line', async () => {
    const { ask, asked, audited } = await world()
    expect((await ask('/v2/demo/web/referrers/none', { token: 'good' })).status).toBe(401)
    expect((await ask('/v2/demo/app/referrers/none', {})).status).toBe(401)
    await ask(path, { token: 'good' })
    expect(asked).toHaveLength(1)
    expect(audited).toMatchObject([{ verb: 'list', object: { name: 'web:none' }, decision: 'denied' }])
  })

  test.each(['PUT', 'POST', 'DELETE'])('%s is 405', async (method) => {
    const { ask } = await world()
    const answer = await ask(path, { token: 'good', method })
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD'])
  })
})
