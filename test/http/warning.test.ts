import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { manifestHead } from '../../src/http/manifest-answer.ts'
import { warningOf } from '../../src/http/warning.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { Pin } from '../../src/streams/streams.ts'
import { makeImage } from '../support/images.ts'
import { served, startHttp } from './harness.ts'

const image = makeImage('warned').manifest
const at = '2026-01-01T00:00:00Z'
const pin: Pin = { uid: 'u', digest: image.digest, revision: 3, condition: undefined }
const hold = { revision: 3, by: 'jane', at, reason: 'bad build of lib/secret' }
const upstreamGone = { image: image.digest, host: 'quay.io', at }
const condition = {
  type: 'ImportSuccess' as const,
  status: 'False' as const,
  lastTransitionTime: at,
  reason: 'NotFound',
  message: 'dockerimage.image.openshift.io "quay.io/secret/app:v1" not found: login robot was refused',
  generation: 2,
}

const stale = `served from the pin: the newest import failed (NotFound) at ${at}`
const waits = `served from the pin: a newer image waits for its content since ${at}`
const held = 'held at revision 3 by jane'
const gone = 'quay.io no longer has all of this image; Weir serves what it holds of it'

/** What a client that reads the header by RFC 9110 shows; undefined for one that it must refuse. */
function shown(header: string): string | undefined {
  const inner = /^299 - "((?:[\t !#-[\]-~]|\\[\t -~])*)"$/.exec(header)?.[1]
  return inner?.replace(/\\(.)/g, '$1')
}

test.each([
  ['nothing', {}, undefined],
  ['a hold', { hold }, held],
  ['an image gone upstream', { upstreamGone }, gone],
  ['a failed import', { condition }, stale],
  ['a move that waits', { condition: { ...condition, reason: 'ContentIncomplete' } }, waits],
  ['all three', { hold, upstreamGone, condition }, `${held}; ${gone}; ${stale}`],
])('of %s a client is told', (_name, more, text) => {
  const warning = warningOf({ ...pin, ...more })
  expect(warning && shown(warning)).toBe(text)
})

test('I9: neither why a tag is held, nor where from or with which login an import failed', () => {
  expect(warningOf({ ...pin, hold, upstreamGone, condition })).not.toMatch(/secret|robot|bad build|lib|v1/)
})

test('whatever people and upstreams are called, it is one short line that every client can read', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc.stringMatching(/^["\\\r\n\0 é]{0,400}$/),
    fc.constantFrom('\\', '"', '\\'.repeat(301), '"'.repeat(301), 'x"\r\nSet-Cookie: a=b', '\ud800', '😀'.repeat(200)),
  )
  const pins = fc.record({ by: text, reason: text, host: text, why: text, since: text }).map(
    ({ by, reason, host, why, since }): Pin => ({
      ...pin,
      hold: { ...hold, by, reason },
      upstreamGone: { ...upstreamGone, host },
      condition: { ...condition, reason: why, lastTransitionTime: since, message: reason },
    }),
  )
  const some = fc.tuple(pins, fc.subarray(['hold', 'upstreamGone', 'condition'] as const, { minLength: 1 }))
  fc.assert(
    fc.property(some, ([whole, kept]) => {
      const named = { ...pin, ...Object.fromEntries(kept.map((key) => [key, whole[key]])) }
      const warning = warningOf(named) ?? ''
      expect(warning.length).toBeLessThanOrEqual(300)
      expect(shown(warning)).toBeDefined()
    }),
    { numRuns: 2000 },
  )
})

test('a long name is cut, and what matters is told all the same', () => {
  const warning = warningOf({ ...pin, hold: { ...hold, by: 'a'.repeat(1000) }, upstreamGone }) ?? ''
  expect(shown(warning)).toBe(`held at revision 3 by ${'a'.repeat(77)}...; ${gone}`)
})

describe('of an answer', () => {
  test.each([
    ['GET', {}, 200],
    ['HEAD', {}, 200],
    ['GET', { 'if-none-match': image.digest }, 304],
  ])('%s %j by tag carries it, warm and cold, and the same by digest does not', async (method, headers, status) => {
    for (const warm of [false, true]) {
      const { ask, manifests } = await startHttp({ warm })
      manifests.set('demo/app:prod', served(image, { ...pin, hold, upstreamGone, condition }))
      manifests.set(`demo/app:${image.digest}`, served(image))
      const byTag = await ask('/v2/demo/app/manifests/prod', { token: 'good', method, headers })
      expect([byTag.status, shown(String(byTag.headers.warning))]).toEqual([status, `${held}; ${gone}; ${stale}`])
      expect(byTag.headers['cache-control']).toBe('no-cache')
      const byDigest = await ask(`/v2/demo/app/manifests/${image.digest}`, { token: 'good', method, headers })
      expect(byDigest.headers).not.toHaveProperty('warning')
      expect(byDigest.headers['cache-control']).toBe('private, max-age=31536000, immutable')
    }
  })

  test('it is worked out once for as long as pin and manifest are the same', () => {
    const manifest = served(image, { ...pin, hold })
    const first = manifestHead(manifest, undefined)
    expect(manifestHead(manifest, undefined)).toBe(first)
    expect(manifestHead(manifest, `"${digestOf('other')}"`)).toBe(first)
    expect(manifestHead(manifest, '*')).not.toBe(first)
    expect(manifestHead({ ...manifest, pin: { ...pin, condition } }, undefined).headers).not.toEqual(first.headers)
  })
})
