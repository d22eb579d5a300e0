import { describe, expect, test } from 'vitest'
import { apiWorld, inDemo, invalidFields, names, rbacApi, refusal } from '../world.ts'

const roles = `${rbacApi}/${inDemo}/roles`
const pull = { apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'], verbs: ['get'] }
const role = (rules: unknown, name = 'puller') => ({ metadata: { name }, rules })

describe('roles', () => {
  test('are created, changed, read, listed and deleted', async () => {
    const { asAdmin } = await apiWorld()
    const limited = { ...pull, resourceNames: ['app'] }
    const created = await asAdmin('POST', roles, {
      kind: 'Role',
      apiVersion: 'rbac.authorization.k8s.io/v1',
      ...role([limited]),
    })
    expect(created).toMatchObject({
      status: 201,
      body: {
        kind: 'Role',
        apiVersion: 'rbac.authorization.k8s.io/v1',
        metadata: { namespace: 'demo' },
        rules: [limited],
      },
    })
    const metadata = created.body.metadata as { resourceVersion: string }
    const changed = await asAdmin('PUT', `${roles}/puller`, { metadata, rules: [pull] })
    expect(changed).toMatchObject({ status: 200, body: { rules: [pull] } })
    expect((await asAdmin('GET', `${roles}/puller`)).body).toEqual(changed.body)
    expect(names(await asAdmin('GET', roles))).toEqual(['puller'])
    expect((await asAdmin('DELETE', `${roles}/puller`)).status).toBe(200)
    expect((await asAdmin('GET', `${roles}/puller`)).status).toBe(404)
  })

  test('are not changed from a stale version, of another uid, or when they are gone', async () => {
    const { asAdmin } = await apiWorld()
    const { body } = await asAdmin('POST', roles, role([pull]))
    const metadata = body.metadata as Record<string, string>
    await asAdmin('PUT', `${roles}/puller`, role([]))
    expect(await asAdmin('PUT', `${roles}/puller`, { metadata, rules: [pull] })).toMatchObject(refusal(409, 'Conflict'))
    expect(await asAdmin('PUT', `${roles}/puller?dryRun=All`, { metadata, rules: [pull] })).toMatchObject(
      refusal(409, 'Conflict'),
    )
    const other = { metadata: { name: 'puller', uid: 'another' }, rules: [pull] }
    expect(await asAdmin('PUT', `${roles}/puller`, other)).toMatchObject(refusal(409, 'Conflict'))
    expect(await asAdmin('PUT', `${roles}/gone`, role([pull], 'gone'))).toMatchObject(refusal(404, 'NotFound'))
    expect(await asAdmin('PUT', `${roles}/puller`, role([pull], 'other'))).toMatchObject(
      refusal(400, 'BadRequest', expect.stringContaining('does not match the name on the URL')),
    )
  })

  test('take a change without a version', async () => {
    const { asAdmin } = await apiWorld()
    await asAdmin('POST', roles, role([pull]))
    expect((await asAdmin('PUT', `${roles}/puller`, role([]))).status).toBe(200)
    expect((await asAdmin('PUT', `${roles}/puller?dryRun=All`, role([pull]))).body).toMatchObject({ rules: [pull] })
    expect((await asAdmin('GET', `${roles}/puller`)).body).toMatchObject({ rules: [] })
  })

  test('lose the labels that a change leaves out, and keep uid and creation', async () => {
    const { asAdmin } = await apiWorld()
    const { body } = await asAdmin('POST', roles, { metadata: { name: 'puller', labels: { a: 'b' } }, rules: [pull] })
    const before = body.metadata as Record<string, string>
    const { body: after } = await asAdmin('PUT', `${roles}/puller`, role([pull]))
    expect(after.metadata).not.toHaveProperty('labels')
    expect(after.metadata).toMatchObject({ uid: before.uid, creationTimestamp: before.creationTimestamp })
  })

  test.each([
    [[{ ...pull, verbs: [] }], 'rules[0].verbs'],
    [[pull, { ...pull, resources: [] }], 'rules[1].resources'],
    [[{ ...pull, apiGroups: [] }], 'rules[0].apiGroups'],
    [[{ ...pull, resourceNames: ['app', ''] }], 'rules[0].resourceNames'],
    [[{ ...pull, nonResourceURLs: ['/metrics'] }], 'rules[0].nonResourceURLs'],
  ])('with the rules %j are refused', async (rules, field) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', roles, role(rules))).toMatchObject(invalidFields(field))
  })

  test.each(['a/b', 'a%b', '.', '..', 'é', 'a b', 'a?b', 'a#b', 'a\\b', 'a!b', 'a+b', 'x'.repeat(254)])(
    'are not named %s',
    async (name) => {
      const { asAdmin } = await apiWorld()
      expect(await asAdmin('POST', roles, role([pull], name))).toMatchObject(invalidFields('metadata.name'))
    },
  )

  test('with more rights than memory holds, or larger than a commit, are refused', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const many = Array.from({ length: 200 }, (_, i) => `r${i}`)
    const token = await robot('boss', 'admin')
    const wide = role([{ apiGroups: many, resources: many, verbs: many }])
    expect(await send('POST', roles, { token, body: wide })).toMatchObject({ status: 422, body: { reason: 'Invalid' } })
    const large = role([{ ...pull, resourceNames: Array.from({ length: 20 }, () => 'x'.repeat(100_000)) }])
    expect(await asAdmin('POST', roles, large)).toMatchObject(refusal(413, 'RequestEntityTooLarge'))
  })
})

test('a page of roles ends at 500 whatever its limit, and the next goes on by its token', async () => {
  const { asAdmin, objects } = await apiWorld()
  for (let i = 0; i < 501; i += 1) {
    await objects.create('roles', 'demo', { metadata: { name: `r${1000 + i}` }, rules: [] })
  }
  const first = await asAdmin('GET', `${roles}?limit=10000`)
  expect(names(first)).toHaveLength(500)
  const { continue: next } = first.body.metadata as { continue: string }
  expect(names(await asAdmin('GET', `${roles}?limit=10000&continue=${next}`))).toEqual(['r1500'])
})

test('a page of large roles ends at about 16 MiB', async () => {
  const { asAdmin, objects } = await apiWorld()
  const annotations = { large: 'x'.repeat(400_000) }
  for (let i = 0; i < 70; i += 1)
    await objects.create('roles', 'demo', { metadata: { name: `r${100 + i}`, annotations } })
  const first = await asAdmin('GET', `${roles}?limit=10000`)
  expect(names(first).length).toBeLessThan(70)
  const { continue: next } = first.body.metadata as { continue: string }
  expect([...names(first), ...names(await asAdmin('GET', `${roles}?continue=${next}`))]).toHaveLength(70)
})

test('roles with longer lists than a decision may cost are refused, naming the bound', async () => {
  const { asAdmin } = await apiWorld()
  const many = (count: number) => Array.from({ length: count }, (_, i) => `n${i}`)
  expect((await asAdmin('POST', roles, role([{ ...pull, resourceNames: many(1000) }]))).status).toBe(201)
  for (const [field, rules] of [
    ['rules[0].resourceNames', [{ ...pull, resourceNames: many(1001) }]],
    ['rules[0].verbs', [{ ...pull, verbs: many(1001) }]],
    ['rules', Array(101).fill(pull)],
  ] as const) {
    const refused = await asAdmin('POST', roles, role(rules, 'more'))
    expect(refused).toMatchObject(invalidFields(field))
    expect(refused.body.message).toMatch(/at most 100/)
  }
})

describe('a caller who would give himself more', () => {
  test('is refused, naming the right that he lacks', async () => {
    const { send, robot, objects } = await apiWorld()
    const token = await robot('boss', 'admin')
    const nodes = { apiGroups: [''], resources: ['nodes'], verbs: ['get'] }
    expect(await send('POST', roles, { token, body: role([pull, nodes], 'more') })).toMatchObject(
      refusal(
        403,
        'Forbidden',
        expect.stringMatching(
          /attempting to grant RBAC permissions not currently held: \{APIGroups:\[""\], Resources:\["nodes"\], Verbs:\["get"\]\}$/,
        ),
      ),
    )
    expect(await objects.get('roles', 'demo', 'more')).toBeUndefined()
    expect((await send('POST', roles, { token, body: role([pull], 'as-much') })).status).toBe(201)
  })

  test('is refused by way of a change, and of a dry run', async () => {
    const { send, robot } = await apiWorld()
    const token = await robot('boss', 'admin')
    await send('POST', roles, { token, body: role([pull]) })
    const all = role([{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }])
    expect((await send('PUT', `${roles}/puller`, { token, body: all })).status).toBe(403)
    expect((await send('PUT', `${roles}/puller?dryRun=All`, { token, body: all })).status).toBe(403)
  })
})

test('who may escalate may write any role: one of that name, if his right names it, but not a new one', async () => {
  const { asAdmin, send, robot } = await apiWorld()
  const group = 'rbac.authorization.k8s.io'
  const token = await robot('writer')
  const bindRules = async (name: string, rules: object[]) => {
    await asAdmin('POST', roles, { metadata: { name }, rules })
    await asAdmin('POST', `${rbacApi}/${inDemo}/rolebindings`, {
      metadata: { name },
      subjects: [{ kind: 'ServiceAccount', name: 'writer', namespace: 'demo' }],
      roleRef: { apiGroup: group, kind: 'Role', name },
    })
  }
  await bindRules('writes', [{ apiGroups: [group], resources: ['roles'], verbs: ['create', 'update'] }])
  await bindRules('one', [{ apiGroups: [group], resources: ['roles'], resourceNames: ['puller'], verbs: ['escalate'] }])
  expect((await send('POST', roles, { token, body: role([pull]) })).status).toBe(403)
  await asAdmin('POST', roles, role([]))
  expect((await send('PUT', `${roles}/puller`, { token, body: role([pull]) })).status).toBe(200)
  await bindRules('all', [{ apiGroups: [group], resources: ['roles'], verbs: ['escalate'] }])
  expect((await send('POST', roles, { token, body: role([pull], 'more') })).status).toBe(201)
})
