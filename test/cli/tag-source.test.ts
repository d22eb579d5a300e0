import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CliError } from '../../src/cli/failures.ts'
import { formatSource, parseSource, sourceKinds } from '../../src/cli/tag-source.ts'

const digest = `sha256:${'a'.repeat(64)}`

describe('SOURCE', () => {
  test.each([
    ['demo/app:latest', { kind: 'tag', project: 'demo', stream: 'app', tag: 'latest' }],
    [`demo/app@${digest}`, { kind: 'image', project: 'demo', stream: 'app', id: digest }],
    ['demo/app@aaaaaaa', { kind: 'image', project: 'demo', stream: 'app', id: 'aaaaaaa' }],
    ['quay.io/org/app:v1', { kind: 'docker', name: 'quay.io/org/app:v1' }],
    ['quay.io/app', { kind: 'docker', name: 'quay.io/app' }],
    ['localhost/app:v1', { kind: 'docker', name: 'localhost/app:v1' }],
    ['LOCALHOST/app:v1', { kind: 'docker', name: 'LOCALHOST/app:v1' }],
    ['host:5000/app:v1', { kind: 'docker', name: 'host:5000/app:v1' }],
    [`[::1]:5000/app@${digest}`, { kind: 'docker', name: `[::1]:5000/app@${digest}` }],
  ])('%s is told by its form', (value, source) => {
    expect(parseSource(value, undefined)).toEqual(source)
    expect(formatSource(parseSource(value, undefined))).toBe(value)
  })

  test('is what --source says', () => {
    expect(parseSource('demo/app:v1', 'docker')).toEqual({ kind: 'docker', name: 'demo/app:v1' })
    expect(parseSource('nginx', 'docker')).toEqual({ kind: 'docker', name: 'nginx' })
    for (const kind of ['istag', 'imagestreamtag'] as const) {
      expect(parseSource('localhost/app:v1', kind)).toMatchObject({ kind: 'tag', project: 'localhost' })
    }
    for (const kind of ['isimage', 'imagestreamimage'] as const) {
      expect(parseSource(`localhost/app@${digest}`, kind)).toMatchObject({ kind: 'image', project: 'localhost' })
      expect(() => parseSource('demo/app:v1', kind)).toThrow('names no image of a stream')
    }
  })

  test('is parsed and formatted as it was, or misuse', () => {
    const kinds = fc.option(fc.constantFrom(...sourceKinds), { nil: undefined })
    const values = fc.oneof(fc.string(), fc.stringMatching(/^[aA.]{0,3}[/:@.a]{0,4}[a:@/]{0,3}[a0]{0,9}$/))
    fc.assert(
      fc.property(values, kinds, (value, kind) => {
        try {
          expect(formatSource(parseSource(value, kind))).toBe(value)
        } catch (error) {
          expect(error).toBeInstanceOf(CliError)
          expect((error as CliError).exitCode).toBe(2)
        }
      }),
      { numRuns: 500 },
    )
  })
})
