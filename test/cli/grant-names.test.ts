import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bindingName, streamRoleName } from '../../src/cli/grant-names.ts'

const user = (name: string) => ({ kind: 'User', name })

test.each([
  [bindingName('system:image-puller', user('jane'), undefined), 'pull.user.jane'],
  [
    bindingName('system:image-pusher', { kind: 'ServiceAccount', namespace: 'demo', name: 'ci' }, 'app'),
    'push.serviceaccount.demo.ci.stream.app',
  ],
  [bindingName('view', { kind: 'Group', name: 'devs' }, undefined), 'view.group.devs'],
  [bindingName('admin', { kind: 'Group', name: 'system:unauthenticated' }, 'a'), 'admin.anonymous.stream.a'],
  [streamRoleName('system:image-puller', 'app'), 'pull.stream.app'],
])('%s is readable', (name, expected) => expect(name).toBe(expected))

test('a name that is readable alone by half has a hash at its end', () => {
  const name = bindingName('view', user('Jane@Example.com'), undefined)
  expect(name).toMatch(/^view\.user\.jane-example-com\.[0-9a-f]{16}$/)
})

test('no two grants have one name, and every name is one of RFC 1123', () => {
  const word = fc.oneof(
    fc.stringMatching(/^[a-z0-9.:@/_A-Z-]{1,12}$/),
    fc.constantFrom('user', 'group', 'stream', 'anonymous', 'serviceaccount', 'a.b', 'a-b', 'a', 'b', 'x'.repeat(300)),
  )
  const subject = fc.oneof(
    fc.record({ kind: fc.constantFrom('User', 'Group'), name: word }),
    fc.record({ kind: fc.constant('ServiceAccount'), namespace: word, name: word }),
    fc.constant({ kind: 'Group', name: 'system:unauthenticated' }),
  )
  const grant = fc.tuple(word, subject, fc.option(word, { nil: undefined }))
  fc.assert(
    fc.property(grant, grant, (a, b) => {
      const [nameOfA, nameOfB] = [bindingName(...a), bindingName(...b)]
      expect(nameOfA).toMatch(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/)
      expect(nameOfA.length).toBeLessThanOrEqual(253)
      expect(nameOfA === nameOfB).toBe(JSON.stringify(a) === JSON.stringify(b))
    }),
    { numRuns: 2000 },
  )
})
