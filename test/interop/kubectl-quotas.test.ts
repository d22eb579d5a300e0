/** A current kubectl says what a project may hold. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type KubectlWorld, startKubectlWorld } from './support/kubectl-world.ts'

let world: KubectlWorld

beforeAll(async () => {
  world = await startKubectlWorld()
})

afterAll(() => world?.stop())

test('quotas are made, shown, described, changed and deleted', async () => {
  const kubectl = await world.inProject('demo')
  const hard = '--hard=requests.storage=10Gi,count/imagestreamtags.image.openshift.io=1'
  expect(await kubectl('create', 'quota', 'q', hard)).toContain('resourcequota/q created')
  expect(await kubectl('get', 'quota')).toMatch(
    /q +count\/imagestreamtags\.image\.openshift\.io: 0\/1, requests\.storage: 0\/10Gi/,
  )
  const described = await kubectl('describe', 'quota', 'q')
  expect(described).toMatch(/count\/imagestreamtags\.image\.openshift\.io +0 +1/)
  expect(described).toMatch(/requests\.storage +0 +10Gi/)
  expect(await kubectl('describe', 'namespace', 'demo')).toMatch(/requests\.storage +0 +10Gi/)
  await kubectl('patch', 'quota', 'q', '--type=merge', '-p', '{"spec":{"hard":{"requests.storage":"20Gi"}}}')
  expect(await kubectl('get', 'quota', 'q', '-o', 'jsonpath={.status.hard.requests\\.storage}')).toBe('20Gi')
  expect(await kubectl('delete', 'quota', 'q')).toContain('deleted')
  expect(await kubectl.fails('create', 'quota', 'q', '--hard=requests.storage=much')).toMatch(/quantit/)
})
