import { expect, test, vi } from 'vitest'
import { makeImage, type TestImage } from '../support/images.ts'
import { type Answered, startWorld, type World } from '../support/world.ts'

const [v1, v2, v3] = [makeImage('v1'), makeImage('v2'), makeImage('v3')]
const streams = (project: string) => `/apis/image.openshift.io/v1/namespaces/${project}/imagestreams`
const istags = (project: string) => `/apis/image.openshift.io/v1/namespaces/${project}/imagestreamtags`

interface Sent {
  method?: string
  token: string
  body?: unknown
}

/** Projects demo and live, each with a robot that may edit it; that of live may pull from demo/app. */
async function twoProjects(): Promise<World & { demo: string; live: string }> {
  const world = await startWorld()
  for (const project of ['demo', 'live']) {
    await done(world, 'new-project', project)
    await done(world, 'token', 'ci', '-n', project)
    await done(world, 'grant', 'edit', 'serviceaccount:ci', '-n', project)
  }
  await put(world, v1)
  await done(world, 'grant', 'pull', 'serviceaccount:live/ci', '-n', 'demo', '--stream', 'app')
  const [demo, live] = await Promise.all(['demo', 'live'].map((project) => done(world, 'token', 'ci', '-n', project)))
  return Object.assign(world, { demo: String(demo).trim(), live: String(live).trim() })
}

async function done({ cli }: World, ...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await cli(...argv)
  expect(exitCode, stderr).toBe(0)
  return stdout
}

/** Lets the registry have an image, and demo/app:dev with it. */
async function put(world: World, image: TestImage): Promise<void> {
  world.upstream.put('lib/app', image, { tag: 'dev' })
  await done(world, 'import-image', 'demo/app:dev', '--from', `${world.upstream.host}/lib/app:dev`)
}

async function api(world: World, path: string, { body, ...sent }: Sent): Promise<{ status: number; body: Body }> {
  const answer = await world.request(path, { secure: true, ...sent, ...(body === undefined ? {} : { body }) })
  return { status: answer.status, body: JSON.parse(answer.body.toString('utf8')) as Body }
}

type Body = Record<string, unknown>

/** As `kubectl apply` of an ImageStreamTag would. */
async function setTag(world: World, at: string, source: string, token: string, follow = 'true') {
  const [project = '', name = ''] = at.split('/')
  const [namespace = '', from = ''] = source.split('/')
  return api(world, `${istags(project)}/${name}`, {
    method: 'PUT',
    token,
    body: {
      kind: 'ImageStreamTag',
      apiVersion: 'image.openshift.io/v1',
      metadata: { name, namespace: project, annotations: { 'weir.dev/follow': follow } },
      tag: { name: name.split(':')[1], from: { kind: 'ImageStreamTag', name: from, namespace } },
    },
  })
}

async function stands(world: World, at: string, image: TestImage): Promise<void> {
  await vi.waitFor(async () => expect(await digestOf(world, at)).toBe(image.manifest.digest), { timeout: 30_000 })
}

async function digestOf(world: World, at: string): Promise<unknown> {
  const { status, headers }: Answered = await world.pull(at, world.adminToken)
  return status === 200 ? headers['docker-content-digest'] : status
}

async function conditionOf(world: World, at: string, token: string): Promise<string> {
  const [project = '', rest = ''] = at.split('/')
  const [stream = '', tag = ''] = rest.split(':')
  const { body } = await api(world, `${streams(project)}/${stream}`, { token })
  const tags = (body.status as { tags?: { tag: string; conditions?: { reason: string; message: string }[] }[] }).tags
  const [condition] = tags?.find((each) => each.tag === tag)?.conditions ?? []
  return condition === undefined ? '' : `${condition.reason}: ${condition.message}`
}

function causes({ body }: { body: Body }): unknown {
  return (body.details as { causes?: unknown }).causes
}

test('a tag follows across projects: while its right lasts, through a restart, and past the end of its source', async () => {
  const world = await twoProjects()
  expect((await setTag(world, 'live/app:prod', 'demo/app:dev', world.live)).status).toBe(201)
  await stands(world, 'live/app:prod', v1)
  await put(world, v2)
  await stands(world, 'live/app:prod', v2)
  const history = await done(world, 'history', 'live/app:prod')
  expect(history).toMatch(/ follow +system:weir:follow +demo\/app:dev/)

  await done(world, 'revoke', 'pull', 'serviceaccount:live/ci', '-n', 'demo', '--stream', 'app')
  await put(world, v3)
  await vi.waitFor(
    async () => expect(await conditionOf(world, 'live/app:prod', world.live)).toMatch(/^Forbidden/),
    30_000,
  )
  expect(await conditionOf(world, 'live/app:prod', world.live)).toContain('system:serviceaccount:live:ci let it follow')
  expect(await digestOf(world, 'live/app:prod')).toBe(v2.manifest.digest)
  await done(world, 'grant', 'pull', 'serviceaccount:live/ci', '-n', 'demo', '--stream', 'app')
  await stands(world, 'live/app:prod', v3)

  await done(world, 'rollback', 'demo/app:dev')
  await stands(world, 'live/app:prod', v2)
  await done(world, 'resume', 'demo/app:dev')
  await stands(world, 'live/app:prod', v3)
  await world.restart()
  await put(world, v1)
  await stands(world, 'live/app:prod', v1)

  await api(world, `${streams('demo')}/app`, { method: 'DELETE', token: world.adminToken })
  await vi.waitFor(
    async () => expect(await conditionOf(world, 'live/app:prod', world.live)).toMatch(/^NotFound/),
    30_000,
  )
  expect(await done(world, 'describe', 'live/app:prod')).toContain('does not move along')
  for (const { digest } of [v1.config, ...v1.layers]) {
    const token = await world.pullToken('repository:live/app:pull', world.live)
    const blob = await world.request(`/v2/live/app/blobs/${digest}`, { token })
    expect(blob.status).toBe(200)
  }
  expect((await world.pull(`live/app@${v1.manifest.digest}`, world.live)).status).toBe(200)
  await put(world, v2)
  await stands(world, 'live/app:prod', v2)
  expect(await conditionOf(world, 'live/app:prod', world.live)).toBe('')
}, 120_000)

test('circles over three streams in two projects are refused, also when two writes would close one at once', async () => {
  const world = await twoProjects()
  expect((await setTag(world, 'live/app:prod', 'demo/app:dev', world.adminToken)).status).toBe(201)
  expect((await setTag(world, 'live/web:prod', 'live/app:prod', world.adminToken)).status).toBe(201)
  const closing = await setTag(world, 'demo/app:dev', 'live/web:prod', world.adminToken)
  expect(closing.status).toBe(422)
  expect(causes(closing)).toEqual([
    {
      field: 'tag.from.name',
      reason: 'FieldValueInvalid',
      message: 'Invalid value: "web:prod": it would follow itself, through live/web:prod, live/app:prod',
    },
  ])
  for (let round = 0; round < 5; round += 1) {
    const [a, b] = [`demo/a${round}:x`, `live/b${round}:x`]
    for (const at of [a, b])
      expect((await setTag(world, at, 'demo/app:dev', world.adminToken, 'false')).status).toBe(201)
    const both = await Promise.all([setTag(world, a, b, world.adminToken), setTag(world, b, a, world.adminToken)])
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 422])
  }
})

test('nobody learns of streams that he may not pull from: not by circles, conditions or what is refused', async () => {
  const world = await twoProjects()
  await done(world, 'new-project', 'secret')
  await done(world, 'tag', 'demo/app:dev', 'live/app:prod')
  // secret/plan:x follows live/app:prod, and demo/app:open follows secret/plan:x.
  await setTag(world, 'secret/plan:x', 'live/app:prod', world.adminToken)
  await setTag(world, 'demo/app:open', 'secret/plan:x', world.adminToken)
  const closing = await setTag(world, 'live/app:prod', 'demo/app:open', world.live)
  expect(closing.status).toBe(422)
  const text = JSON.stringify(closing.body)
  expect(text).toContain('it would follow itself, through demo/app:open, image streams that you may not see')
  expect(text).not.toContain('secret')

  const there = await setTag(world, 'live/app:x', 'secret/plan:x', world.live)
  const notThere = await setTag(world, 'live/app:x', 'nowhere/plan:x', world.live)
  expect([there.status, notThere.status]).toEqual([422, 422])
  expect(JSON.stringify(causes(there)).replaceAll('secret', 'nowhere')).toBe(JSON.stringify(causes(notThere)))

  // Who let a tag follow is told to nobody while it does.
  await setTag(world, 'live/app:mine', 'demo/app:dev', world.live)
  for (const path of [`${streams('live')}/app`, `${istags('live')}/app:mine`]) {
    const shown = JSON.stringify((await api(world, path, { token: world.live })).body)
    expect(shown).not.toContain('followsAs')
    expect(shown).not.toContain('system:serviceaccount:live:ci')
  }
})

test('as whom a tag follows can be set by nobody', async () => {
  const world = await twoProjects()
  await setTag(world, 'live/app:prod', 'demo/app:dev', world.live)
  await done(world, 'revoke', 'pull', 'serviceaccount:live/ci', '-n', 'demo', '--stream', 'app')
  const path = `${istags('live')}/app:prod`
  const { body } = await api(world, path, { token: world.live })
  const as = { name: 'weir:admin', groups: ['system:masters'] }
  const tag = { ...(body.tag as object), followsAs: as }
  const written = { ...body, followsAs: as, tag, metadata: { ...(body.metadata as object), followsAs: as } }
  await api(world, path, { method: 'PUT', token: world.live, body: written })
  await put(world, v2)
  await vi.waitFor(
    async () => expect(await conditionOf(world, 'live/app:prod', world.live)).toMatch(/^Forbidden/),
    30_000,
  )
  expect(await digestOf(world, 'live/app:prod')).toBe(v1.manifest.digest)
})

test('a service account that was made anew is another, whatever its name may', async () => {
  const world = await twoProjects()
  await setTag(world, 'live/app:prod', 'demo/app:dev', world.live)
  const account = '/api/v1/namespaces/live/serviceaccounts'
  await api(world, `${account}/ci`, { method: 'DELETE', token: world.adminToken })
  await done(world, 'token', 'ci', '-n', 'live')
  await put(world, v2)
  await vi.waitFor(
    async () => expect(await conditionOf(world, 'live/app:prod', world.adminToken)).toMatch(/^Forbidden/),
    30_000,
  )
  expect(await digestOf(world, 'live/app:prod')).toBe(v1.manifest.digest)
})
