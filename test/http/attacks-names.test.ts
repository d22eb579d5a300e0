/** Paths that mean something else than they say. */
import { describe, expect, test } from 'vitest'
import { bearer, hidden, image, prod, pull, useAttacked } from './attacks-world.ts'

const attacked = useAttacked()

describe('names', () => {
  const long = 'a'.repeat(300)
  const hex = 'a1b2'.repeat(16)
  const paths: [string, string, number][] = [
    ['an escaped parent', '/v2/demo/%2e%2e/secret/app/manifests/prod', 400],
    ['an escaped parent, in capitals and half', '/v2/demo/.%2E/secret/app/manifests/prod', 400],
    ['a parent', '/v2/demo/../secret/app/manifests/prod', 400],
    ['a parent behind a semicolon', '/v2/demo/..;/secret/app/manifests/prod', 400],
    ['a parent as reference', '/v2/demo/app/manifests/..', 400],
    ['an escaped parent as reference', '/v2/demo/app/manifests/%2e%2e', 400],
    ['an escaped slash', '/v2/demo%2fapp/manifests/prod', 400],
    ['an escaped slash in the reference', '/v2/demo/app/manifests/..%2f..%2fsecret%2fapp', 400],
    ['an escaped backslash', '/v2/demo%5capp/manifests/prod', 400],
    ['a backslash', '/v2/demo\\app/manifests/prod', 400],
    ['an escape of an escape', '/v2/demo%252fapp/manifests/prod', 400],
    ['an escaped letter', '/v2/dem%6f/app/manifests/prod', 400],
    ['a zero byte', '/v2/demo/app%00/manifests/prod', 400],
    ['a zero byte in the reference', '/v2/demo/app/manifests/prod%00', 400],
    ['a zero byte in the digest', `/v2/demo/app/blobs/${image.config.digest}%00`, 400],
    ['an empty segment', '/v2/demo//app/manifests/prod', 400],
    ['an empty segment in front', '//v2/demo/app/manifests/prod', 400],
    ['an empty segment behind', '/v2/demo/app/manifests//prod', 400],
    ['an upper-case project', '/v2/Demo/app/manifests/prod', 400],
    ['an upper-case stream', '/v2/demo/APP/manifests/prod', 400],
    ['a letter that is small in another alphabet', '/v2/d\u00e9mo/app/manifests/prod', 400],
    ['a stream of 300 characters', `/v2/demo/${long}/manifests/prod`, 400],
    ['256 characters in all', `/v2/demo/${'a'.repeat(251)}/manifests/prod`, 400],
    ['255 characters in all', `/v2/demo/${'a'.repeat(250)}/manifests/prod`, 401],
    ['a tag of 300 characters', `/v2/demo/app/manifests/${long}`, 404],
    ['a name of 64 hexadecimal digits', `/v2/${hex}/manifests/prod`, 400],
    ['a stream of 64 hexadecimal digits', `/v2/demo/${hex}/manifests/prod`, 401],
    ['a project of 64 hexadecimal digits', `/v2/${hex}/app/manifests/prod`, 401],
    ['one component', '/v2/app/manifests/prod', 400],
    ['three components', '/v2/demo/app/more/manifests/prod', 400],
    ['a host in front', '/v2/localhost:5000/demo/app/manifests/prod', 400],
    ['a tag in the name', '/v2/demo/app:prod/manifests/prod', 400],
    ['a digest that climbs', '/v2/demo/app/blobs/sha256:../../../../etc/passwd', 400],
    ['a digest of capitals', `/v2/demo/app/blobs/sha256:${'A'.repeat(64)}`, 400],
    ['a digest of another algorithm', `/v2/demo/app/blobs/md5:${'a'.repeat(32)}`, 400],
    ['the constructor', '/v2/constructor/__proto__/manifests/prod', 400],
    ['what every object has', '/v2/demo/app/manifests/__proto__', 404],
    ['a name with the word of a scheme', '/v2/demo/bearer/manifests/prod', 400],
    ['the API behind /v2', '/v2/../apis/image.openshift.io/v1/imagestreams', 400],
    ['a query that is a path', '/v2/demo/twin/manifests/prod?/v2/demo/app/manifests/prod', 401],
    ['a fragment', '/v2/demo/app/manifests/prod#/v2/secret', 400],
    ['another host in the target', 'http://other.test/v2/secret/app/manifests/prod', 401],
  ]

  test.each(paths)('%s is refused', async (_, path, expected) => {
    const world = attacked()
    const token = await world.tokenFor(pull)
    expect((await world.raw(prod, [bearer(token)])).status).toBe(200)
    const { status, body } = await world.raw(path, [bearer(token)])
    expect([status, body]).toEqual([expected, expect.stringMatching(/^$|"errors":\[\{"code":"/)])
    expect(body).not.toContain(hidden.manifest.digest)
  })
})
