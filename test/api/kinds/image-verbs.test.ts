/** What every kind that can be written has: each verb, in earnest and as a dry run. */
import { describe, expect, test } from 'vitest'
import { type Answered, imageApi, inDemo, names, refusal, type WatchEvent } from '../world.ts'
import { type ImagesWorld, imagesWorld, type PatchType, v1, versionOf, wire, withoutContent } from './images.ts'

interface Kind {
  resource: string
  kind: string
  name: string
  make(from: object): object
  /** Gives the object the annotation `note`, as an update. */
  note(object: Record<string, unknown>, value: string): object
  patch: Record<Exclude<PatchType, 'apply'>, unknown>
  /** Where the note is read. */
  read(answer: Answered): unknown
  columns: string[]
}

const at = (value: unknown, ...path: (string | number)[]): unknown =>
  path.reduce<unknown>((each, key) => (each as Record<string | number, unknown> | undefined)?.[key], value)
const annotated = { metadata: { annotations: { note: 'patched' } } }
const annotate = [{ op: 'add', path: '/metadata/annotations', value: { note: 'patched' } }]
const noteOf = ({ body }: Answered) => at(body, 'metadata', 'annotations', 'note')
const withNote = (object: Record<string, unknown>, note: string) => ({
  ...object,
  metadata: { ...(object.metadata as object), annotations: { note } },
})

const kinds: Kind[] = [
  {
    resource: 'imagestreams',
    kind: 'ImageStream',
    name: 'app',
    make: (from) => ({ metadata: { name: 'app' }, spec: { tags: [{ name: 'prod', from }] } }),
    note: withNote,
    patch: { json: annotate, merge: annotated, strategic: annotated },
    read: noteOf,
    columns: ['Name', 'Image Repository', 'Tags', 'Updated'],
  },
  {
    resource: 'imagestreamtags',
    kind: 'ImageStreamTag',
    name: 'app:prod',
    make: (from) => ({ metadata: { name: 'app:prod' }, tag: { name: '', from } }),
    note: withNote,
    patch: { json: annotate, merge: annotated, strategic: annotated },
    read: noteOf,
    columns: ['Name', 'Image Reference', 'Updated', 'Image Name'],
  },
  {
    resource: 'imagetags',
    kind: 'ImageTag',
    name: 'app:prod',
    make: (from) => ({ metadata: { name: 'app:prod' }, spec: { name: 'prod', from } }),
    note: (object, note) => ({ ...object, spec: { ...(object.spec as object), annotations: { note } } }),
    patch: {
      json: [{ op: 'replace', path: '/spec/annotations', value: { note: 'patched' } }],
      merge: { spec: { annotations: { note: 'patched' } } },
      strategic: { spec: { annotations: { note: 'patched' } } },
    },
    read: ({ body }) => at(body, 'spec', 'annotations', 'note'),
    columns: ['Name', 'Spec', 'Status', 'History', 'Updated'],
  },
]

/** A stream `base` that has an image, and an object of the kind to be made of it. */
async function verbsWorld({ resource, make }: Kind) {
  const world = await imagesWorld()
  await world.importTag('v1', 'base')
  const path = `${imageApi}/${inDemo}/${resource}`
  const made = make({ kind: 'ImageStreamImage', name: `base@${v1.manifest.digest}` })
  return { ...world, path, made }
}

/** What would be seen of it, had it happened. */
async function expectNothingWritten(world: ImagesWorld, work: () => Promise<Answered>): Promise<Answered> {
  const before = await world.revision()
  const answer = await work()
  expect(await world.revision()).toBe(before)
  return answer
}

describe.each(kinds)('$resource', (row) => {
  test('are created, read, listed, changed in each way and deleted', async () => {
    const world = await verbsWorld(row)
    const { asAdmin, path, made, patch } = world
    const one = `${path}/${row.name}`
    const created = await asAdmin('POST', path, made)
    expect(created).toMatchObject({
      status: 201,
      body: { kind: row.kind, apiVersion: 'image.openshift.io/v1', metadata: { name: row.name, namespace: 'demo' } },
    })
    expect(withoutContent(wire(await asAdmin('GET', one)))).toEqual(created.body)
    expect(await asAdmin('POST', path, made)).toMatchObject(
      refusal(409, 'AlreadyExists', `${row.resource}.image.openshift.io "${row.name}" already exists`),
    )
    expect(names(await asAdmin('GET', path))).toContain(row.name)
    expect(names(await asAdmin('GET', `${imageApi}/${row.resource}`))).toContain(row.name)

    const put = await asAdmin('PUT', one, row.note(created.body, 'put'))
    expect(put.status).toBe(200)
    expect(row.read(put)).toBe('put')
    expect(withoutContent(wire(await asAdmin('GET', one)))).toEqual(put.body)
    for (const type of ['json', 'merge', 'strategic'] as const) {
      await asAdmin('PUT', one, row.note(wire(await asAdmin('GET', one)), 'put'))
      const patched = await patch(type, one, row.patch[type])
      expect([patched.status, row.read(patched)]).toEqual([200, 'patched'])
      expect(withoutContent(wire(await asAdmin('GET', one)))).toEqual(patched.body)
    }
    expect(await asAdmin('DELETE', one)).toMatchObject({ status: 200, body: { kind: 'Status', status: 'Success' } })
    expect(await asAdmin('GET', one)).toMatchObject(
      refusal(404, 'NotFound', `${row.resource}.image.openshift.io "${row.name}" not found`),
    )
    for (const answer of [await patch('merge', one, {}), await asAdmin('DELETE', one)]) {
      expect(answer).toMatchObject(refusal(404, 'NotFound'))
    }
    expect(names(await asAdmin('GET', path))).not.toContain(row.name)
  })

  test('of a dry run are answered as they would be, and nothing is written', async () => {
    const world = await verbsWorld(row)
    const { asAdmin, path, made, patch } = world
    const one = `${path}/${row.name}`
    const answered = await expectNothingWritten(world, () => asAdmin('POST', `${path}?dryRun=All`, made))
    expect(answered).toMatchObject({ status: 201, body: { metadata: { name: row.name } } })
    expect((await asAdmin('GET', one)).status).toBe(404)
    const { body } = await asAdmin('POST', path, made)
    const dry = `${one}?dryRun=All`
    const put = await expectNothingWritten(world, () => asAdmin('PUT', dry, row.note(body, 'dry')))
    expect([put.status, row.read(put)]).toEqual([200, 'dry'])
    for (const type of ['json', 'merge', 'strategic'] as const) {
      const patched = await expectNothingWritten(world, () => patch(type, dry, row.patch[type]))
      expect([patched.status, row.read(patched)]).toEqual([200, 'patched'])
    }
    for (const answer of [
      await expectNothingWritten(world, () => asAdmin('DELETE', dry)),
      await expectNothingWritten(world, () => asAdmin('DELETE', one, { dryRun: ['All'] })),
      await expectNothingWritten(world, () => asAdmin('DELETE', `${path}?dryRun=All`)),
    ]) {
      expect(answer).toMatchObject({ status: 200, body: { status: 'Success' } })
    }
    expect(withoutContent(wire(await asAdmin('GET', one)))).toEqual(withoutContent(wire({ body })))
    expect(await asAdmin('PUT', `${one}?dryRun=Some`, body)).toMatchObject({ status: expect.toSatisfy(isClientError) })
  })

  test('of a dry run are refused as they would be', async () => {
    const world = await verbsWorld(row)
    const { asAdmin, path, made } = world
    const { body } = await asAdmin('POST', path, made)
    const dry = `${path}/${row.name}?dryRun=All`
    const stale = { ...body, metadata: { ...(body.metadata as object), uid: 'another' } }
    for (const answer of [
      await expectNothingWritten(world, () => asAdmin('POST', `${path}?dryRun=All`, made)),
      await expectNothingWritten(world, () => asAdmin('PUT', dry, row.note(stale, 'x'))),
      await expectNothingWritten(world, () => asAdmin('DELETE', dry, { preconditions: { uid: 'another' } })),
    ]) {
      expect(answer.status).toBe(409)
    }
  })

  test('are watched: made, changed, gone', async () => {
    const { asAdmin, path, made, watch, adminToken, patch } = await verbsWorld(row)
    const { metadata } = (await asAdmin('GET', path)).body as { metadata: { resourceVersion: string } }
    const next = await watch(`${path}?watch=1&resourceVersion=${metadata.resourceVersion}`, adminToken)
    const created = await asAdmin('POST', path, made)
    const patched = await patch('merge', `${path}/${row.name}`, row.patch.merge)
    await asAdmin('DELETE', `${path}/${row.name}`)
    const events: WatchEvent[] = []
    for (let event = await next(); event !== undefined; event = await next()) {
      expect(event.object).toMatchObject({ kind: row.kind, metadata: { name: row.name } })
      events.push(event)
      if (event.type === 'DELETED') break
    }
    // A stream whose tags need links is there before them.
    expect(events.map(({ type }) => type).join(' ')).toMatch(/^ADDED (?:MODIFIED ){1,2}DELETED$/)
    const told = new Map(events.map(({ object }) => [object.metadata.resourceVersion, object]))
    expect(told.get(versionOf(created))).toEqual(listed(created.body, row.resource))
    expect(JSON.stringify(told.get(versionOf(patched)))).toContain('patched')
  })

  test('are shown in tables with OKD’s columns', async () => {
    const { asAdmin, path, made, send, adminToken } = await verbsWorld(row)
    await asAdmin('POST', path, made)
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
    for (const each of [path, `${path}/${row.name}`]) {
      const { body } = await send('GET', each, { token: adminToken, headers })
      expect(body).toMatchObject({ kind: 'Table', columnDefinitions: row.columns.map((name) => ({ name })) })
      const rows = body.rows as { cells: unknown[] }[]
      expect(rows.find(({ cells }) => cells[0] === row.name)?.cells).toHaveLength(row.columns.length)
    }
  })

  test('are deleted as a collection, as far as it is selected', async () => {
    const { asAdmin, path, importTag } = await verbsWorld(row)
    await importTag('prod', 'app')
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    const elsewhere = path.replace('demo', 'other')
    await asAdmin('POST', `${imageApi}/namespaces/other/imagestreams`, { metadata: { name: 'app' } })
    const selector = encodeURIComponent(`metadata.name=${row.name}`)
    expect(await asAdmin('DELETE', `${path}?fieldSelector=${selector}`)).toMatchObject({ status: 200 })
    expect(names(await asAdmin('GET', path))).toEqual([row.name === 'app' ? 'base' : 'base:v1'])
    expect(await asAdmin('DELETE', path)).toMatchObject({ status: 200 })
    expect(names(await asAdmin('GET', path))).toEqual([])
    expect((await asAdmin('GET', `${elsewhere.replace(row.resource, 'imagestreams')}/app`)).status).toBe(200)
  })
})

/** As lists and watches have it: the image of a tag in short. */
function listed(body: Record<string, unknown>, resource: string): unknown {
  if (resource === 'imagestreams') return body
  if (resource === 'imagetags') return { ...body, image: null }
  const image = { metadata: { creationTimestamp: null }, dockerImageMetadata: null, dockerImageLayers: null }
  return { ...body, image: expect.objectContaining({ ...image, metadata: expect.objectContaining(image.metadata) }) }
}

function isClientError(status: number): boolean {
  return status >= 400 && status < 500
}
