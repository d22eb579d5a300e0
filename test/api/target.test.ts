import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTarget } from '../../src/api/target.ts'

const object = { type: 'object', group: '', version: 'v1', project: '', resource: '', name: '', subresource: '' }

describe('parseTarget()', () => {
  test.each([
    ['/api', { type: 'versions' }],
    ['/api/', { type: 'versions' }],
    ['/apis', { type: 'groups' }],
    ['/apis/weir.dev', { type: 'group', group: 'weir.dev' }],
    ['/api/v1', { type: 'resources', group: '', version: 'v1' }],
    ['/apis/weir.dev/v1', { type: 'resources', group: 'weir.dev', version: 'v1' }],
    ['/api/v1/namespaces', { ...object, resource: 'namespaces' }],
    ['/api/v1/namespaces/demo', { ...object, resource: 'namespaces', name: 'demo' }],
    ['/api/v1/namespaces/demo/status', { ...object, resource: 'namespaces', name: 'demo', subresource: 'status' }],
    ['/api/v1/namespaces/demo/serviceaccounts', { ...object, project: 'demo', resource: 'serviceaccounts' }],
    [
      '/api/v1/namespaces/demo/serviceaccounts/ci/token',
      { ...object, project: 'demo', resource: 'serviceaccounts', name: 'ci', subresource: 'token' },
    ],
    ['/apis/g/v1/things/x', { ...object, group: 'g', resource: 'things', name: 'x' }],
  ])('reads %s', (path, target) => {
    expect(parseTarget(path)).toEqual(target)
  })

  test.each([
    ['/apis/g/v1/namespaces/demo/istags/app:prod', 'app:prod'],
    ['/apis/g/v1/namespaces/demo/istags/app%3Aprod', 'app:prod'],
    ['/apis/g/v1/namespaces/demo/istags/app@sha256%3aab', 'app@sha256:ab'],
  ])('decodes the name in %s once', (path, name) => {
    expect(parseTarget(path)).toMatchObject({ project: 'demo', name })
  })

  test.each(['%2f', 'a%2Fb', '..%2f..', '%', '%zz', '%252f', '%00', 'a%0Ab', '%ED%A0%80', 'x'.repeat(1025)])(
    'refuses a segment that no name can be: %s',
    (segment) => {
      expect(() => parseTarget(`/apis/g/v1/namespaces/demo/things/${segment}`)).toThrow(
        expect.objectContaining({ code: 'BAD_REQUEST' }),
      )
    },
  )

  test.each([
    '/apis//v1',
    '/apis/g/v1/a/b/c/d',
    '/api/v1//things',
    '/other',
    '/',
    '/apis/g/v1/namespaces/demo/a/b/c/d',
  ])('has nothing at %s', (path) => {
    expect(parseTarget(path)).toBeUndefined()
  })

  test('gives back every name that has no "/", "%" or control character', () => {
    const segment = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 40 })
      .filter((text) => !/[/%\p{Cc}\p{Cs}]/u.test(text))
    fc.assert(
      fc.property(segment, segment, (project, name) => {
        const path = `/apis/g/v1/namespaces/${encodeURIComponent(project)}/things/${encodeURIComponent(name)}`
        expect(parseTarget(path)).toMatchObject({ project, resource: 'things', name, subresource: '' })
      }),
      { numRuns: 300 },
    )
  })

  test('answers with parts free of "/" or refuses, whatever the path', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom('%2f', '%2F', '..', 'namespaces'))), (segments) => {
        let target: ReturnType<typeof parseTarget>
        try {
          target = parseTarget(`/apis/${segments.join('/')}`)
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_REQUEST' })
          return
        }
        expect(Object.values(target ?? {}).join('')).not.toMatch(/[/%]/)
      }),
      { numRuns: 500 },
    )
  })
})
