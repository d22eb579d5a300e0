/** Who has a project of a name that was another's before is told nothing of what that had. */
import { expect, test, vi } from 'vitest'
import { makeImage } from './support/images.ts'
import { startWorld } from './support/world.ts'

const projects = '/apis/project.openshift.io/v1/projects'
const inDemo = 'namespaces/demo'
const secrets = `/api/v1/${inDemo}/secrets`
const streams = `/apis/image.openshift.io/v1/${inDemo}/imagestreams`

test.each([
  ['secrets', secrets],
  ['streams', streams],
  ['tags', streams.replace('imagestreams', 'imagestreamtags')],
])('a position in a list of %s shows a project as it was, and none that it never was', async (_, path) => {
  const { api, cli, upstream } = await startWorld()
  upstream.put('lib/app', makeImage('app'), { tag: 'v1' })
  const made = async () => (await api('POST', projects, { metadata: { name: 'demo' } })).status
  const go = async (position: string) => {
    const { status, body } = await api('GET', `${path}?limit=10&continue=${position}`)
    const { items } = body as { items: { metadata: { name: string } }[] }
    return [status, items.map(({ metadata }) => metadata.name)]
  }
  expect(await made()).toBe(201)
  for (const name of ['a', 'b']) {
    await api('POST', secrets, { metadata: { name }, stringData: { key: 'hush' } })
    for (const tag of ['v1', 'v2']) {
      const imported = await cli('import-image', `demo/${name}:${tag}`, '--from', `${upstream.host}/lib/app:v1`)
      expect(imported).toMatchObject({ exitCode: 0 })
    }
  }
  const { body } = await api('GET', `${path}?limit=1`)
  const position = String((body.metadata as { continue: string }).continue)
  const [, rest] = await go(position)
  expect(rest).not.toEqual([])
  for (const each of [secrets, streams]) await api('DELETE', `${each}/b`)
  expect(await go(position)).toEqual([200, rest])

  await api('DELETE', `${projects}/demo`)
  await vi.waitFor(async () => expect(await made()).toBe(201), { timeout: 10_000 })
  expect(await go(position)).toEqual([200, []])
  await api('POST', secrets, { metadata: { name: 'z' }, stringData: { key: 'own' } })
  expect(await go(position)).toEqual([200, path === secrets ? ['z'] : []])
})
