import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import {
  formatImageReference,
  type ImageReference,
  isNameComponent,
  isOwnName,
  isTag,
  parseImageReference,
  parseStreamName,
} from '../../src/oci/reference.ts'

const component = fc.stringMatching(/^[a-z0-9]{1,6}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/)
const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/)
const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,5}[a-z0-9])?$/)
const port = fc.integer({ min: 0, max: 65535 })
const name = fc.oneof(
  fc.tuple(label, label, fc.constantFrom('example', 'io', 'local')).map((labels) => labels.join('.')),
  fc.constantFrom('localhost', '10.1.2.3', '[::1]', '[2001:db8::7]'),
)
const host = fc.oneof(
  name,
  fc.tuple(name, port).map(([before, after]) => `${before}:${after}`),
)
const digest = fc.uint8Array({ maxLength: 8 }).map((bytes) => digestOf(bytes))

const reference: fc.Arbitrary<ImageReference> = fc
  .record({
    host,
    repository: fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
    suffix: fc.oneof(
      tag.map((value) => ({ tag: value })),
      digest.map((value) => ({ digest: value })),
    ),
  })
  .map(({ suffix, ...rest }) => ({ ...rest, ...suffix }))

const near = fc.string({ unit: fc.constantFrom(...'aZ0._-/:@[]!%\\ \n?#é'), maxLength: 24 })

describe('parseImageReference()', () => {
  test('is the inverse of formatImageReference()', () => {
    fc.assert(
      fc.property(reference, (given) => {
        expect(parseImageReference(formatImageReference(given))).toEqual(given)
      }),
      { numRuns: 500 },
    )
  })

  test('gives of anything either nothing or a reference that a URL can be built from', () => {
    fc.assert(
      fc.property(fc.oneof(near, fc.string()), (value) => {
        const parsed = parseImageReference(value)
        if (parsed === undefined) return
        expect(parseImageReference(formatImageReference(parsed))).toEqual(parsed)
        expect(parsed.repository).toMatch(/^[a-z0-9._/-]+$/)
        expect(parsed.repository).not.toMatch(/\.\.|\/\/|^\/|\/$/)
        const { username, search, hash, pathname } = new URL(`https://${parsed.host}/v2/${parsed.repository}/`)
        expect({ username, search, hash }).toEqual({ username: '', search: '', hash: '' })
        expect(pathname).toBe(`/v2/${parsed.repository}/`)
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['org/app', 'docker.io/org/app:latest'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['registry-1.docker.io/org/app:x', 'docker.io/org/app:x'],
    ['localhost/app', 'localhost/app:latest'],
    ['LOCALHOST:5100/lib/app:v1', 'localhost:5100/lib/app:v1'],
    ['Quay.IO/org/app', 'quay.io/org/app:latest'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    ['a/b/c/d', 'docker.io/a/b/c/d:latest'],
  ])('reads %s as %s', (value, whole) => {
    const parsed = parseImageReference(value)
    expect(parsed && formatImageReference(parsed)).toBe(whole)
  })

  test('lets the digest win over a tag beside it', () => {
    const wanted = digestOf('content')
    expect(parseImageReference(`quay.io/org/app:v1@${wanted}`)).toEqual({
      host: 'quay.io',
      repository: 'org/app',
      digest: wanted,
    })
  })

  test.each([
    '',
    ':tag',
    '@sha256:abc',
    'App',
    'app:',
    'app:-x',
    'app:a!b',
    `app:${'x'.repeat(129)}`,
    'app@sha256:abc',
    'quay.io/',
    'quay.io//app',
    'quay.io/../app',
    'quay.io/org/app/',
    'user:pw@quay.io/app',
    'https://quay.io/app',
    'quay.io:/app',
    'quay.io:65536/app',
    'quay.io:99999/app',
    '-quay.io/app',
    'quay..io/app',
    '[::1/app',
    '[:::]/app',
    '[1.2.3.4]/app',
    '1.2.3.256/app',
    '1.2.3.4.5/app',
    'quay.io/a\nb',
    'quay.io/a%2fb',
    `quay.io/${'a/'.repeat(200)}a`,
    'a'.repeat(2000),
  ])('refuses %j', (value) => {
    expect(parseImageReference(value)).toBeUndefined()
  })
})

describe('names', () => {
  test('a stream name has exactly two components', () => {
    fc.assert(
      fc.property(fc.array(component, { minLength: 0, maxLength: 4 }), (parts) => {
        const [project, stream] = parts
        const isName = parts.length === 2 && parts.every(isOwnName)
        expect(parseStreamName(parts.join('/'))).toEqual(isName ? { project, stream } : undefined)
      }),
      { numRuns: 300 },
    )
  })

  test('no tag holds what separates the keys of the ledger, a path or a reference', () => {
    fc.assert(
      fc.property(fc.oneof(near, tag), (value) => {
        if (isTag(value)) expect(value).toMatch(/^[^!/:@%\\\s"]{1,128}$/)
      }),
      { numRuns: 1000 },
    )
  })

  test.each(['', '.', '..', '-a', 'a-', 'a..b', 'a___b', 'A', 'a/b', 'a b', 'a\n', 'é', 'a'.repeat(256)])(
    'refuses the component %j',
    (value) => {
      expect(isNameComponent(value)).toBe(false)
    },
  )

  test.each(['basic', 'bearer', 'visual-basic', 'bearer-proxy'])(
    '%j names no project or stream, for it would stand in challenges',
    (value) => {
      expect(isNameComponent(value)).toBe(true)
      expect(isOwnName(value)).toBe(false)
      expect(parseStreamName(`${value}/app`)).toBeUndefined()
      expect(parseStreamName(`demo/${value}`)).toBeUndefined()
    },
  )

  test('a hostile name is refused in time that grows with its length', () => {
    expect(isNameComponent(`${'a-'.repeat(100_000)}!`)).toBe(false)
    expect(parseImageReference(`${'a_'.repeat(400)}!`)).toBeUndefined()
  })

  test('a name of more than 255 characters is refused', () => {
    expect(parseStreamName(`${'a'.repeat(127)}/${'b'.repeat(127)}`)).toBeDefined()
    expect(parseStreamName(`${'a'.repeat(128)}/${'b'.repeat(127)}`)).toBeUndefined()
  })
})
