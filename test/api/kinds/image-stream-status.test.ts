import { describe, expect, test } from 'vitest'
import { invalidFields, refusal } from '../world.ts'
import { imagesWorld, streams, tags, v1, v2, type Wire, wire } from './images.ts'

const status = `${streams}/app/status`

interface Item {
  image: string
  created: string
}

/** A stream `app` whose tag `prod` stood at v1, v2 and v1, a second apart. */
async function statusWorld() {
  const world = await imagesWorld()
  for (const image of [v1, v2, v1]) {
    world.registry.put('lib/app', image, { tag: 'v1' })
    await world.importTag('prod')
    world.clock.advance(1_000)
  }
  const read = async () => wire(await world.asAdmin('GET', status))
  /** The stream with other items of `prod`. */
  const withItems = (object: Wire, change: (items: Item[]) => unknown[]): Wire => {
    const copy = structuredClone(object)
    const shown = (copy.status as { tags: { items: Item[] }[] }).tags[0]
    if (shown !== undefined) shown.items = change(shown.items) as Item[]
    return copy
  }
  return { ...world, read, withItems }
}

const imagesOf = (object: Wire) =>
  ((object.status as { tags: { items: Item[] }[] }).tags[0]?.items ?? []).map(({ image }) => image)
const [one, two] = [v1.manifest.digest, v2.manifest.digest]

describe('imagestreams/status', () => {
  test('reads as the stream does', async () => {
    const { read, asAdmin } = await statusWorld()
    const object = await read()
    expect(object).toEqual((await asAdmin('GET', `${streams}/app`)).body)
    expect(imagesOf(object)).toEqual([one, two, one])
    expect((await asAdmin('GET', `${streams}/gone/status`)).status).toBe(404)
  })

  test('hides older items by PUT, and the ledger and the pin keep them', async () => {
    const { read, withItems, asAdmin, reader, pins } = await statusWorld()
    const sent = withItems(await read(), ([head, _older, oldest]) => [head, oldest])
    const answer = await asAdmin('PUT', status, sent)
    expect(answer.status).toBe(200)
    expect(imagesOf(wire(answer))).toEqual([one, one])
    expect(imagesOf(await read())).toEqual([one, one])
    const app = { project: 'demo', stream: 'app' }
    expect((await reader.ledger(app, 'prod')).map(({ image }) => image)).toEqual([one, two, one])
    expect((await pins.pin(app, 'prod'))?.digest).toBe(one)
  })

  test('hides them by each sort of patch', async () => {
    const { read, withItems, patch } = await statusWorld()
    const items = (withItems(await read(), ([head, ...rest]) => [head, ...rest.slice(1)]).status as { tags: unknown })
      .tags
    expect(imagesOf(wire(await patch('strategic', status, { status: { tags: items } })))).toEqual([one, one])
    const answer = await patch('json', status, [{ op: 'remove', path: '/status/tags/0/items/1' }])
    expect(imagesOf(wire(answer))).toEqual([one])
    expect(imagesOf(await read())).toEqual([one])
  })

  test('leaves everything else of the stream as it is', async () => {
    const { read, asAdmin, revision } = await statusWorld()
    const object = await read()
    const before = await revision()
    const sent = {
      ...object,
      metadata: { ...object.metadata, labels: { a: 'b' }, annotations: { c: 'd' } },
      spec: { lookupPolicy: { local: true }, dockerImageRepository: 'quay.io/a/b', tags: [] },
    }
    expect(await asAdmin('PUT', status, sent)).toMatchObject({ status: 200, body: object })
    expect(await revision()).toBe(before)
  })

  test('writes nothing in a dry run', async () => {
    const { read, withItems, asAdmin, revision } = await statusWorld()
    const object = await read()
    const before = await revision()
    const answer = await asAdmin(
      'PUT',
      `${status}?dryRun=All`,
      withItems(object, (items) => items.slice(0, 1)),
    )
    expect(imagesOf(wire(answer))).toEqual([one])
    expect(await revision()).toBe(before)
    expect(await read()).toEqual(object)
  })

  const moved = {
    dockerImageReference: `evil.test/x@${two}`,
    generation: 9,
    created: '2027-01-01T00:00:00Z',
    image: two,
  }
  const forbidden: [string, (items: Item[]) => unknown[]][] = [
    ['a move of the pin', (items) => [moved, ...items]],
    ['another image in the head', ([head, ...rest]) => [{ ...head, image: two }, ...rest]],
    ['an older item as the head', (items) => items.slice(1)],
    ['another order', (items) => items.toReversed()],
    [
      'another time',
      ([head, ...rest]) => [head, ...rest.map((item) => ({ ...item, created: '2020-01-01T00:00:00Z' }))],
    ],
    ['no items at all', () => []],
    ['items twice', (items) => [...items, ...items]],
    ['items that are empty', ([head]) => [head, {}]],
  ]
  test.each(forbidden)('refuses %s', async (_, change) => {
    const { read, withItems, asAdmin } = await statusWorld()
    const object = await read()
    expect(await asAdmin('PUT', status, withItems(object, change))).toMatchObject(
      invalidFields('status.tags[prod].items'),
    )
    expect(await read()).toEqual(object)
  })

  test('refuses tags that are not there, whatever they are called', async () => {
    const { read, asAdmin } = await statusWorld()
    const object = await read()
    const shown = (object.status as { tags: unknown[] }).tags
    for (const tag of ['gone', '__proto__', 'constructor', '', 'a!b', 'x'.repeat(5_000)]) {
      const sent = { ...object, status: { ...(object.status as object), tags: [...shown, { tag, items: [moved] }] } }
      const answer = await asAdmin('PUT', status, sent)
      expect(answer).toMatchObject({ status: 422, body: { reason: 'Invalid' } })
      expect(answer.text.length).toBeLessThan(3_000)
    }
    expect(await read()).toEqual(object)
  })

  test('conflicts when the tag moved after what was read, and an item of before would go', async () => {
    const { read, withItems, asAdmin, registry, importTag } = await statusWorld()
    const object = await read()
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('prod')
    const sent = withItems(object, (items) => items.slice(0, 1))
    expect(await asAdmin('PUT', status, sent)).toMatchObject(refusal(409, 'Conflict'))
    expect(await asAdmin('PUT', status, object)).toMatchObject({ status: 200 })
    expect(imagesOf(await read())).toEqual([two, one, two, one])
    expect((await asAdmin('GET', `${tags}/app:prod`)).body).toMatchObject({ image: { metadata: { name: two } } })
  })

  test('is written by who may prune, and not by who may edit', async () => {
    const { read, withItems, send, robot } = await statusWorld()
    const body = withItems(await read(), (items) => items.slice(0, 1))
    for (const [role, code] of [
      ['view', 403],
      ['edit', 403],
      ['admin', 403],
      ['system:image-pruner', 200],
    ] as const) {
      const token = await robot(role.replace(/\W/g, '-'), role)
      expect([role, (await send('PUT', status, { token, body })).status]).toEqual([role, code])
      expect((await send('DELETE', status, { token })).status).toBe(405)
    }
  })
})
