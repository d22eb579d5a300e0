import { describe, expect, test } from 'vitest'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { failing, resetting } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { at, failureOf, read, startClient } from './start-client.ts'

const image = makeImage('retry')
const [layer = image.config] = image.layers

async function world() {
  const registry = await startFakeUpstream()
  registry.put('lib/app', image, { tag: 'v1' })
  return { registry, ...startClient([registry.host]) }
}

describe('a failure that passes', () => {
  test.each([408, 429, 500, 502, 503, 504])('(%i) is not seen', async (status) => {
    const { registry, client, pauses } = await world()
    registry.intercept(failing(/manifests/, status, { times: 2 }))
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
    expect(registry.matching(/manifests/)).toHaveLength(3)
    // 250 and 500 ms, less a random half, of which the test's dice take a half.
    expect(pauses).toEqual([187.5, 375])
  })

  test('(a reset connection) is not seen, of a blob either', async () => {
    const { registry, client } = await world()
    registry.intercept(resetting(/blobs/, 2))
    const { body } = await client.blob(at(registry.host), layer.digest)
    expect(await read(body)).toEqual(layer.bytes)
  })
})

describe('a failure that stays', () => {
  test.each([
    [500, 'UNAVAILABLE', 'Unreachable', 3],
    [503, 'UNAVAILABLE', 'Unreachable', 3],
    [408, 'UNAVAILABLE', 'Unreachable', 3],
    [429, 'TOOMANYREQUESTS', 'TooManyRequests', 3],
    [501, 'UNAVAILABLE', 'Unreachable', 1],
    [400, 'UNAVAILABLE', 'Invalid', 1],
    [404, 'MANIFEST_UNKNOWN', 'NotFound', 1],
    [410, 'UNAVAILABLE', 'Invalid', 1],
  ])('(%i) is %s, %s, after %i tries', async (status, code, reason, tries) => {
    const { registry, client } = await world()
    registry.intercept(failing(/manifests/, status))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code, upstream: { host: registry.host, reason, status } })
    expect(error.detail).toEqual(error.upstream)
    expect(registry.matching(/manifests/)).toHaveLength(tries)
  })

  test('says what the upstream answered, but nothing of its text', async () => {
    const { registry, client } = await world()
    registry.intercept(failing(/blobs/, 500))
    const error = await failureOf(client.blob(at(registry.host), layer.digest))
    expect(error.message).toBe(
      `${registry.host} answered 500 when asked for blob ${layer.digest} of ${registry.host}/lib/app`,
    )
  })
})

describe('Retry-After', () => {
  test('of a few seconds is waited for', async () => {
    const { registry, client, pauses } = await world()
    registry.intercept(failing(/manifests/, 429, { times: 1, headers: { 'retry-after': '4' } }))
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
    expect(pauses).toEqual([4000])
  })

  test('as a date is waited for', async () => {
    const { registry, client, pauses, clock } = await world()
    const date = new Date(clock.now() + 3000).toUTCString()
    registry.intercept(failing(/manifests/, 503, { times: 1, headers: { 'retry-after': date } }))
    expect(await client.manifest(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
    expect(pauses).toEqual([3000])
  })

  test.each([
    ['600', 600],
    ['99999999999999999999999', 86_400],
  ])('of %s s fails at once and is passed on, a day at most', async (header, retryAfterSeconds) => {
    const { registry, client, pauses } = await world()
    registry.intercept(failing(/manifests/, 429, { headers: { 'retry-after': header } }))
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'TOOMANYREQUESTS', retryAfterSeconds })
    expect(pauses).toEqual([])
    expect(registry.matching(/manifests/)).toHaveLength(1)
  })
})

test('an abort ends the pause between two tries', async () => {
  const registry = await startFakeUpstream()
  registry.intercept(failing(/manifests/, 503))
  const pausing = Promise.withResolvers<void>()
  const { client } = startClient([registry.host], {
    retry: {
      wait: (_ms, signal) => {
        pausing.resolve()
        return new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason))
        })
      },
    },
  })
  const controller = new AbortController()
  const pending = client.manifest(at(registry.host), 'v1', controller.signal)
  await pausing.promise
  controller.abort(new Error('enough'))
  await expect(pending).rejects.toThrow('enough')
})
