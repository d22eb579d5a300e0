import { expect, test } from 'vitest'
import { quotaWarnings } from '../../src/api/quota-warnings.ts'
import { apiWorld, inDemo } from './world.ts'

const url = `/api/v1/${inDemo}/resourcequotas`
const quota = (hard: unknown) => ({ kind: 'ResourceQuota', apiVersion: 'v1', metadata: { name: 'q' }, spec: { hard } })
const tags = 'count/imagestreamtags.image.openshift.io'

test('whoever limits what is not counted is told so, when it is made and when it is changed', async () => {
  const w = await apiWorld()
  const send = (method: string, to: string, hard: object, type = 'application/json') =>
    w.send(method, to, { token: w.adminToken, body: JSON.stringify(quota(hard)), headers: { 'content-type': type } })
  const made = await send('POST', url, { 'requests.storge': '1Gi', [tags]: '2' })
  expect(made.status).toBe(201)
  expect(made.headers.get('warning')).toBe(
    `299 - "spec.hard: limits only requests.storage and ${tags} here; nothing is done about requests.storge"`,
  )
  const patched = await send('PATCH', `${url}/q`, { pods: '4' }, 'application/merge-patch+json')
  expect(patched.status).toBe(200)
  expect(patched.headers.get('warning')).toContain('pods')
  const right = await send('PUT', `${url}/q`, { 'requests.storage': '1Gi', [tags]: '2' })
  expect([right.status, right.headers.get('warning')]).toEqual([200, null])
})

test('of many it tells the first, and of what is no quota nothing', () => {
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${i}x`.repeat(500), '1']))
  const [told = '', ...others] = quotaWarnings(quota(many))
  expect(others).toEqual([])
  expect(told.length).toBeLessThan(400)
  expect(told).toContain('and 97 more')
  for (const none of [undefined, null, [], 'x', { ...quota({ pods: 1 }), kind: 'Secret' }, quota(null), quota([])])
    expect(quotaWarnings(none)).toEqual([])
})
