import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type ApiWorld, apiWorld, imageApi, inDemo, rbacApi, refusal } from './world.ts'

const table =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json'
const bindings = `${rbacApi}/${inDemo}/rolebindings`

interface Table {
  kind: string
  apiVersion: string
  metadata: Record<string, string>
  columnDefinitions: { name: string; priority: number }[]
  rows: { cells: unknown[]; object: Record<string, unknown> | null }[]
}

async function bound(names: readonly string[]): Promise<ApiWorld> {
  const world = await apiWorld()
  for (const name of names) {
    await world.objects.create('rolebindings', 'demo', {
      metadata: { name, labels: { tier: name } },
      subjects: [{ kind: 'User', name: 'ann' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    })
  }
  return world
}

async function ask({ send, adminToken: token }: ApiWorld, path: string, accept: string) {
  const answer = await send('GET', path, { token, headers: { accept } })
  return { ...answer, table: answer.body as unknown as Table }
}

describe('a table', () => {
  test('of a list has a row for each object, with its metadata', async () => {
    const world = await bound(['a', 'b'])
    const { status, headers, table: answered } = await ask(world, `${bindings}?limit=500`, table)
    expect(status).toBe(200)
    expect(headers.get('content-type')).toBe('application/json')
    expect(answered).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { resourceVersion: expect.stringMatching(/^[1-9][0-9]*$/) },
    })
    expect(answered.columnDefinitions[0]).toEqual({
      name: 'Name',
      type: 'string',
      format: 'name',
      description: expect.stringContaining('Name must be unique'),
      priority: 0,
    })
    expect(answered.columnDefinitions.map(({ priority }) => priority)).toEqual([0, 0, 0, 1, 1, 1])
    expect(answered.rows).toEqual(
      ['a', 'b'].map((name) => ({
        cells: [name, 'ClusterRole/view', expect.any(String), 'ann', '', ''],
        object: {
          kind: 'PartialObjectMetadata',
          apiVersion: 'meta.k8s.io/v1',
          metadata: expect.objectContaining({ name, namespace: 'demo', labels: { tier: name } }),
        },
      })),
    )
  })

  test('of a subresource has its own columns, or name and age', async () => {
    const world = await apiWorld()
    const stream = `${imageApi}/${inDemo}/imagestreams/app`
    await world.asAdmin('POST', `${imageApi}/${inDemo}/imagestreams`, { metadata: { name: 'app' } })
    const columns = async (path: string) =>
      (await ask(world, path, table)).table.columnDefinitions.map(({ name }) => name)
    expect(await columns(`${stream}/status`)).toEqual(await columns(stream))
    expect(await columns(stream)).toContain('Tags')
    expect(await columns(`${stream}/layers`)).toEqual(['Name', 'Age'])
  })

  test('of a page goes on like the list', async () => {
    const world = await bound(['a', 'b', 'c'])
    const first = await ask(world, `${bindings}?limit=2`, table)
    expect(first.table.rows).toHaveLength(2)
    const next = await ask(world, `${bindings}?limit=2&continue=${first.table.metadata.continue}`, table)
    expect(next.table.rows.map(({ cells: [name] }) => name)).toEqual(['c'])
    expect(next.table.metadata).toEqual({ resourceVersion: first.table.metadata.resourceVersion })
  })

  test('of one object has its resourceVersion', async () => {
    const world = await bound(['a'])
    const { body } = await world.asAdmin('GET', `${bindings}/a`)
    const { table: answered } = await ask(world, `${bindings}/a`, table)
    expect(answered.rows.map(({ cells: [name] }) => name)).toEqual(['a'])
    expect(answered.metadata).toEqual({
      resourceVersion: (body.metadata as { resourceVersion: string }).resourceVersion,
    })
  })

  test('of what is not there is a Status', async () => {
    const world = await bound([])
    expect(await ask(world, `${bindings}/a`, table)).toMatchObject(refusal(404, 'NotFound'))
    expect((await ask(world, bindings, table)).table.rows).toEqual([])
  })

  test('carries whole objects or none, as asked', async () => {
    const world = await bound(['a'])
    const row = async (include: string) =>
      (await ask(world, `${bindings}?includeObject=${include}`, table)).table.rows[0]
    expect(await row('Object')).toMatchObject({ object: { kind: 'RoleBinding', roleRef: { name: 'view' } } })
    expect(await row('None')).toMatchObject({ object: null })
    expect(await row('Metadata')).toMatchObject({ object: { kind: 'PartialObjectMetadata' } })
    expect(await ask(world, `${bindings}?includeObject=All`, table)).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('of an old client has the old version', async () => {
    const world = await bound(['a'])
    const { table: answered } = await ask(world, bindings, 'application/json;as=Table;v=v1beta1;g=meta.k8s.io')
    expect(answered).toMatchObject({
      apiVersion: 'meta.k8s.io/v1beta1',
      rows: [{ object: { apiVersion: 'meta.k8s.io/v1beta1' } }],
    })
  })

  test('can be had of everything that can be listed', async () => {
    const world = await apiWorld()
    const { body } = await world.send('GET', '/apis')
    const groups = (body.groups as { preferredVersion: { groupVersion: string } }[]).map(({ preferredVersion }) =>
      ['/apis', preferredVersion.groupVersion].join('/'),
    )
    // A list of project requests tells no more than whether one may ask for a project.
    const isListed = ({ name, verbs }: { name: string; verbs: string[] }) =>
      verbs.includes('list') && name !== 'projectrequests'
    let tables = 0
    for (const root of ['/api/v1', ...groups]) {
      const { resources } = (await world.send('GET', root)).body as {
        resources: { name: string; verbs: string[]; namespaced: boolean }[]
      }
      for (const { name, namespaced } of resources.filter(isListed)) {
        const path = `${root}/${namespaced ? `${inDemo}/` : ''}${name}`
        const query = name === 'tagevents' ? '?fieldSelector=stream%3Dapp,tag%3Dx' : ''
        const { table: answered } = await ask(world, path + query, table)
        expect([name, answered.kind]).toEqual([name, 'Table'])
        for (const { cells } of answered.rows) expect(cells).toHaveLength(answered.columnDefinitions.length)
        tables += 1
      }
    }
    expect(tables).toBeGreaterThan(8)
  })
})

describe('metadata alone', () => {
  const accept =
    'application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json'

  test('is answered of lists and objects', async () => {
    const world = await bound(['a'])
    const { body } = await ask(world, bindings, accept)
    const partial = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' }
    const metadata = expect.objectContaining({ name: 'a' })
    expect(body).toEqual({
      kind: 'PartialObjectMetadataList',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { resourceVersion: expect.any(String) },
      items: [{ ...partial, metadata }],
    })
    const one = await ask(world, `${bindings}/a`, accept.replaceAll('MetadataList', 'Metadata'))
    expect(one.body).toEqual({ ...partial, metadata })
  })
})

describe('what a client accepts', () => {
  test('may be YAML', async () => {
    const world = await bound(['a', 'yes'])
    const json = await world.asAdmin('GET', `${bindings}/a`)
    const yaml = await ask(world, `${bindings}/a`, 'application/yaml')
    expect(yaml.headers.get('content-type')).toBe('application/yaml')
    expect(yaml.text).toContain('kind: RoleBinding\n')
    expect(parse(yaml.text)).toEqual(json.body)
    expect((await ask(world, `${bindings}/yes`, 'application/yaml')).text).toContain('name: "yes"\n')
    const list = await ask(world, bindings, 'application/yaml;as=Table;v=v1;g=meta.k8s.io')
    expect(parse(list.text)).toMatchObject({ kind: 'Table', rows: [{ cells: expect.arrayContaining(['a']) }, {}] })
  })

  test('is JSON too where it may be YAML, when it is long', async () => {
    const world = await bound([])
    const annotations = { long: 'x'.repeat(100_000) }
    for (const name of ['a', 'b'])
      await world.objects.create('roles', 'demo', { metadata: { name, annotations }, rules: [] })
    const { headers, text } = await ask(world, `${rbacApi}/${inDemo}/roles`, 'application/yaml')
    expect(headers.get('content-type')).toBe('application/yaml')
    expect(JSON.parse(text)).toMatchObject({ kind: 'RoleList', items: [{}, {}] })
  })

  test('is refused when none of it is served, in Kubernetes’ words', async () => {
    const world = await bound(['a'])
    for (const path of [bindings, `${bindings}/a`]) {
      expect(await ask(world, path, 'text/html')).toMatchObject(
        refusal(
          406,
          'NotAcceptable',
          'only the following media types are accepted: application/json, application/yaml',
        ),
      )
    }
  })

  test('does not tell who may not read whether it is served', async () => {
    const { send } = await bound(['a'])
    expect((await send('GET', bindings, { headers: { accept: 'text/html' } })).status).toBe(403)
  })

  test('may be as long as it likes', async () => {
    const world = await bound(['a'])
    const bomb = `${'application/json;as=Table;'.repeat(1000)},${'text/html;q=0.9,'.repeat(10_000)}*/*;q=0.1`
    expect([200, 406]).toContain((await ask(world, bindings, bomb)).status)
    expect((await ask(world, bindings, `*/*${';a=b'.repeat(50_000)}`)).status).toBe(200)
  })
})

test('image streams are told with the hosts and words of OKD', async () => {
  const world = await apiWorld()
  await world.asAdmin('POST', `${imageApi}/${inDemo}/imagestreams`, { metadata: { name: 'app' } })
  const { table: answered } = await ask(world, `${imageApi}/${inDemo}/imagestreams`, table)
  expect(answered.columnDefinitions.map(({ name }) => name)).toEqual(['Name', 'Image Repository', 'Tags', 'Updated'])
  expect(answered.rows[0]?.cells).toEqual(['app', 'weir.test:5000/demo/app', '', ''])
})
