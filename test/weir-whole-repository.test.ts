/** A whole Weir follows a whole repository. */
import { expect, test, vi } from 'vitest'
import { makeImage } from './support/images.ts'
import { startWorld } from './support/world.ts'

const streams = '/apis/image.openshift.io/v1/namespaces/demo/imagestreams'
const checks = '/apis/weir.dev/v1/namespaces/demo/tagchecks'

test('whose tags come, are imported and pulled, and are described', async () => {
  const world = await startWorld()
  const image = makeImage('one')
  for (const tag of ['1.0', '1.1', 'main']) world.upstream.put('lib/app', image, { tag })
  expect(await world.cli('new-project', 'demo')).toMatchObject({ exitCode: 0 })
  const body = {
    kind: 'ImageStream',
    apiVersion: 'image.openshift.io/v1',
    metadata: { name: 'app', annotations: { 'weir.dev/follow': 'true', 'weir.dev/track': 'semver:1' } },
    spec: { dockerImageRepository: `${world.upstream.host}/lib/app` },
  }
  const made = await world.api('POST', streams, body)
  expect(made.status).toBe(201)
  await vi.waitFor(
    async () => {
      const { body: stream } = await world.api('GET', `${streams}/app`)
      expect(stream.status).toMatchObject({
        tags: ['1.0', '1.1'].map((tag) => ({ tag, items: [{ image: image.manifest.digest }] })),
      })
    },
    { timeout: 10_000 },
  )
  await vi.waitFor(async () => {
    const { body: check } = await world.api('GET', `${checks}/app:*`)
    expect(check.lastCheck).toMatchObject({ tags: 2, newTags: 2, additionalTags: 0 })
  })
  const described = await world.cli('describe', 'demo/app')
  expect(described.stdout).toMatch(/lib\/app, followed every 15m\n/)
  expect(described.stdout).toContain(': 2 new, 2 tags\n')
})
