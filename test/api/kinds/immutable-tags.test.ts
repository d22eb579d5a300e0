import { describe, expect, test } from 'vitest'
import { imagesWorld, importOf, imports, mappings, streams, tags, v1, v2 } from './images.ts'

const one = v1.manifest.digest
const two = v2.manifest.digest
const app = { project: 'demo', stream: 'app' }
const tagEvents = '/apis/weir.dev/v1/namespaces/demo/tagevents'
const projects = '/api/v1/namespaces/demo'

/**
 * A stream `app` that has v1 and v2: `prod` stood at v2 and stands at v1, `dev` stands at v2, and `live` follows `dev` and stands
 * at v1. `weir.dev/immutable` says so of `prod` and `live`, on the level that is asked for.
 */
async function immutableWorld(level: 'project' | 'stream' | 'tag' = 'stream') {
  const world = await imagesWorld()
  const { asAdmin, registry } = world
  const put = (tag: string, wanted: object, query = '') =>
    asAdmin('PUT', `${tags}/app:${tag}${query}`, { metadata: { name: `app:${tag}` }, tag: { name: tag, ...wanted } })
  await world.importTag('first')
  registry.put('lib/app', v2, { tag: 'v1' })
  await world.importTag('second')
  const at = (digest: string) => ({ from: { kind: 'ImageStreamImage', name: `app@${digest}` } })
  await put('prod', at(two))
  await put('prod', at(one))
  await put('dev', at(one))
  await put('live', { from: { kind: 'ImageStreamTag', name: 'dev' } })
  const says = (value: string) => ({ metadata: { annotations: { 'weir.dev/immutable': value } } })
  const patch = (path: string, body: object) => world.patch('merge', path, body)
  if (level === 'project') await patch(projects, says('prod, l*'))
  if (level === 'stream') await patch(`${streams}/app`, says('prod,l*'))
  if (level === 'tag') for (const tag of ['prod', 'live']) await patch(`${tags}/app:${tag}`, says('true'))
  const pin = async (tag: string) => (await world.reader.tag(app, tag))?.record.items[0]?.image
  return { ...world, put, at, pin, patch, says }
}

type ImmutableWorld = Awaited<ReturnType<typeof immutableWorld>>
type Answer = { status: number; body: Record<string, unknown> }

const moves: [string, (world: ImmutableWorld, query: string) => Promise<Answer>][] = [
  ['a tag', ({ put, at }, query) => put('prod', at(two), query)],
  [
    'another source',
    ({ put, from }, query) => put('prod', { from: { kind: 'DockerImage', name: `${from}-other` } }, query),
  ],
  ['a deletion of the tag', ({ asAdmin }, query) => asAdmin('DELETE', `${tags}/app:prod${query}`)],
  ['a mapping', ({ asAdmin }, query) => asAdmin('POST', `${mappings}${query}`, mappingTo(two))],
]

describe.each(['project', 'stream', 'tag'] as const)('weir.dev/immutable on the %s', (level) => {
  test('refuses what would move or delete the tag with 422 and a cause, and dry runs as well', async () => {
    const world = await immutableWorld(level)
    for (const [what, move] of moves) {
      for (const query of ['?dryRun=All', '']) {
        const answer = await move(world, query)
        expect(answer.status, `${what} ${query}: ${JSON.stringify(answer.body)}`).toBe(422)
        const details = (answer.body as { details?: { causes?: { message: string }[] } }).details
        expect(details?.causes?.[0]?.message, what).toContain('is immutable (weir.dev/immutable: ')
        expect(await world.pin('prod'), what).toBe(one)
      }
    }
  })

  test('refuses to delete the whole stream, and dry runs as well, and names the tags and what to do', async () => {
    const world = await immutableWorld(level)
    const places = { project: 'project demo', stream: 'image stream demo/app', tag: 'the tags' }
    for (const query of ['?dryRun=All', '']) {
      const answer = await world.asAdmin('DELETE', `${streams}/app${query}`)
      expect(answer).toMatchObject({ status: 422, body: { reason: 'Invalid' } })
      expect(answer.body.message).toContain('live, prod')
      expect(answer.body.message).toContain(`weir.dev/immutable on ${places[level]}`)
    }
    expect(await world.pin('prod')).toBe(one)
    for (const tag of ['prod', 'live']) await world.patch(`${tags}/app:${tag}`, world.says('false'))
    expect((await world.asAdmin('DELETE', `${streams}/app?dryRun=All`)).status).toBe(200)
    expect((await world.asAdmin('DELETE', `${streams}/app`)).status).toBe(200)
    expect((await world.asAdmin('GET', `${streams}/app`)).status).toBe(404)
  })

  test('refuses a rollback', async () => {
    const { asAdmin, pin } = await immutableWorld(level)
    const wish = { apiVersion: 'weir.dev/v1', kind: 'Rollback', stream: 'app', tag: 'prod' }
    const answer = await asAdmin('POST', tagEvents, wish)
    expect(answer).toMatchObject({ status: 422, body: { message: expect.stringContaining('is immutable') } })
    expect(await pin('prod')).toBe(one)
  })

  test('notes where a tag would have followed, and shows it', async () => {
    const { put, at, pin, asAdmin } = await immutableWorld(level)
    await put('dev', at(two))
    expect([await pin('dev'), await pin('live')]).toEqual([two, one])
    const { metadata } = (await asAdmin('GET', `${tags}/app:live`)).body as { metadata: { annotations: object } }
    expect(metadata.annotations).toMatchObject({ 'weir.dev/candidate': expect.stringContaining(two) })
  })

  test('lets the tag be put where it stands', async () => {
    const { put, at, asAdmin, pin } = await immutableWorld(level)
    expect((await put('prod', at(one))).status).toBe(200)
    expect((await asAdmin('POST', mappings, mappingTo(one))).status).toBe(201)
    expect(await pin('prod')).toBe(one)
  })
})

test('an import by hand of another image is refused in its own status, and one of the same succeeds', async () => {
  const { asAdmin, registry, from, patch, says, importTag, pin } = await immutableWorld()
  await importTag('rel')
  await patch(`${streams}/app`, says('rel'))
  expect(await importedStatus(await asAdmin('POST', imports, importOf(from, 'rel')))).toBe('Success')
  registry.put('lib/app', v1, { tag: 'v1' })
  for (const query of ['?dryRun=All', '']) {
    const answer = await asAdmin('POST', `${imports}${query}`, importOf(from, 'rel'))
    expect(await importedStatus(answer), query).toContain('is immutable')
  }
  expect(await pin('rel')).toBe(two)
  expect((await asAdmin('GET', `${tags}/app:rel`)).body).not.toHaveProperty('conditions')
})

test('a tag of the same stream of which the annotation is taken away moves again', async () => {
  const { put, at, pin, patch } = await immutableWorld()
  await patch(`${streams}/app`, { metadata: { annotations: { 'weir.dev/immutable': null } } })
  expect((await put('prod', at(two))).status).toBe(200)
  expect(await pin('prod')).toBe(two)
})

test('what can not be read is refused where it is written', async () => {
  const { patch, says } = await immutableWorld()
  for (const [path, value] of [
    [projects, 'v!'],
    [`${streams}/app`, ''],
    [`${tags}/app:prod`, 'v*'],
  ] as const) {
    const answer = await patch(path, says(value))
    expect(answer.status, path).toBe(422)
    expect(JSON.stringify(answer.body), path).toContain('[weir.dev/immutable]')
  }
})

function mappingTo(digest: string): Record<string, unknown> {
  return {
    kind: 'ImageStreamMapping',
    apiVersion: 'image.openshift.io/v1',
    metadata: { name: 'app', namespace: 'demo' },
    image: { metadata: { name: digest }, dockerImageReference: `weir.test/demo/app@${digest}` },
    tag: 'prod',
  }
}

async function importedStatus({ body }: Answer): Promise<string> {
  const { status } = body as { status?: { images?: { status: { status: string; message?: string } }[] } }
  const told = status?.images?.[0]?.status
  return told?.message ?? told?.status ?? JSON.stringify(body)
}
