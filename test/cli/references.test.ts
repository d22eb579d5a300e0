import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CliError } from '../../src/cli/failures.ts'
import {
  formatStreamReference,
  parseProject,
  parseStreamReference,
  parseTagReference,
} from '../../src/cli/references.ts'

const project = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/)
const component = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,8})?$/)
const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/)

test('a reference that was formatted is parsed as it was', () => {
  fc.assert(
    fc.property(project, component, fc.option(tag, { nil: undefined }), (project, stream, name) => {
      const reference = { project, stream, ...(name === undefined ? {} : { tag: name }) }
      expect(parseStreamReference(formatStreamReference(reference))).toEqual(reference)
    }),
    { numRuns: 300 },
  )
})

test('any text is a reference or misuse', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[aA/:@._-]{0,12}$/)), (value) => {
      try {
        expect(formatStreamReference(parseStreamReference(value))).toBe(value)
      } catch (error) {
        expect(error).toBeInstanceOf(CliError)
        expect(error).toMatchObject({ exitCode: 2 })
      }
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['app:prod', 'has 1 part,'],
  ['', 'has 1 part,'],
  ['a/b/c:prod', 'has 3 parts'],
  ['localhost:5000/demo/app:prod', 'has 3 parts'],
  ['demo/App:prod', 'not a project and a stream'],
  ['de.mo/app:prod', '"de.mo" is not a project'],
  ['demo/basic:prod', 'no project or stream may hold the words basic and bearer'],
  ['/app:prod', 'not a project and a stream'],
  ['demo/:prod', 'not a project and a stream'],
  ['demo/app:', 'not a tag'],
  ['demo/app:-x', 'not a tag'],
  ['demo/app:a!b', 'not a tag'],
  ['demo/app:a:b', 'not a tag'],
  [`demo/app:${'a'.repeat(129)}`, 'not a tag'],
  ['demo/app@sha256:abc', 'names a digest'],
])('"%s" is refused: %s', (value, message) => {
  expect(() => parseStreamReference(value)).toThrow(message)
})

test('a tag can be required', () => {
  expect(parseTagReference('demo/app:prod')).toEqual({ project: 'demo', stream: 'app', tag: 'prod' })
  expect(() => parseTagReference('demo/app')).toThrow('write demo/app:TAG')
})

test('a project is a DNS label, as the server wants it', () => {
  for (const value of ['demo', '1', 'a--b', 'a'.repeat(63)]) expect(parseProject(value)).toBe(value)
  const others = ['', 'a/b', 'Demo', '..', 'a b', 'a.b', 'a_b', '-a', 'a-', 'a\n', 'a'.repeat(64)]
  for (const value of others) expect(() => parseProject(value)).toThrow('is not a project')
})
