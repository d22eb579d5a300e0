import fc from 'fast-check'
import { expect, test } from 'vitest'
import { normaliseTarget } from '../../src/http/request-target.ts'

const hex = 'a'.repeat(64)

test.each([
  ['/v2/', '/v2/'],
  ['/v2/demo/app/manifests/v1', '/v2/demo/app/manifests/v1'],
  ['/v2/demo/app/tags/list?n=2&last=a%2Fb', '/v2/demo/app/tags/list?n=2&last=a%2Fb'],
  [`/v2/demo/app/blobs/sha256%3A${hex}`, `/v2/demo/app/blobs/sha256:${hex}`],
  [`/v2/demo/app/blobs/sha256%3a${hex}`, `/v2/demo/app/blobs/sha256:${hex}`],
  [
    '/apis/image.openshift.io/v1/namespaces/demo/imagestreamtags/app%3Av1',
    '/apis/image.openshift.io/v1/namespaces/demo/imagestreamtags/app:v1',
  ],
  [`/apis/x/imagestreamimages/app%40sha256%3A${hex}`, `/apis/x/imagestreamimages/app@sha256:${hex}`],
  ['/apis/weir.dev/v1/namespaces/demo/tagchecks/app%3A%2A', '/apis/weir.dev/v1/namespaces/demo/tagchecks/app:*'],
  ['/apis/weir.dev/v1/namespaces/demo/tagchecks/app:%2a', '/apis/weir.dev/v1/namespaces/demo/tagchecks/app:*'],
  ['http://other.example/v2/', '/v2/'],
  ['HTTPS://other.example:1/v2/?x', '/v2/?x'],
])('%s is %s', (target, normalised) => {
  expect(normaliseTarget(target)).toBe(normalised)
})

test.each([
  ['nothing', ''],
  ['the server as a whole', '*'],
  ['no leading slash', 'v2/'],
  ['another scheme', 'ftp://x/v2/'],
  ['an empty segment', '/v2//demo/app'],
  ['a dot segment', '/v2/demo/./app'],
  ['a parent segment', '/v2/demo/../other/manifests/v1'],
  ['a parent segment at the end', '/v2/demo/..'],
  ['an escaped parent segment', '/v2/demo/%2e%2e/app'],
  ['an escaped slash', '/v2/demo%2Fapp/manifests/v1'],
  ['an escaped zero', '/v2/demo/app%00/manifests/v1'],
  ['an escaped colon in the name', '/v2/demo%3Ax/app/manifests/v1'],
  ['an escaped * in /v2/', '/v2/demo/app/manifests/x%2Ay'],
  ['an escaped @ in /v2/', '/v2/demo/app/manifests/x%40y'],
  ['an escape of an escape', '/v2/demo/app/blobs/sha256%253A'],
  ['an escape elsewhere', '/health%7a'],
  ['an escaped slash in the API', '/apis/x%2fy'],
  ['an escape in the API that an escape leaves', '/apis/x/%25%33%41'],
  ['a backslash', '/v2\\demo'],
  ['a control character', '/v2/\u0001'],
  ['a letter beyond ASCII', '/v2/d\u00e9mo'],
  ['a fragment', '/v2/#x'],
  ['a space in the query', '/v2/?a b'],
])('%s is refused', (_name, target) => {
  expect(normaliseTarget(target)).toBeUndefined()
})

test('what is accepted stays as it is when it comes again, and a URL parser leaves it alone', () => {
  const piece = fc.constantFrom(
    '/',
    '..',
    '.',
    '%',
    '%3A',
    '%2f',
    '\\',
    'v2',
    'apis',
    'demo',
    ':',
    '@',
    '?',
    '#',
    ' ',
    '\u00e9',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const normalised = normaliseTarget(`/${pieces.join('')}`)
      if (normalised === undefined) return
      const [path = ''] = normalised.split('?')
      expect(new URL(`http://x${path}`).pathname).toBe(path)
      expect(path).not.toMatch(/%|\/\//)
      expect(normaliseTarget(normalised)).toBe(normalised)
    }),
    { numRuns: 2000 },
  )
})
