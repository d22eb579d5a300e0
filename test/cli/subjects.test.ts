import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CliError } from '../../src/cli/failures.ts'
import { formatSubject, isSameSubject, parseSubject, subjectOfUser } from '../../src/cli/subjects.ts'

const rbac = 'rbac.authorization.k8s.io'

test.each([
  ['jane', { kind: 'User', apiGroup: rbac, name: 'jane' }],
  ['oidc:jane@example.com', { kind: 'User', apiGroup: rbac, name: 'oidc:jane@example.com' }],
  ['user:oidc:jane', { kind: 'User', apiGroup: rbac, name: 'oidc:jane' }],
  ['user:anonymous', { kind: 'User', apiGroup: rbac, name: 'anonymous' }],
  ['user:system:serviceaccount:other:ci', { kind: 'ServiceAccount', name: 'ci', namespace: 'other' }],
  ['weir:admin', { kind: 'User', apiGroup: rbac, name: 'weir:admin' }],
  ['group:devs', { kind: 'Group', apiGroup: rbac, name: 'devs' }],
  ['group:system:authenticated', { kind: 'Group', apiGroup: rbac, name: 'system:authenticated' }],
  ['serviceaccount:ci', { kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }],
  ['serviceaccount:other/ci', { kind: 'ServiceAccount', name: 'ci', namespace: 'other' }],
  ['system:serviceaccount:other:ci', { kind: 'ServiceAccount', name: 'ci', namespace: 'other' }],
  ['anonymous', { kind: 'Group', apiGroup: rbac, name: 'system:unauthenticated' }],
])('%s', (value, subject) => {
  expect(parseSubject(value, 'demo')).toEqual(subject)
})

test.each([
  '',
  ' ',
  'a b',
  'jane\n',
  'group:',
  'user:',
  'serviceaccount:',
  'serviceaccount:/ci',
  'serviceaccount:demo/',
  'serviceaccount:a/b/c',
  'serviceaccount:CI',
  'system:serviceaccount:demo',
  'system:serviceaccount:demo:ci:x',
])('"%s" names nobody', (value) => {
  expect(() => parseSubject(value, 'demo')).toThrow(CliError)
})

test('a subject that was formatted is parsed as it was', () => {
  const name = fc.stringMatching(/^[a-z0-9]{1,8}(-[a-z0-9]{1,4})?$/)
  const free = fc.oneof(fc.stringMatching(/^[!-~]{1,20}$/), fc.constantFrom('anonymous', 'user:x', 'group:x', 'a:b:c'))
  const subjects = fc.oneof(
    fc.record({ kind: fc.constant('ServiceAccount'), name, namespace: name }),
    fc.record({ kind: fc.constantFrom('User', 'Group'), apiGroup: fc.constant(rbac), name: free }),
    fc.constant({ kind: 'Group', apiGroup: rbac, name: 'system:unauthenticated' }),
  )
  fc.assert(
    fc.property(subjects, (subject) => {
      expect(parseSubject(formatSubject(subject), 'x')).toEqual(subject)
    }),
    { numRuns: 500 },
  )
})

test('a service account bound by its user name is the same', () => {
  const account = { kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }
  const user = { kind: 'User', name: 'system:serviceaccount:demo:ci' }
  expect(isSameSubject(account, user)).toBe(true)
  expect(isSameSubject(account, { ...user, kind: 'Group' })).toBe(false)
  expect(isSameSubject(account, { ...account, namespace: 'other' })).toBe(false)
})

test('a caller is named as a grant would name him', () => {
  expect(subjectOfUser('system:anonymous')).toBe('anonymous')
  expect(subjectOfUser('system:serviceaccount:demo:ci')).toBe('serviceaccount:demo/ci')
  expect(subjectOfUser('jane')).toBe('jane')
  expect(subjectOfUser('weir:admin')).toBe('weir:admin')
  expect(subjectOfUser('github:octo')).toBe('user:github:octo')
  expect(subjectOfUser('system:serviceaccount:odd')).toBe('user:system:serviceaccount:odd')
})
