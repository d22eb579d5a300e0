import { describe, expect, test } from 'vitest'
import { apiWorld, imageApi, inDemo, names, rbacApi, refusal } from '../world.ts'

const clusterRoles = `${rbacApi}/clusterroles`
const apiGroup = 'rbac.authorization.k8s.io'
const pull = { apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'], verbs: ['get'] }
const nodes = { apiGroups: [''], resources: ['nodes'], verbs: ['get'] }
const role = (rules: unknown, name = 'mine', more: object = {}) => ({ metadata: { name, ...more }, rules })
const selects = (...matchLabels: object[]) => ({
  clusterRoleSelectors: matchLabels.map((each) => ({ matchLabels: each })),
})
const aggregated = (name: string, aggregationRule: object) => ({ metadata: { name }, aggregationRule })
const toView = { labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } }

describe('cluster roles', () => {
  test('that are built in are for everyone to read, and no others are', async () => {
    const { asAdmin, send } = await apiWorld()
    await asAdmin('POST', clusterRoles, role([pull]))
    const list = await send('GET', clusterRoles)
    expect(names(list)).toEqual(
      expect.arrayContaining(['admin', 'edit', 'view', 'system:image-puller', 'system:image-pusher', 'cluster-admin']),
    )
    expect(names(list)).not.toContain('mine')
    expect(names(list)).toEqual(names(list).toSorted())
    expect(await send('GET', `${clusterRoles}/system:image-puller`)).toMatchObject({
      status: 200,
      body: {
        kind: 'ClusterRole',
        apiVersion: 'rbac.authorization.k8s.io/v1',
        metadata: { name: 'system:image-puller' },
        rules: [{ verbs: ['get'], resources: ['imagestreams/layers'] }],
      },
    })
    const missing = await send('GET', `${clusterRoles}/none`)
    expect(missing).toMatchObject(refusal(403, 'Forbidden'))
    const hidden = await send('GET', `${clusterRoles}/mine`)
    expect(hidden.text.replaceAll('mine', 'none')).toBe(missing.text)
    const byName = (name: string) => send('GET', `${clusterRoles}?fieldSelector=metadata.name=${name}`)
    expect(names(await byName('mine'))).toEqual([])
    expect(names(await byName('view'))).toEqual(['view'])
    expect(await asAdmin('GET', `${clusterRoles}/none`)).toMatchObject(refusal(404, 'NotFound'))
  })

  test('are created, changed, read, listed, bound and deleted', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const token = await robot('ci')
    const created = await asAdmin('POST', clusterRoles, role([pull]))
    expect(created).toMatchObject({ status: 201, body: { kind: 'ClusterRole', rules: [pull] } })
    expect(created.body.metadata).not.toHaveProperty('namespace')
    const list = { ...pull, resources: ['imagestreams'], verbs: ['list'] }
    const changed = await asAdmin('PUT', `${clusterRoles}/mine`, role([list]))
    expect(changed).toMatchObject({ status: 200, body: { rules: [list] } })
    expect((await asAdmin('GET', `${clusterRoles}/mine`)).body).toEqual(changed.body)
    expect(names(await asAdmin('GET', clusterRoles))).toContain('mine')
    await asAdmin('POST', `${rbacApi}/${inDemo}/rolebindings`, {
      metadata: { name: 'b' },
      subjects: [{ kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }],
      roleRef: { apiGroup, kind: 'ClusterRole', name: 'mine' },
    })
    expect((await send('GET', `${imageApi}/${inDemo}/imagestreams`, { token })).status).toBe(200)
    expect((await asAdmin('DELETE', `${clusterRoles}/mine`)).status).toBe(200)
    expect((await send('GET', `${imageApi}/${inDemo}/imagestreams`, { token })).status).toBe(403)
    expect((await asAdmin('GET', `${clusterRoles}/mine`)).status).toBe(404)
  })

  test('come in pages, each once and in order, the built-in ones among them', async () => {
    const { asAdmin } = await apiWorld()
    for (const name of ['aaa', 'cluster-b', 'system:x', 'zzz']) await asAdmin('POST', clusterRoles, role([], name))
    const whole = names(await asAdmin('GET', clusterRoles))
    expect(whole).toEqual(whole.toSorted())
    for (const limit of [1, 2, 7, 500]) {
      const read: string[] = []
      for (let next: string | undefined = ''; next !== undefined; ) {
        const page = await asAdmin('GET', `${clusterRoles}?limit=${limit}${next && `&continue=${next}`}`)
        expect(names(page).length).toBeLessThanOrEqual(limit)
        read.push(...names(page))
        next = (page.body.metadata as { continue?: string }).continue
      }
      expect(read).toEqual(whole)
    }
    const labelled = await asAdmin('GET', `${clusterRoles}?labelSelector=!kubernetes.io/bootstrapping`)
    expect(names(labelled)).toEqual(['aaa', 'cluster-b', 'system:x', 'zzz'])
  })

  test('are in each page as many as it may hold in bytes, the built-in ones after it in the next', async () => {
    const { asAdmin, objects } = await apiWorld()
    const annotations = { large: 'x'.repeat(400_000) }
    for (let i = 0; i < 50; i += 1) {
      await objects.create('clusterroles', '', { metadata: { name: `c${100 + i}`, annotations }, rules: [] })
    }
    const first = await asAdmin('GET', `${clusterRoles}?limit=500`)
    expect(names(first).at(-1)).toMatch(/^c1/)
    const { continue: next } = first.body.metadata as { continue: string }
    const all = [...names(first), ...names(await asAdmin('GET', `${clusterRoles}?limit=500&continue=${next}`))]
    expect(all).toEqual([...new Set(all)].sort())
    expect(all).toEqual(expect.arrayContaining(['admin', 'c149', 'view']))
  })

  test('are watched, the built-in ones told at the beginning', async () => {
    const { asAdmin, watch, adminToken } = await apiWorld()
    const count = names(await asAdmin('GET', clusterRoles)).length
    const next = await watch(`${clusterRoles}?watch=1`, adminToken)
    for (let i = 0; i < count; i += 1) expect((await next())?.type).toBe('ADDED')
    await asAdmin('POST', clusterRoles, aggregated('all', selects({ take: 'it' })))
    await next()
    await asAdmin('POST', clusterRoles, role([pull], 'mine', { labels: { take: 'it' } }))
    expect(await next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'mine' }, rules: [pull] } })
    await asAdmin('PUT', `${clusterRoles}/all`, {
      ...aggregated('all', selects({ take: 'it' })),
      metadata: { name: 'all', labels: { a: 'b' } },
    })
    expect(await next()).toMatchObject({ type: 'MODIFIED', object: { metadata: { name: 'all' }, rules: [pull] } })
  })

  test('have path rules, which are kept and give nothing', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const paths = { verbs: ['get'], nonResourceURLs: ['/metrics', '*'] }
    expect(await asAdmin('POST', clusterRoles, role([paths]))).toMatchObject({ status: 201, body: { rules: [paths] } })
    await asAdmin('POST', `${rbacApi}/clusterrolebindings`, {
      metadata: { name: 'b' },
      subjects: [{ kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }],
      roleRef: { apiGroup, kind: 'ClusterRole', name: 'mine' },
    })
    const token = await robot('ci')
    expect((await send('GET', `${imageApi}/${inDemo}/imagestreams`, { token })).status).toBe(403)
  })

  test.each<[object, string]>([
    [{ rules: [{ ...pull, nonResourceURLs: ['/x'] }] }, 'rules[0].nonResourceURLs'],
    [{ rules: [{ ...pull, verbs: [] }] }, 'rules[0].verbs'],
    [{ rules: Array(101).fill(pull) }, 'rules'],
    [{ rules: [{ verbs: ['get'], nonResourceURLs: Array(1001).fill('/x') }] }, 'rules[0].nonResourceURLs'],
    [{ aggregationRule: {} }, 'aggregationRule.clusterRoleSelectors'],
    [{ aggregationRule: selects({ '-': 'x' }) }, 'aggregationRule.clusterRoleSelectors[0].matchLabels'],
    [{ aggregationRule: selects({}, { a: 'b c' }) }, 'aggregationRule.clusterRoleSelectors[1].matchLabels'],
    [{ aggregationRule: selects(...Array(21).fill({})) }, 'aggregationRule.clusterRoleSelectors'],
    [expression({ key: 'a', operator: 'Is' }), 'matchExpressions[0].operator'],
    [expression({ key: 'a', operator: 'In' }), 'matchExpressions[0].values'],
    [expression({ key: 'a', operator: 'Exists', values: ['x'] }), 'matchExpressions[0].values'],
    [expression({ key: '', operator: 'Exists' }), 'matchExpressions[0].key'],
    [expression({ key: 'a', operator: 'In', values: Array(101).fill('x') }), 'matchExpressions[0].values'],
  ])('with %j are refused', async (fields, field) => {
    const { asAdmin } = await apiWorld()
    const refused = await asAdmin('POST', clusterRoles, { metadata: { name: 'mine' }, ...fields })
    expect(refused).toMatchObject({ status: 422, body: { reason: 'Invalid' } })
    expect(refused.body.message).toContain(field)
  })

  function expression(each: object): object {
    return { aggregationRule: { clusterRoleSelectors: [{ matchExpressions: [each] }] } }
  }
})

describe('a built-in role', () => {
  test.each(['PUT', 'PATCH', 'DELETE'])('is not changed by %s, and the refusal says what to do', async (method) => {
    const { asAdmin, send, adminToken } = await apiWorld()
    const before = await asAdmin('GET', `${clusterRoles}/view`)
    const refused = await send(method, `${clusterRoles}/view`, {
      token: adminToken,
      ...(method !== 'DELETE' && { body: { ...role([], 'view'), metadata: { name: 'view', labels: {} } } }),
      ...(method === 'PATCH' && { headers: { 'content-type': 'application/merge-patch+json' } }),
    })
    expect(refused).toMatchObject(
      refusal(
        403,
        'Forbidden',
        expect.stringMatching(/"view" is forbidden: it is built in.*aggregate-to-view: "true"/),
      ),
    )
    expect((await asAdmin('GET', `${clusterRoles}/view`)).body).toEqual(before.body)
  })

  test('is not made again', async () => {
    const { asAdmin, objects } = await apiWorld()
    expect(await asAdmin('POST', clusterRoles, role([], 'view'))).toMatchObject(refusal(409, 'AlreadyExists'))
    expect(await objects.get('clusterroles', '', 'view')).toBeUndefined()
  })
})

describe('an aggregated role', () => {
  test('has the rules of those that it selects, as they are', async () => {
    const { asAdmin } = await apiWorld()
    const rules = async (name: string) => (await asAdmin('GET', `${clusterRoles}/${name}`)).body.rules
    const created = await asAdmin('POST', clusterRoles, {
      ...aggregated('all', selects({ a: '1' }, { b: '2' })),
      rules: [nodes],
    })
    expect(created).toMatchObject({ status: 201, body: { rules: [] } })
    await asAdmin('POST', clusterRoles, role([pull], 'one', { labels: { a: '1', b: '2' } }))
    await asAdmin('POST', clusterRoles, role([nodes], 'two', { labels: { b: '1' } }))
    expect(await rules('all')).toEqual([pull])
    await asAdmin('PUT', `${clusterRoles}/two`, role([nodes], 'two', { labels: { b: '2' } }))
    expect(await rules('all')).toEqual([pull, nodes])
    await asAdmin('DELETE', `${clusterRoles}/one`)
    expect(await rules('all')).toEqual([nodes])
    await asAdmin('PUT', `${clusterRoles}/all`, role([pull], 'all'))
    expect(await rules('all')).toEqual([pull])
  })

  test('sent back as it was answered stays as it is', async () => {
    const { asAdmin, objects } = await apiWorld()
    await asAdmin('POST', clusterRoles, role([pull], 'one', { labels: { a: '1' } }))
    await asAdmin('POST', clusterRoles, aggregated('all', selects({ a: '1' })))
    const { body } = await asAdmin('GET', `${clusterRoles}/all`)
    expect(body.rules).toEqual([pull])
    const again = await asAdmin('PUT', `${clusterRoles}/all`, body)
    expect(again.body).toEqual(body)
    expect((await objects.get('clusterroles', '', 'all'))?.rules).toEqual([])
  })

  test('view is extended by a role of one’s own, and with it edit, admin and what they give', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const token = await robot('ci', 'admin')
    const body = { metadata: { name: 'r' }, rules: [nodes] }
    const create = () => send('POST', `${rbacApi}/${inDemo}/roles`, { token, body })
    expect((await create()).status).toBe(403)
    await asAdmin('POST', clusterRoles, role([nodes], 'nodes', toView))
    for (const name of ['view', 'edit', 'admin']) {
      expect((await asAdmin('GET', `${clusterRoles}/${name}`)).body.rules, name).toContainEqual(nodes)
    }
    expect((await create()).status).toBe(201)
    await asAdmin('DELETE', `${clusterRoles}/nodes`)
    expect((await asAdmin('GET', `${clusterRoles}/view`)).body.rules).not.toContainEqual(nodes)
  })
})

describe('a caller who may write cluster roles', () => {
  /** A robot that may write them, and holds `pull` in the whole cluster, and much in `demo`. */
  async function writer(...more: object[]) {
    const world = await apiWorld()
    const token = await world.robot('boss', 'admin')
    const rules = [
      pull,
      { apiGroups: [apiGroup], resources: ['clusterroles'], verbs: ['create', 'update', 'get'] },
      ...more,
    ]
    await world.asAdmin('POST', clusterRoles, role(rules, 'writer'))
    await world.asAdmin('POST', `${rbacApi}/clusterrolebindings`, {
      metadata: { name: 'writers' },
      subjects: [{ kind: 'ServiceAccount', name: 'boss', namespace: 'demo' }],
      roleRef: { apiGroup, kind: 'ClusterRole', name: 'writer' },
    })
    const sendAs = (method: string, path: string, body: object) => world.send(method, path, { token, body })
    return { ...world, sendAs }
  }

  test('writes what he holds in the whole cluster, not what he holds in a project', async () => {
    const { sendAs } = await writer()
    expect((await sendAs('POST', clusterRoles, role([pull]))).status).toBe(201)
    const list = { ...pull, resources: ['imagestreams'], verbs: ['list'] }
    expect(await sendAs('POST', clusterRoles, role([list], 'more'))).toMatchObject(
      refusal(403, 'Forbidden', expect.stringMatching(/^clusterroles.*"more" is forbidden.*not currently held/)),
    )
    expect((await sendAs('PUT', `${clusterRoles}/mine`, role([list]))).status).toBe(403)
    expect((await sendAs('PUT', `${clusterRoles}/mine?dryRun=All`, role([list]))).status).toBe(403)
  })

  test('does not label another’s role into one that he holds, nor change an aggregation, or end it', async () => {
    const { asAdmin, sendAs } = await writer()
    await asAdmin('POST', clusterRoles, role([nodes], 'nodes'))
    expect((await sendAs('PUT', `${clusterRoles}/nodes`, role([nodes], 'nodes', toView))).status).toBe(403)
    expect((await sendAs('PUT', `${clusterRoles}/nodes`, role([nodes], 'nodes'))).status).toBe(200)
    const all = aggregated('all', selects({ a: '1' }))
    expect(await sendAs('POST', clusterRoles, all)).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('Verbs:["*"]')),
    )
    await asAdmin('POST', clusterRoles, all)
    expect((await sendAs('PUT', `${clusterRoles}/all`, aggregated('all', selects({})))).status).toBe(403)
    expect((await sendAs('PUT', `${clusterRoles}/all`, role([], 'all'))).status).toBe(403)
  })

  test('writes any that he may escalate', async () => {
    const escalate = { apiGroups: [apiGroup], resources: ['clusterroles'], verbs: ['escalate'] }
    const { sendAs } = await writer(escalate)
    expect((await sendAs('POST', clusterRoles, role([nodes]))).status).toBe(201)
    expect((await sendAs('POST', clusterRoles, aggregated('all', selects({ a: '1' })))).status).toBe(201)
  })
})
