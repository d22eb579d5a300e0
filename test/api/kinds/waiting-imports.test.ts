import { describe, expect, test } from 'vitest'
import { tagCheckSchema } from '../../../src/api/schemas/tag-checks.ts'
import { examineFields } from '../../../src/api/unknown-fields.ts'
import type { Importer } from '../../../src/importer.ts'
import { makeImage } from '../../support/images.ts'
import { apiWorld, imageApi, inDemo, names, weirApi } from '../world.ts'

const checks = `${weirApi}/${inDemo}/tagchecks`
const streams = `${imageApi}/${inDemo}/imagestreams`
const untilMs = Date.parse('2026-01-01T06:00:00Z')

/** The tag `demo/app:prod` waits for an import that a budget does not let through. */
async function world() {
  let waiting: ReturnType<Importer['waiting']> = []
  const api = await apiWorld((real) => ({ importer: { ...real.importer, waiting: () => waiting } }))
  api.registry.put('lib/app', makeImage('v1'), { tag: 'v1' })
  const from = `${api.registry.host}/lib/app:v1`
  const spec = { tags: [{ name: 'prod', from: { kind: 'DockerImage', name: from } }, { name: 'other' }] }
  await api.asAdmin('POST', streams, { metadata: { name: 'app' }, spec })
  const generation = (await api.reader.tag({ project: 'demo', stream: 'app' }, 'prod'))?.record.spec?.generation ?? 0
  const message = 'spent until 2026-01-01T06:00:00Z'
  const one = { project: 'demo', stream: 'app', tag: 'prod', generation, message, untilMs }
  waiting = [one, { ...one, tag: 'gone' }, { ...one, stream: 'gone' }]
  return { ...api, from, generation, message }
}

describe('a tag whose import waits for what its registry may be asked', () => {
  test('has a check that says why and until when, scheduled or not, and no other has', async () => {
    const w = await world()
    const { status, body } = await w.asAdmin('GET', `${checks}/app:prod`)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      kind: 'TagCheck',
      metadata: { name: 'app:prod' },
      from: w.from,
      importWaits: { until: '2026-01-01T06:00:00Z', reason: 'TooManyRequests', message: w.message },
    })
    for (const field of ['nextCheck', 'interval', 'lastCheck']) expect(body).not.toHaveProperty(field)
    expect(examineFields(tagCheckSchema, body)).toEqual({ unknown: [], wrong: [] })
    for (const query of ['', '?fieldSelector=stream%3Dapp']) {
      expect(names(await w.asAdmin('GET', checks + query))).toEqual(['app:prod'])
    }
    for (const name of ['app:gone', 'gone:prod', 'app:other'])
      expect((await w.asAdmin('GET', `${checks}/${name}`)).status).toBe(404)
  })

  test('has none any more when it was imported, or wants something else', async () => {
    const w = await world()
    const imported = { generation: w.generation, by: 'ann' }
    await w.importer.importPending({ project: 'demo', stream: 'app' }, 'prod', imported)
    expect((await w.asAdmin('GET', `${checks}/app:prod`)).status).toBe(404)
    expect(names(await w.asAdmin('GET', checks))).toEqual([])
  })

  test('is shown to nobody who may not read tags', async () => {
    const w = await world()
    expect((await w.send('GET', `${checks}/app:prod`, { token: await w.robot('stranger') })).status).toBe(403)
  })
})
