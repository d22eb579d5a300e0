import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TagSource } from '../../src/streams/records.ts'
import { followedTag, isWholeDigest, parseStreamSource, sourceText } from '../../src/streams/sources.ts'
import { validateSource } from '../../src/streams/validation.ts'
import { app, digest } from './world.ts'

const tag = (name: string, namespace?: string): TagSource => ({
  kind: 'ImageStreamTag',
  name,
  ...(namespace === undefined ? {} : { namespace }),
})
const image = (name: string): TagSource => ({ kind: 'ImageStreamImage', name })
const hex = 'a'.repeat(64)

describe('a tag as a source', () => {
  test.each<[TagSource, string, string, string | undefined]>([
    [tag('v1'), 'demo/app', 'v1', 'v1'],
    [tag('app:v1'), 'demo/app', 'v1', 'v1'],
    [tag('app:v1', ''), 'demo/app', 'v1', 'v1'],
    [tag('app:v1', 'demo'), 'demo/app', 'v1', 'v1'],
    [tag('other:v1'), 'demo/other', 'v1', undefined],
    [tag('v1', 'team'), 'team/app', 'v1', undefined],
    [tag('app:v1', 'team'), 'team/app', 'v1', undefined],
  ])('%j is read', (from, stream, name, followed) => {
    const [project = '', own = ''] = stream.split('/')
    const source = parseStreamSource(from, app)
    expect(source).toEqual({ kind: 'ImageStreamTag', stream: { project, stream: own }, tag: name })
    expect(source && sourceText(source)).toBe(`${stream}:${name}`)
    expect(followedTag({ from }, app)).toBe(followed)
  })

  test.each([
    '',
    ':',
    'a:',
    ':v1',
    'a:b:c',
    'a/b:c',
    'UP:v1',
    'a b',
    '.v1',
    `app@sha256:${hex}`,
    'a!b',
    '__proto__:x y',
  ])('%s is none', (name) => {
    expect(parseStreamSource(tag(name), app)).toBeUndefined()
    expect(followedTag({ from: tag(name) }, app)).toBeUndefined()
  })
})

describe('an image as a source', () => {
  test.each([
    [digest('a'), 'demo/app', digest('a')],
    [`app@${digest('a')}`, 'demo/app', digest('a')],
    ['other@abc', 'demo/other', 'sha256:abc'],
    ['sha256:abc', 'demo/app', 'sha256:abc'],
    [`sha512:${'a'.repeat(128)}`, 'demo/app', `sha512:${'a'.repeat(128)}`],
  ])('%s is read', (name, stream, id) => {
    const source = parseStreamSource(image(name), app)
    expect(source).toMatchObject({ kind: 'ImageStreamImage', id })
    expect(source && sourceText(source)).toBe(`${stream}@${id}`)
    expect(isWholeDigest(id)).toBe(id.length > 20)
  })

  test.each(['', '@', 'app@', '@abc', 'app@xyz', 'app@sha256:', 'app@ABC', 'app@md5:abc', `app@${hex}a`, 'a@b@c'])(
    '%s is none',
    (name) => {
      expect(parseStreamSource(image(name), app)).toBeUndefined()
    },
  )
})

test('an image of a registry, or nothing, is no source within Weir', () => {
  expect(parseStreamSource({ kind: 'DockerImage', name: 'app:v1' }, app)).toBeUndefined()
  expect(followedTag({ from: { kind: 'DockerImage', name: 'v1' } }, app)).toBeUndefined()
  expect(followedTag({}, app)).toBeUndefined()
  expect(followedTag(undefined, app)).toBeUndefined()
})

describe('what is refused', () => {
  const form = 'must be of the form <tag>, <repo>:<tag>, <id>, or <repo>@<id>'
  test.each<[TagSource, string, string]>([
    [tag('a:b:c'), 'f.name', form],
    [image('a@b@c'), 'f.name', form],
    [tag('v1', 'No/Project'), 'f.namespace', 'must be the name of a project'],
    [tag('v1', '../etc'), 'f.namespace', 'must be the name of a project'],
    [{ kind: 'DockerImage', name: 'quay.io/a', namespace: 'x'.repeat(256) }, 'f.namespace', 'is too long'],
  ])('%j by its path', (from, field, why) => {
    expect(validateSource(from, 'f')).toMatchObject([{ field, message: expect.stringContaining(why) }])
  })

  test('a very long value is not told whole', () => {
    const [cause] = validateSource(tag(`${'x'.repeat(100_000)}!`), 'f')
    expect(cause?.message.length).toBeLessThan(500)
  })

  test('is exactly what can not be read', () => {
    const names = fc.string({ unit: fc.constantFrom(...'a1:@/.-! A', 'sha256:', hex), maxLength: 6 })
    fc.assert(
      fc.property(
        fc.constantFrom(tag, image),
        names,
        fc.constantFrom('', 'demo', 'A', 'a/b'),
        (make, name, namespace) => {
          const from = { ...make(name), namespace }
          expect(validateSource(from, 'f').length === 0).toBe(parseStreamSource(from, app) !== undefined)
        },
      ),
      { numRuns: 1000 },
    )
  })
})
