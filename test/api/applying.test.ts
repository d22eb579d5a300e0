import { describe, expect, test } from 'vitest'
import { imagesWorld } from './kinds/images.ts'
import { type Answered, type ApiWorld, apiWorld, imageApi, inDemo, invalidFields, refusal } from './world.ts'

const configMaps = `/api/v1/${inDemo}/configmaps`
const streams = `${imageApi}/${inDemo}/imagestreams`
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

interface Entry {
  manager: string
  operation: string
  time: string
  fieldsV1: Record<string, unknown>
}

const configMap = (data: object, metadata: object = {}) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data })
const metadataOf = ({ body }: Answered) => body.metadata as Record<string, unknown>
const entriesOf = (answer: Answered) => (metadataOf(answer).managedFields ?? []) as Entry[]
const managersOf = (answer: Answered) => entriesOf(answer).map(({ manager, operation }) => `${manager} ${operation}`)
const ownersOf = (answer: Answered, field: string) =>
  entriesOf(answer)
    .filter(({ fieldsV1 }) => JSON.stringify(fieldsV1).includes(`"${field}"`))
    .map(({ manager }) => manager)

function applier({ send, adminToken }: ApiWorld, path = `${configMaps}/settings`) {
  return (manager: string, config: unknown, query = '', token = adminToken): Promise<Answered> =>
    send('PATCH', `${path}?fieldManager=${manager}${query}`, {
      token,
      body: config,
      headers: { 'content-type': 'application/apply-patch+yaml' },
    })
}

async function applyWorld() {
  const world = await apiWorld()
  return {
    ...world,
    apply: applier(world),
    read: () => world.asAdmin('GET', `${configMaps}/settings`),
    merge: (body: unknown, query = '') =>
      world.send('PATCH', `${configMaps}/settings${query}`, {
        token: world.adminToken,
        body,
        headers: { 'content-type': 'application/merge-patch+json', 'user-agent': 'curl/8.0' },
      }),
  }
}

describe('applying what is not there', () => {
  test('creates it and is answered 201', async () => {
    const { apply, read } = await applyWorld()
    const answer = await apply('ci', configMap({ a: '1' }))
    expect(answer).toMatchObject({
      status: 201,
      body: {
        kind: 'ConfigMap',
        apiVersion: 'v1',
        metadata: { name: 'settings', namespace: 'demo' },
        data: { a: '1' },
      },
    })
    expect(entriesOf(answer)).toMatchObject([
      {
        manager: 'ci',
        operation: 'Apply',
        apiVersion: 'v1',
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': { 'f:a': {} } },
      },
    ])
    expect((await read()).body).toEqual(answer.body)
  })

  test('needs the right to create as well as to patch', async () => {
    const { apply, asAdmin, robot, read } = await applyWorld()
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'patch'] }]
    await asAdmin('POST', `/apis/rbac.authorization.k8s.io/v1/${inDemo}/roles`, {
      metadata: { name: 'patcher' },
      rules,
    })
    await asAdmin('POST', `/apis/rbac.authorization.k8s.io/v1/${inDemo}/rolebindings`, {
      metadata: { name: 'patcher' },
      subjects: [{ kind: 'ServiceAccount', name: 'p', namespace: 'demo' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'patcher' },
    })
    const token = await robot('p')
    expect(await apply('ci', configMap({ a: '1' }), '', token)).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('cannot create resource "configmaps"')),
    )
    expect((await read()).status).toBe(404)
    await apply('ci', configMap({ a: '1' }))
    expect((await apply('other', configMap({ b: '1' }), '', token)).status).toBe(200)
  })

  test('with dryRun creates nothing', async () => {
    const { apply, read } = await applyWorld()
    expect((await apply('ci', configMap({ a: '1' }), '&dryRun=All')).status).toBe(201)
    expect((await read()).status).toBe(404)
  })

  test('into a project that is not there is answered 404', async () => {
    const world = await apiWorld()
    const answer = await applier(world, '/api/v1/namespaces/none/configmaps/settings')('ci', configMap({}))
    expect(answer).toMatchObject(refusal(404, 'NotFound', expect.stringContaining('namespaces "none" not found')))
  })

  test('by many at once creates it once, with what all of them named', async () => {
    const { apply, read } = await applyWorld()
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
    const answers = await Promise.all(keys.map((key) => apply(key, configMap({ [key]: 'x' }))))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array(19).fill(200), 201])
    const found = await read()
    expect(Object.keys(found.body.data as object).toSorted()).toEqual(keys.toSorted())
    expect(managersOf(found)).toHaveLength(20)
  })
})

describe('applying again', () => {
  test('writes nothing', async () => {
    const { apply, clock, read } = await applyWorld()
    const first = await apply('ci', configMap({ a: '1' }, { labels: { x: 'y' } }))
    clock.advance(60_000)
    expect(await apply('ci', configMap({ a: '1' }, { labels: { x: 'y' } }))).toMatchObject({
      status: 200,
      body: first.body,
    })
    expect((await read()).body).toEqual(first.body)
  })

  test('removes what is no longer named', async () => {
    const { apply } = await applyWorld()
    await apply('ci', configMap({ a: '1', b: '2' }))
    await apply('other', configMap({ c: '3' }))
    expect((await apply('ci', configMap({ a: '1' }))).body.data).toEqual({ a: '1', c: '3' })
  })

  test('conflicts with what others set, unless it is forced', async () => {
    const { apply, merge, read } = await applyWorld()
    await apply('ci', configMap({ a: '1' }))
    await merge({ data: { a: '2' } }, '?fieldManager=kubectl-edit')
    const conflict = await apply('ci', configMap({ a: '1' }))
    expect(conflict).toMatchObject(
      refusal(409, 'Conflict', 'Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data.a'),
    )
    expect(conflict.body.details).toMatchObject({
      causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "kubectl-edit" using v1', field: '.data.a' }],
    })
    expect((await read()).body.data).toEqual({ a: '2' })
    const forced = await apply('ci', configMap({ a: '1' }), '&force=true')
    expect(forced).toMatchObject({ status: 200, body: { data: { a: '1' } } })
    expect(managersOf(forced)).toEqual(['ci Apply'])
  })

  test('with a resourceVersion that is old is answered 409', async () => {
    const { apply, merge } = await applyWorld()
    const { resourceVersion } = metadataOf(await apply('ci', configMap({ a: '1' })))
    expect((await apply('ci', configMap({ a: '1' }, { resourceVersion }))).status).toBe(200)
    await merge({ data: { b: '2' } })
    expect(await apply('ci', configMap({ a: '1' }, { resourceVersion }))).toMatchObject(refusal(409, 'Conflict'))
  })

  test('with the uid of another object is answered 409', async () => {
    const { apply } = await applyWorld()
    await apply('ci', configMap({ a: '1' }))
    expect(await apply('ci', configMap({ a: '1' }, { uid: 'another' }))).toMatchObject(refusal(409, 'Conflict'))
  })
})

describe('others who write to an applied object', () => {
  test('own what they change, under the name that they give or their program’s', async () => {
    const { apply, merge, send, adminToken, read } = await applyWorld()
    await apply('ci', configMap({ a: '1', b: '1', c: '1' }))
    await merge({ data: { b: '2' } })
    const { body } = await read()
    await send('PUT', `${configMaps}/settings?fieldManager=editor`, {
      token: adminToken,
      body: { ...body, data: { ...(body.data as object), c: '3' } },
    })
    const found = await read()
    expect(ownersOf(found, 'f:a')).toEqual(['ci'])
    expect(ownersOf(found, 'f:b')).toEqual(['curl'])
    expect(ownersOf(found, 'f:c')).toEqual(['editor'])
  })

  test('keep the owners by a PUT that knows nothing of them', async () => {
    const { apply, asAdmin, read } = await applyWorld()
    await apply('ci', configMap({ a: '1' }))
    const put = (data: object) => asAdmin('PUT', `${configMaps}/settings`, { metadata: { name: 'settings' }, data })
    const same = await put({ a: '1' })
    expect(managersOf(same)).toEqual(['ci Apply'])
    await put({ a: '2' })
    expect(ownersOf(await read(), 'f:a')).toEqual(['unknown'])
  })

  test('cannot replace the owners by a PUT of an old state', async () => {
    const { apply, asAdmin } = await applyWorld()
    const { body } = await apply('ci', configMap({ a: '1' }))
    await apply('other', configMap({ b: '1' }))
    const { resourceVersion: _, ...metadata } = body.metadata as Record<string, unknown>
    const answer = await asAdmin('PUT', `${configMaps}/settings`, { ...body, data: { a: '1', b: '1' }, metadata })
    expect(managersOf(answer)).toEqual(['ci Apply', 'other Apply'])
  })

  test('are not told in an object that nobody applied', async () => {
    const { asAdmin, merge } = await applyWorld()
    const managedFields = [
      { manager: 'x', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:data': {} } },
    ]
    const made = await asAdmin('POST', configMaps, { metadata: { name: 'settings', managedFields }, data: { a: '1' } })
    expect(metadataOf(made)).not.toHaveProperty('managedFields')
    expect(metadataOf(await merge({ data: { a: '2' } }))).not.toHaveProperty('managedFields')
  })
})

describe('kubectl', () => {
  // The requests of `kubectl apply`, then `kubectl apply --server-side` with less in the file (kubectl 1.33).
  test('goes over from its own apply to the server’s, and removes what went from the file', async () => {
    const { send, adminToken, asAdmin, apply, read } = await applyWorld()
    const file = configMap({ a: '1', b: '1' }, { name: 'settings', namespace: 'demo' })
    const annotations = { [lastApplied]: `${JSON.stringify(file)}\n` }
    await asAdmin('POST', `${configMaps}?fieldManager=kubectl-client-side-apply&fieldValidation=Strict`, {
      ...file,
      metadata: { ...file.metadata, annotations },
    })
    const changed = configMap({ a: '2' }, { name: 'settings', namespace: 'demo' })
    const applied = await apply('kubectl', changed, '&fieldValidation=Strict&force=false')
    expect(applied).toMatchObject({ status: 200, body: { data: { a: '2', b: '1' } } })
    const before = entriesOf(applied).find(({ operation }) => operation === 'Update')
    const own = entriesOf(applied).find(({ operation }) => operation === 'Apply')
    expect(JSON.stringify(before?.fieldsV1)).toContain(lastApplied)
    const migrated = await send('PATCH', `${configMaps}/settings`, {
      token: adminToken,
      headers: { 'content-type': 'application/json-patch+json' },
      body: [
        { op: 'replace', path: '/metadata/managedFields', value: [{ ...own, fieldsV1: before?.fieldsV1 }] },
        { op: 'replace', path: '/metadata/resourceVersion', value: metadataOf(applied).resourceVersion },
      ],
    })
    expect(managersOf(migrated)).toEqual(['kubectl Apply'])
    const again = await apply('kubectl', changed, '&fieldValidation=Strict&force=false')
    expect(again).toMatchObject({ status: 200, body: { data: { a: '2' } } })
    expect((await read()).body.data).toEqual({ a: '2' })
  })
})

describe('a configuration', () => {
  test('may be YAML, or JSON of any size that an object may have', async () => {
    const { apply } = await applyWorld()
    expect((await apply('ci', 'apiVersion: v1\nkind: ConfigMap\ndata:\n  a: "1"\n')).status).toBe(201)
    const large = configMap({ a: 'x'.repeat(300_000) })
    expect((await apply('ci', JSON.stringify(large, null, 2))).status).toBe(200)
    expect((await apply('ci', `\n\n${JSON.stringify(large)}`)).status).toBe(200)
    expect((await apply('ci', '{apiVersion: v1, kind: ConfigMap, data: {a: "2"}}')).body.data).toEqual({ a: '2' })
  })

  test.each([
    ['without kind', { apiVersion: 'v1' }],
    ['without apiVersion', { kind: 'ConfigMap' }],
    ['of another kind', { apiVersion: 'v1', kind: 'Secret' }],
    ['of another version', { apiVersion: 'v2', kind: 'ConfigMap' }],
    ['of another name', configMap({}, { name: 'other' })],
    ['of another namespace', configMap({}, { namespace: 'other' })],
    ['with owners', configMap({}, { managedFields: [{ manager: 'x' }] })],
    ['with owners that are no list', configMap({}, { managedFields: {} })],
    ['with data that is text', { apiVersion: 'v1', kind: 'ConfigMap', data: 'x' }],
    ['with metadata that is text', { apiVersion: 'v1', kind: 'ConfigMap', metadata: 'x' }],
    ['of two documents', 'apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nkind: ConfigMap\n'],
    ['that is a list', '- a\n'],
    ['that is no YAML', 'a: [\n'],
    ['that multiplies', yamlBomb()],
    ['that contains itself', 'apiVersion: v1\nkind: ConfigMap\ndata: &a\n  b: *a\n'],
  ])('%s is refused, whether or not the object is there', async (_name, config) => {
    const { apply, lines } = await applyWorld()
    expect(await apply('ci', config)).toMatchObject(refusal(400, 'BadRequest'))
    await apply('ci', configMap({ a: '1' }))
    expect(await apply('ci', config)).toMatchObject(refusal(400, 'BadRequest'))
    expect(lines.filter((line) => line.includes('"level":50'))).toEqual([])
  })

  test('may say that the owners are nobody', async () => {
    const { apply } = await applyWorld()
    expect((await apply('ci', configMap({}, { managedFields: [] }))).status).toBe(201)
    expect((await apply('ci', configMap({}, { managedFields: null }))).status).toBe(200)
  })
})

describe('the options of a patch', () => {
  test('name the manager of an apply', async () => {
    const { send, adminToken } = await applyWorld()
    for (const query of ['', '?fieldManager=']) {
      const answer = await send('PATCH', `${configMaps}/settings${query}`, {
        token: adminToken,
        body: configMap({}),
        headers: { 'content-type': 'application/apply-patch+yaml', 'user-agent': 'kubectl/v1' },
      })
      expect(answer).toMatchObject(invalidFields('fieldManager'))
      expect(answer.body.message).toBe(
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      )
    }
  })

  test('force an apply alone', async () => {
    const { apply, merge } = await applyWorld()
    await apply('ci', configMap({}))
    expect(await merge({}, '?force=true')).toMatchObject(invalidFields('force'))
  })

  test.each(['x'.repeat(129), 'x'.repeat(1_000_000), 'a%00b', 'a%0Ab', '%E2%80%8B', 'é'.repeat(65)])(
    'name no manager that is too long or cannot be printed',
    async (manager) => {
      const { apply, merge, asAdmin, read } = await applyWorld()
      expect(await apply(manager, configMap({}))).toMatchObject(invalidFields('fieldManager'))
      const body = { metadata: { name: 'settings' }, data: {} }
      expect(await asAdmin('POST', `${configMaps}?fieldManager=${manager}`, body)).toMatchObject(
        invalidFields('fieldManager'),
      )
      expect((await read()).status).toBe(404)
      await apply('ci', configMap({}))
      expect(await merge({}, `?fieldManager=${manager}`)).toMatchObject(invalidFields('fieldManager'))
      expect(await asAdmin('PUT', `${configMaps}/settings?fieldManager=${manager}`, body)).toMatchObject(
        invalidFields('fieldManager'),
      )
    },
  )

  test('leave a program’s long or strange name out of the object', async () => {
    const { apply, send, adminToken, read } = await applyWorld()
    await apply('ci', configMap({ a: '1' }))
    for (const [program, name] of [
      ['x'.repeat(10_000), 'x'.repeat(128)],
      ['/1.0', 'unknown'],
      ['tool\tname/1', 'toolname'],
    ]) {
      await send('PATCH', `${configMaps}/settings`, {
        token: adminToken,
        body: { data: { a: name?.slice(0, 20) } },
        headers: { 'content-type': 'application/merge-patch+json', 'user-agent': program ?? '' },
      })
      expect(ownersOf(await read(), 'f:a')).toEqual([name])
    }
  })

  test('name no more fields than owners can be kept of', async () => {
    const { apply, merge } = await applyWorld()
    const fields = (letter: string) => Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [letter + i, '']))
    const many = { data: fields('a'), binaryData: fields('b') }
    const message = 'the object has more than 100000 values, the most of which it is kept who set them'
    expect(await apply('ci', { ...configMap({}), ...many })).toMatchObject(
      refusal(413, 'RequestEntityTooLarge', message),
    )
    await apply('ci', configMap({ a: '1' }))
    expect(await apply('ci', { ...configMap({}), ...many })).toMatchObject(
      refusal(413, 'RequestEntityTooLarge', message),
    )
    expect(await merge(many)).toMatchObject(refusal(413, 'RequestEntityTooLarge', message))
  })

  test('of many managers are bounded by what an object may hold', async () => {
    const { apply } = await applyWorld()
    const data = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`key-${i}-${'x'.repeat(60)}`, '']))
    const statuses: number[] = []
    for (let i = 0; i < 6; i += 1) statuses.push((await apply(`manager-${i}`, configMap(data))).status)
    expect(statuses.slice(0, 2)).toEqual([201, 200])
    expect(statuses.at(-1)).toBe(413)
  })
})

describe('an image stream', () => {
  const tagFrom = (name: string, from: string) => ({ name, from: { kind: 'DockerImage', name: from }, reference: true })
  const stream = (...tags: object[]) => ({
    apiVersion: 'image.openshift.io/v1',
    kind: 'ImageStream',
    metadata: { name: 'app' },
    spec: { tags },
  })
  const tagNames = ({ body }: Answered) => (body.spec as { tags: { name: string }[] }).tags.map(({ name }) => name)

  test('is applied tag by tag, by several managers', async () => {
    const world = await apiWorld()
    const apply = applier(world, `${streams}/app`)
    const image = `${world.registry.host}/library/app`
    expect((await apply('a', stream(tagFrom('v1', `${image}:1`)))).status).toBe(201)
    const second = await apply('b', stream(tagFrom('v2', `${image}:2`)))
    expect(second.status).toBe(200)
    expect(tagNames(second).toSorted()).toEqual(['v1', 'v2'])
    const conflict = await apply('b', stream(tagFrom('v1', `${image}:9`), tagFrom('v2', `${image}:2`)))
    expect(conflict.status).toBe(409)
    expect(conflict.body.message).toContain('conflict with "a": .spec.tags[name="v1"].from')
    const again = await apply('b', stream(tagFrom('v2', `${image}:2`)))
    expect(metadataOf(again).resourceVersion).toBe(metadataOf(second).resourceVersion)
    expect(tagNames(await apply('a', stream()))).toEqual(['v2'])
  })

  test('is applied by fifty clients at once, and all land', async () => {
    const world = await apiWorld()
    const apply = applier(world, `${streams}/app`)
    const names = Array.from({ length: 50 }, (_, i) => `v${i}`)
    const answers = await Promise.all(
      names.map((name) => apply(name, stream(tagFrom(name, `${world.registry.host}/library/app:1`)))),
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array(49).fill(200), 201])
    const found = await world.asAdmin('GET', `${streams}/app`)
    expect(tagNames(found).toSorted()).toEqual(names.toSorted())
    expect(managersOf(found).toSorted()).toEqual(names.map((name) => `${name} Apply`).toSorted())
  })

  test('does not let its status be applied', async () => {
    const world = await apiWorld()
    const apply = applier(world, `${streams}/app`)
    const answer = await apply('a', { ...stream(), status: { tags: [{ tag: 'x', items: [] }] } })
    expect(answer.status).toBe(201)
    expect(JSON.stringify(entriesOf(answer))).not.toContain('f:status')
    expect(JSON.stringify((await world.asAdmin('GET', `${streams}/app`)).body.status)).not.toContain('"x"')
  })

  test('tags are applied over what is there, without owners', async () => {
    const world = await imagesWorld()
    await world.importTag('prod')
    const apply = applier(world, `${imageApi}/${inDemo}/imagestreamtags/app:prod`)
    const config = {
      apiVersion: 'image.openshift.io/v1',
      kind: 'ImageStreamTag',
      metadata: { annotations: { note: 'x' } },
    }
    const answer = await apply('a', config)
    expect(answer).toMatchObject({
      status: 200,
      body: {
        metadata: { annotations: { note: 'x' } },
        tag: { name: 'prod', from: { kind: 'DockerImage', name: world.from } },
      },
    })
    expect((await apply('b', { ...config, metadata: { annotations: { note: 'y' } } })).status).toBe(200)
    expect(JSON.stringify((await apply('a', config)).body)).not.toContain('managedFields')
  })
})

function yamlBomb(): string {
  const lines = ['apiVersion: v1', 'kind: ConfigMap', 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 30; i += 1)
    lines.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    )
  return lines.join('\n')
}
