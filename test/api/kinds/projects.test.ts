import { pino } from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type ProjectsOptions, projects as projectsRow } from '../../../src/api/kinds/projects.ts'
import { runProjectRemoval } from '../../../src/projects/removal.ts'
import {
  type ApiWorld,
  apiWorld,
  imageApi,
  inDemo,
  invalidFields,
  names,
  rbacApi,
  refusal,
  type WatchEvent,
} from '../world.ts'

const namespaces = '/api/v1/namespaces'
const projects = '/apis/project.openshift.io/v1/projects'

/** Starts what removes projects. */
function removing({ store, writer }: ApiWorld): void {
  const ending = new AbortController()
  const run = runProjectRemoval({ store, writer, signal: ending.signal, log: pino({ level: 'silent' }) })
  onTestFinished(() => {
    ending.abort()
    return run
  })
}

describe('projects', () => {
  test('are created and read as namespaces and as projects', async () => {
    const { asAdmin } = await apiWorld()
    const created = await asAdmin('POST', namespaces, { metadata: { name: 'team-1', annotations: { a: 'b' } } })
    expect(created).toMatchObject({
      status: 201,
      body: {
        kind: 'Namespace',
        apiVersion: 'v1',
        metadata: {
          name: 'team-1',
          uid: expect.any(String),
          annotations: { a: 'b', 'openshift.io/requester': 'weir:admin' },
        },
        spec: { finalizers: ['kubernetes'] },
        status: { phase: 'Active' },
      },
    })
    expect(created.body.metadata).not.toHaveProperty('namespace')
    expect((await asAdmin('GET', `${namespaces}/team-1`)).body).toEqual(created.body)
    expect((await asAdmin('GET', `${projects}/team-1`)).body).toEqual({
      ...created.body,
      kind: 'Project',
      apiVersion: 'project.openshift.io/v1',
    })
    expect(names(await asAdmin('GET', namespaces))).toEqual(['demo', 'team-1'])
    expect(names(await asAdmin('GET', projects))).toEqual(['demo', 'team-1'])
  })

  test.each(['Team', 'a_b', '-a', 'a-', 'a.b', 'a/b', 'x'.repeat(64), ''])('are not named %j', async (name) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', namespaces, { metadata: { name } })).toMatchObject(invalidFields('metadata.name'))
  })

  test('are not created twice, and the second caller gets no binding', async () => {
    const { asAdmin, objects } = await apiWorld()
    await asAdmin('POST', namespaces, { metadata: { name: 'demo' } })
    expect(await asAdmin('POST', namespaces, { metadata: { name: 'demo' } })).toMatchObject(
      refusal(409, 'AlreadyExists', 'namespaces "demo" already exists'),
    )
    expect((await objects.list('rolebindings', 'demo')).items).toEqual([])
  })

  test('need a right for the whole cluster, which no role in a project gives', async () => {
    const { send, robot } = await apiWorld()
    const token = await robot('boss', 'admin')
    expect(await send('POST', namespaces, { token, body: { metadata: { name: 'mine' } } })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('at the cluster scope')),
    )
  })

  test('make their creator admin in them, and nowhere else', async () => {
    const { send, robot, store, authorizer, asAdmin } = await apiWorld()
    const token = await robot('maker')
    const rules = [{ apiGroups: [''], resources: ['namespaces'], verbs: ['create'] }]
    const put = (key: string, value: unknown) => ({ type: 'put' as const, key, value: JSON.stringify(value) })
    const written = await store.commit({
      operations: [
        put('object/clusterroles//maker', { metadata: { name: 'maker' }, rules }),
        put('object/clusterrolebindings//maker', {
          metadata: { name: 'maker' },
          subjects: [{ kind: 'ServiceAccount', name: 'maker', namespace: 'demo' }],
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'maker' },
        }),
      ],
    })
    await authorizer.reached(written.status === 'committed' ? written.revision : 0)
    expect((await send('POST', namespaces, { token, body: { metadata: { name: 'mine' } } })).status).toBe(201)
    expect((await send('GET', `${imageApi}/namespaces/mine/imagestreams`, { token })).status).toBe(200)
    expect((await send('GET', `${imageApi}/namespaces/demo/imagestreams`, { token })).status).toBe(403)
    expect((await asAdmin('GET', `${rbacApi}/namespaces/mine/rolebindings/admin`)).body).toMatchObject({
      subjects: [{ kind: 'ServiceAccount', name: 'maker', namespace: 'demo' }],
      roleRef: { kind: 'ClusterRole', name: 'admin' },
    })
    expect(names(await send('GET', namespaces, { token }))).toEqual(['mine'])
  })

  test('are listed as far as the caller may see them', async () => {
    const { send, robot, asAdmin } = await apiWorld()
    await asAdmin('POST', namespaces, { metadata: { name: 'other' } })
    const token = await robot('viewer', 'view')
    const none = await robot('nobody')
    for (const path of [namespaces, projects]) {
      expect(names(await send('GET', path, { token }))).toEqual(['demo'])
      expect(names(await send('GET', path, { token: none }))).toEqual([])
      expect(names(await send('GET', path))).toEqual([])
      expect(names(await send('GET', `${path}?fieldSelector=metadata.name%3Dother`, { token }))).toEqual([])
      expect((await send('GET', `${path}/other`, { token })).status).toBe(403)
      expect((await send('GET', `${path}/demo`, { token })).status).toBe(200)
      expect((await send('GET', `${path}/demo`, { token: none })).status).toBe(403)
    }
  })

  test('I5: in pages tell nothing of those that the caller may not see', async () => {
    const { send, robot, objects, asAdmin } = await apiWorld()
    for (const name of ['aaa', 'hidden', 'zzz']) await objects.create('namespaces', '', { metadata: { name } })
    const token = await robot('viewer', 'view')
    for (const path of [namespaces, projects]) {
      const anonymous = await send('GET', `${path}?limit=1`)
      expect(names(anonymous)).toEqual([])
      expect(anonymous.body.metadata).not.toHaveProperty('continue')
      const own = await send('GET', `${path}?limit=1`, { token })
      expect(names(own)).toEqual(['demo'])
      expect(own.body.metadata).not.toHaveProperty('continue')
      const first = await asAdmin('GET', `${path}?limit=2`)
      expect(names(first)).toEqual(['aaa', 'demo'])
      const { continue: next } = first.body.metadata as { continue: string }
      const second = await asAdmin('GET', `${path}?limit=2&continue=${next}`)
      expect(names(second)).toEqual(['hidden', 'zzz'])
      expect(second.body.metadata).not.toHaveProperty('continue')
    }
  })

  test('are found behind many that the caller may not see, and the pages go on from the last visible one', async () => {
    const { send, robot, objects, authorizer } = await apiWorld()
    for (let i = 0; i < 210; i += 1) await objects.create('namespaces', '', { metadata: { name: `c${1000 + i}` } })
    await objects.create('namespaces', '', { metadata: { name: 'zzz' } })
    const token = await robot('viewer', 'view')
    const bound = await objects.create('rolebindings', 'zzz', {
      metadata: { name: 'viewer' },
      subjects: [{ kind: 'ServiceAccount', name: 'viewer', namespace: 'demo' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    })
    await authorizer.reached(Number(bound.metadata.resourceVersion))
    const first = await send('GET', `${namespaces}?limit=1`, { token })
    expect(names(first)).toEqual(['demo'])
    const { continue: next } = first.body.metadata as { continue: string }
    const { at } = JSON.parse(Buffer.from(next, 'base64url').toString()) as { at: string }
    expect(Buffer.from(at, 'base64url').toString()).toContain('/demo"')
    const second = await send('GET', `${namespaces}?limit=1&continue=${next}`, { token })
    expect(names(second)).toEqual(['zzz'])
    expect(second.body.metadata).not.toHaveProperty('continue')
  })

  test('that are not there are 404 for those who may look anywhere', async () => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('GET', `${namespaces}/gone`)).toMatchObject(
      refusal(404, 'NotFound', 'namespaces "gone" not found'),
    )
    expect(await asAdmin('GET', `${projects}/gone`)).toMatchObject(
      refusal(404, 'NotFound', 'projects.project.openshift.io "gone" not found'),
    )
  })
})

describe('a change of a project', () => {
  const named = (annotations: object, more: object = {}) => ({ metadata: { name: 'demo', annotations, ...more } })

  test('is made as either kind, by its admin, and shows in both', async () => {
    const { send, robot, asAdmin } = await apiWorld()
    const token = await robot('boss', 'admin')
    const body = named({ 'openshift.io/display-name': 'Demo' }, { labels: { team: 'a' } })
    const changed = await send('PUT', `${projects}/demo`, { token, body })
    expect(changed).toMatchObject({ status: 200, body: { kind: 'Project', ...body, status: { phase: 'Active' } } })
    expect((await asAdmin('GET', `${namespaces}/demo`)).body.metadata).toEqual(changed.body.metadata)
    const again = await asAdmin('PUT', `${namespaces}/demo`, named({ 'openshift.io/description': 'x' }))
    expect(again).toMatchObject({ status: 200, body: { kind: 'Namespace' } })
    expect((again.body.metadata as { annotations: object }).annotations).toEqual({ 'openshift.io/description': 'x' })
    expect((await asAdmin('PUT', `${namespaces}/demo`, again.body)).body).toEqual(again.body)
  })

  test('is made by a patch too', async () => {
    const { send, robot } = await apiWorld()
    const token = await robot('boss', 'admin')
    const patched = await send('PATCH', `${projects}/demo`, {
      token,
      headers: { 'content-type': 'application/merge-patch+json' },
      body: { metadata: { annotations: { 'openshift.io/display-name': 'Demo' } } },
    })
    expect(patched).toMatchObject({
      status: 200,
      body: { kind: 'Project', metadata: { annotations: { 'openshift.io/display-name': 'Demo' } } },
    })
  })

  test('and a new one can be applied, which keeps who set what', async () => {
    const { send, adminToken: token, asAdmin } = await apiWorld()
    const apply = (label: string) =>
      send('PATCH', `${namespaces}/team?fieldManager=kubectl&force=false`, {
        token,
        headers: { 'content-type': 'application/apply-patch+yaml' },
        body: JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team', labels: { a: label } } }),
      })
    const made = await apply('b')
    expect(made).toMatchObject({
      status: 201,
      body: {
        metadata: {
          labels: { a: 'b' },
          annotations: { 'openshift.io/requester': 'weir:admin' },
          managedFields: [{ manager: 'kubectl', operation: 'Apply' }],
        },
      },
    })
    const again = await apply('b')
    expect(again).toMatchObject({
      status: 200,
      body: { metadata: { resourceVersion: metadataOf(made).resourceVersion } },
    })
    expect(await apply('c')).toMatchObject({ status: 200, body: { metadata: { labels: { a: 'c' } } } })
    expect(metadataOf(await asAdmin('GET', `${projects}/team`)).managedFields).toHaveLength(1)
  })

  test('never changes who asked for it, nor its uid, phase or times', async () => {
    const { asAdmin } = await apiWorld()
    const { body: made } = await asAdmin('POST', projects, {
      metadata: { name: 'team', annotations: { 'openshift.io/requester': 'somebody else' } },
    })
    expect(made).toMatchObject({
      kind: 'Project',
      metadata: { annotations: { 'openshift.io/requester': 'weir:admin' } },
    })
    const { body: changed } = await asAdmin('PUT', `${namespaces}/team`, {
      metadata: {
        name: 'team',
        annotations: { 'openshift.io/requester': 'somebody else', a: 'b' },
        creationTimestamp: '2001-01-01T00:00:00Z',
        deletionTimestamp: '2001-01-01T00:00:00Z',
      },
      spec: { finalizers: [] },
      status: { phase: 'Terminating' },
    })
    const { resourceVersion: _, annotations: __, ...before } = made.metadata as Record<string, unknown>
    expect(changed).toMatchObject({
      metadata: { ...before, annotations: { 'openshift.io/requester': 'weir:admin', a: 'b' } },
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    })
    expect(changed.metadata).not.toHaveProperty('deletionTimestamp')
    const stranger = await asAdmin('PUT', `${namespaces}/team`, { metadata: { name: 'team', uid: 'another' } })
    expect(stranger).toMatchObject(refusal(409, 'Conflict'))
  })

  test('can not say who asked for a project of which that is not known', async () => {
    const { asAdmin } = await apiWorld()
    const { body } = await asAdmin('PUT', `${namespaces}/demo`, named({ 'openshift.io/requester': 'somebody' }))
    expect(body.metadata).not.toHaveProperty('annotations')
  })

  test('of a stale resourceVersion is refused', async () => {
    const { asAdmin } = await apiWorld()
    const { body } = await asAdmin('GET', `${namespaces}/demo`)
    await asAdmin('PUT', `${namespaces}/demo`, named({ a: 'b' }))
    expect(await asAdmin('PUT', `${namespaces}/demo`, body)).toMatchObject(refusal(409, 'Conflict'))
  })

  test('needs the right in that project', async () => {
    const { send, robot, asAdmin } = await apiWorld()
    await asAdmin('POST', namespaces, { metadata: { name: 'other' } })
    const boss = await robot('boss', 'admin')
    const editor = await robot('editor', 'edit')
    const other = { metadata: { name: 'other' } }
    expect((await send('PUT', `${projects}/other`, { token: boss, body: other })).status).toBe(403)
    expect((await send('PUT', `${projects}/none`, { token: boss, body: { metadata: { name: 'none' } } })).status).toBe(
      403,
    )
    expect((await send('PUT', `${projects}/demo`, { token: editor, body: named({}) })).status).toBe(403)
    expect((await send('PUT', `${projects}/demo`, { body: named({}) })).status).toBe(403)
    expect((await asAdmin('PUT', `${projects}/none`, { metadata: { name: 'none' } })).status).toBe(404)
  })

  test('as a dry run writes nothing', async () => {
    const { asAdmin, objects } = await apiWorld()
    const all = 'dryRun=All'
    const made = await asAdmin('POST', `${namespaces}?${all}`, { metadata: { name: 'team' } })
    expect(made).toMatchObject({ status: 201, body: { metadata: { name: 'team' }, status: { phase: 'Active' } } })
    expect((await asAdmin('POST', `${namespaces}?${all}`, { metadata: { name: 'demo' } })).status).toBe(409)
    expect((await asAdmin('PUT', `${namespaces}/demo?${all}`, named({ a: 'b' }))).status).toBe(200)
    expect((await asAdmin('DELETE', `${namespaces}/demo?${all}`)).status).toBe(200)
    expect((await asAdmin('DELETE', `${namespaces}/none?${all}`)).status).toBe(404)
    const { items } = await objects.list('namespaces', '')
    expect(items).toHaveLength(1)
    expect(items[0]?.metadata).not.toHaveProperty('deletionTimestamp')
    expect(items[0]?.metadata).not.toHaveProperty('annotations')
  })
})

function metadataOf({ body }: { body: Record<string, unknown> }): Record<string, unknown> {
  return body.metadata as Record<string, unknown>
}

describe('the deletion of a project', () => {
  /** Asks as kubectl does after a deletion, until the object is not found. */
  async function goneAfter(ask: () => Promise<{ status: number }>): Promise<void> {
    while ((await ask()).status === 200);
    expect((await ask()).status).toBe(404)
  }

  test.each([namespaces, projects])('at %s removes all that is in it', async (path) => {
    const world = await apiWorld()
    const { asAdmin, objects } = world
    await asAdmin('POST', `/api/v1/${inDemo}/configmaps`, { metadata: { name: 'c' } })
    await asAdmin('POST', `${imageApi}/${inDemo}/imagestreams`, { metadata: { name: 'app' } })
    const { metadata } = (await asAdmin('GET', `${path}/demo`)).body as { metadata: { uid: string } }
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid: metadata.uid } }
    expect(await asAdmin('DELETE', `${path}/demo`, body)).toMatchObject({
      status: 200,
      body: { kind: 'Status', status: 'Success', details: { name: 'demo', uid: metadata.uid } },
    })
    expect((await asAdmin('GET', `${path}/demo`)).body).toMatchObject({
      metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' },
      status: { phase: 'Terminating' },
    })
    removing(world)
    await goneAfter(() => asAdmin('GET', `${path}/demo`))
    expect((await objects.list('configmaps', undefined)).items).toEqual([])
    expect((await asAdmin('POST', path, { metadata: { name: 'demo' } })).status).toBe(201)
    expect(names(await asAdmin('GET', `${imageApi}/${inDemo}/imagestreams`))).toEqual([])
  })

  test('lets nothing be made or changed in it from then on', async () => {
    const { asAdmin } = await apiWorld()
    const configMaps = `/api/v1/${inDemo}/configmaps`
    await asAdmin('POST', configMaps, { metadata: { name: 'c' } })
    await asAdmin('DELETE', `${projects}/demo`)
    expect(await asAdmin('POST', configMaps, { metadata: { name: 'd' } })).toMatchObject(
      refusal(
        403,
        'Forbidden',
        'configmaps "d" is forbidden: unable to create new content in namespace demo because it is being terminated',
      ),
    )
    expect(await asAdmin('PUT', `${configMaps}/c`, { metadata: { name: 'c' }, data: { a: 'b' } })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('because it is being terminated')),
    )
    expect(await asAdmin('POST', `${imageApi}/${inDemo}/imagestreams`, { metadata: { name: 'app' } })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('because it is being terminated')),
    )
    for (const path of [namespaces, projects]) {
      expect(await asAdmin('POST', path, { metadata: { name: 'demo' } })).toMatchObject(
        refusal(409, 'AlreadyExists', expect.stringContaining('object is being deleted')),
      )
    }
    expect((await asAdmin('DELETE', `${configMaps}/c`)).status).toBe(200)
    expect((await asAdmin('DELETE', `${projects}/demo`)).status).toBe(200)
  })

  test.each([
    ['uid', { uid: 'another' }],
    ['resourceVersion', { resourceVersion: '999' }],
  ])('under the wrong %s is refused', async (_, preconditions) => {
    const { asAdmin } = await apiWorld()
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions }
    expect(await asAdmin('DELETE', `${namespaces}/demo`, body)).toMatchObject(refusal(409, 'Conflict'))
    expect((await asAdmin('GET', `${namespaces}/demo`)).body).toMatchObject({ status: { phase: 'Active' } })
  })

  test('is for its admin, as a project, and for nobody else', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    await asAdmin('POST', namespaces, { metadata: { name: 'other' } })
    const boss = await robot('boss', 'admin')
    const editor = await robot('editor', 'edit')
    const none = await robot('nobody')
    for (const sent of [{ token: editor }, { token: none }, {}]) {
      expect((await send('DELETE', `${projects}/demo`, sent)).status).toBe(403)
      expect((await send('DELETE', `${projects}/missing`, sent)).status).toBe(403)
    }
    expect((await send('DELETE', `${projects}/other`, { token: boss })).status).toBe(403)
    expect((await send('DELETE', `${namespaces}/demo`, { token: boss })).status).toBe(403)
    expect((await send('DELETE', `${projects}/demo`, { token: boss })).status).toBe(200)
    expect((await asAdmin('DELETE', `${projects}/missing`)).status).toBe(404)
    expect((await asAdmin('GET', `${projects}/other`)).body).toMatchObject({ status: { phase: 'Active' } })
  })

  test('is of one project, never of all', async () => {
    const { asAdmin, send } = await apiWorld()
    for (const path of [namespaces, projects]) {
      expect(await asAdmin('DELETE', path)).toMatchObject(refusal(405, 'MethodNotAllowed'))
      expect((await send('DELETE', path)).status).toBe(405)
    }
  })

  test('ends the tokens of its robots, and leaves the bindings of others that name them without effect', async () => {
    const world = await apiWorld()
    const { asAdmin, send, robot, objects, authorizer } = world
    await asAdmin('POST', namespaces, { metadata: { name: 'other' } })
    const guest = await robot('guest')
    const subjects = [{ kind: 'ServiceAccount', name: 'guest', namespace: 'demo' }]
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' }
    const bound = await objects.create('rolebindings', 'other', { metadata: { name: 'guest' }, subjects, roleRef })
    await authorizer.reached(Number(bound.metadata.resourceVersion))
    expect((await send('GET', `${projects}/other`, { token: guest })).status).toBe(200)
    await asAdmin('DELETE', `${projects}/demo`)
    removing(world)
    await goneAfter(() => asAdmin('GET', `${projects}/demo`))
    expect((await send('GET', `${projects}/other`, { token: guest })).status).toBe(401)
    expect(await objects.get('rolebindings', 'other', 'guest')).toMatchObject({ subjects })
    await asAdmin('POST', namespaces, { metadata: { name: 'demo' } })
    await asAdmin('POST', `/api/v1/${inDemo}/serviceaccounts`, { metadata: { name: 'guest' } })
    expect((await send('GET', `${projects}/other`, { token: guest })).status).toBe(401)
  })
})

describe('a watch of projects', () => {
  const brief = (event: WatchEvent | undefined) =>
    event && [
      event.type,
      event.object.kind,
      event.object.metadata.name,
      (event.object.status as { phase: string }).phase,
    ]

  test.each([
    [namespaces, 'Namespace'],
    [projects, 'Project'],
  ])('at %s tells what the caller may see, and nothing else', async (path, kind) => {
    const world = await apiWorld()
    const { asAdmin, robot, watch } = world
    await asAdmin('POST', namespaces, { metadata: { name: 'people' } })
    const viewer = await robot('viewer', 'view', 'people')
    const ofProject = await robot('deployer', 'view')
    const none = await robot('nobody', undefined, 'people')
    const { metadata } = (await asAdmin('GET', path)).body as { metadata: { resourceVersion: string } }
    const query = `?watch=true&resourceVersion=${metadata.resourceVersion}`
    const [forAdmin, forViewer, forItsOwn, forNone, forAnonymous] = await Promise.all([
      watch(`${path}${query}`, world.adminToken),
      watch(`${path}${query}`, viewer),
      watch(`${path}${query}`, ofProject),
      watch(`${path}${query}`, none),
      watch(`${path}${query}`),
    ])
    const silent = [forNone(), forAnonymous()]
    await asAdmin('POST', path, { metadata: { name: 'other' } })
    await asAdmin('PUT', `${path}/demo`, { metadata: { name: 'demo', labels: { a: 'b' } } })
    await asAdmin('DELETE', `${path}/other`)
    await asAdmin('DELETE', `${path}/demo`)
    // Before his binding goes: until then it is what shows him the project.
    const seen = [brief(await forViewer()), brief(await forViewer())]
    expect([brief(await forItsOwn()), brief(await forItsOwn())]).toEqual(seen)
    removing(world)
    const told = []
    for (let i = 0; i < 6; i += 1) told.push(brief(await forAdmin()))
    expect(told.filter((event) => event?.[2] === 'other')).toEqual([
      ['ADDED', kind, 'other', 'Active'],
      ['MODIFIED', kind, 'other', 'Terminating'],
      ['DELETED', kind, 'other', 'Terminating'],
    ])
    expect([...seen, brief(await forViewer())]).toEqual([
      ['MODIFIED', kind, 'demo', 'Active'],
      ['MODIFIED', kind, 'demo', 'Terminating'],
      ['DELETED', kind, 'demo', 'Terminating'],
    ])
    // Its account went with the project.
    expect(await forItsOwn()).toBeUndefined()
    await expect(Promise.race([...silent, Promise.resolve('silent')])).resolves.toBe('silent')
  })

  test('tells a change only once the bindings of its revision are known', async () => {
    const reached = Promise.withResolvers<void>()
    const waitedFor: number[] = []
    const made = { metadata: { name: 'mine' } }
    const row = projectsRow({
      ...({} as Pick<ProjectsOptions, 'objects' | 'projects' | 'allowed'>),
      authorizer: {
        reached: (revision) => {
          waitedFor.push(revision)
          return reached.promise
        },
      },
      followObjects: () =>
        async function* () {
          yield { revision: 5, changes: [{ before: undefined, after: made }] }
        },
    })
    let isTold = false
    const { signal } = new AbortController()
    const told = row.follow?.({ since: 0, signal })[Symbol.asyncIterator]().next()
    void told?.then(() => {
      isTold = true
    })
    await new Promise(setImmediate)
    expect([waitedFor, isTold]).toEqual([[5], false])
    reached.resolve()
    expect(await told).toMatchObject({ value: { revision: 5, changes: [{ after: { status: { phase: 'Active' } } }] } })
  })

  test('tells a creator of the project that he made', async () => {
    const { store, authorizer, robot, send, watch } = await apiWorld()
    const token = await robot('maker')
    const rules = [{ apiGroups: ['project.openshift.io'], resources: ['projectrequests'], verbs: ['create'] }]
    const put = (key: string, value: unknown) => ({ type: 'put' as const, key, value: JSON.stringify(value) })
    const written = await store.commit({
      operations: [
        put('object/clusterroles//maker', { metadata: { name: 'maker' }, rules }),
        put('object/clusterrolebindings//maker', {
          metadata: { name: 'maker' },
          subjects: [{ kind: 'ServiceAccount', name: 'maker', namespace: 'demo' }],
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'maker' },
        }),
      ],
    })
    await authorizer.reached(written.status === 'committed' ? written.revision : 0)
    const next = await watch(`${projects}?watch=true`, token)
    await send('POST', '/apis/project.openshift.io/v1/projectrequests', { token, body: { metadata: { name: 'mine' } } })
    expect(brief(await next())).toEqual(['ADDED', 'Project', 'mine', 'Active'])
  })
})

describe('hostile names of projects', () => {
  test.each([
    ['a%2fb', 400],
    ['a%252fb', 400],
    ['__proto__', 404],
    ['constructor', 404],
    ['%00', 400],
    ['x'.repeat(2000), 400],
  ])('%s answer what is not there, or can not be', async (name, status) => {
    const { asAdmin, send } = await apiWorld()
    for (const method of ['GET', 'DELETE']) {
      expect((await asAdmin(method, `${projects}/${name}`)).status).toBe(status)
      const anonymous = await send(method, `${projects}/${name}`)
      expect(anonymous.status).toBe(status === 404 ? 403 : status)
    }
  })
})
