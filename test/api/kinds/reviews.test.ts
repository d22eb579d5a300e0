import { expect, test } from 'vitest'
import { apiWorld, refusal } from '../world.ts'

const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
const review = (resourceAttributes: object) => ({
  kind: 'SelfSubjectAccessReview',
  apiVersion: 'authorization.k8s.io/v1',
  spec: { resourceAttributes },
})

test.each([
  [{ verb: 'get', group: 'image.openshift.io', resource: 'imagestreams', namespace: 'demo' }, true],
  [
    { verb: 'get', group: 'image.openshift.io', resource: 'imagestreams', subresource: 'layers', namespace: 'demo' },
    true,
  ],
  [
    { verb: 'update', group: 'image.openshift.io', resource: 'imagestreams', subresource: 'layers', namespace: 'demo' },
    false,
  ],
  [{ verb: 'get', group: 'image.openshift.io', resource: 'imagestreams', namespace: 'other' }, false],
  [{ verb: 'get', group: 'image.openshift.io', resource: 'imagestreams' }, false],
  [{ verb: '*', group: '*', resource: '*' }, false],
])('a viewer who asks about %j is told %s', async (attributes, allowed) => {
  const { send, robot } = await apiWorld()
  const token = await robot('viewer', 'view')
  const answer = await send('POST', path, { token, body: review(attributes) })
  expect(answer).toMatchObject({
    status: 201,
    body: { kind: 'SelfSubjectAccessReview', spec: { resourceAttributes: attributes }, status: { allowed } },
  })
})

test('a review of nothing is refused', async () => {
  const { send } = await apiWorld()
  expect(await send('POST', path, { body: { spec: {} } })).toMatchObject(refusal(422, 'Invalid'))
})
