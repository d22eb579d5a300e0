import { expect, test } from 'vitest'
import { apiWorld, inDemo, rbacApi, refusal } from './world.ts'

test.each([
  ['roles', 1000, { rules: [] }],
  ['rolebindings', 2000, { roleRef: { kind: 'ClusterRole', name: 'view' }, subjects: [] }],
])('a project has %s up to %d, and those can still be changed', async (resource, most, fields) => {
  const { asAdmin, objects } = await apiWorld()
  const path = `${rbacApi}/${inDemo}/${resource}`
  for (let i = 0; i < most; i += 100) {
    const names = Array.from({ length: 100 }, (_, j) => `r${i + j}`)
    await Promise.all(names.map((name) => objects.create(resource, 'demo', { metadata: { name }, ...fields })))
  }
  const full = refusal(403, 'Forbidden', expect.stringContaining(`project demo has ${most} other ${resource}`))
  expect(await asAdmin('POST', path, { metadata: { name: 'more' }, ...fields })).toMatchObject(full)
  const changed = { metadata: { name: 'r1', labels: { a: 'b' } }, ...fields }
  expect((await asAdmin('PUT', `${path}/r1`, changed)).status).toBe(200)
  await asAdmin('DELETE', `${path}/r0`)
  expect((await asAdmin('POST', path, { metadata: { name: 'more' }, ...fields })).status).toBe(201)
  const elsewhere = path.replace('demo', 'other')
  await asAdmin('POST', '/apis/project.openshift.io/v1/projectrequests', { metadata: { name: 'other' } })
  expect((await asAdmin('POST', elsewhere, { metadata: { name: 'more' }, ...fields })).status).toBe(201)
})

test('roles of a project are 8 MiB at most', async () => {
  const { asAdmin } = await apiWorld()
  const path = `${rbacApi}/${inDemo}/roles`
  const resourceNames = Array.from({ length: 1000 }, (_, i) => `${i}`.padStart(250, 'x'))
  const rules = [{ verbs: ['get'], apiGroups: ['image.openshift.io'], resources: ['imagestreams'], resourceNames }]
  let made = 0
  while ((await asAdmin('POST', path, { metadata: { name: `r${made}` }, rules })).status === 201) made += 1
  expect(made).toBe(Math.floor((8 * 1024 * 1024) / 253_500))
  const answer = await asAdmin('POST', path, { metadata: { name: 'more' }, rules })
  expect(answer).toMatchObject(refusal(403, 'Forbidden', expect.stringContaining('exceeded quota')))
})
