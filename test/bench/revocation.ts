/**
 * How long a living token is good after its right or its identity was ended: one connection asks for a manifest as fast as it
 * is answered, another ends what the token stands on. Counted from the answer to that to the first refusal; requests that were
 * sent after that answer and served all the same are the leak. The token was verified and used before: it is on the warm path.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent as HttpAgent, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import { parse } from 'yaml'
import { startDockerRegistry } from '../interop/support/docker-registry.ts'
import { realImage } from '../interop/support/real-images.ts'
import { type RunningWeir, startWeir } from '../interop/support/weir.ts'
import { spread } from './measure.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 9)
const rbac = '/apis/rbac.authorization.k8s.io/v1'
const puller = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' }

/** The API as the admin. */
type Send = (method: string, path: string, body?: object) => Promise<Record<string, unknown>>

interface Ending {
  /** The login that gets the token, for `demo/app`. */
  login: { user: string; password: string }
  /** The one request that ends it. */
  request: [method: string, path: string, body?: object]
}

type Prepare = (send: Send, weir: RunningWeir, round: number) => Promise<Ending>

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-bench-'))
  const registry = await startDockerRegistry(directory)
  await registry.put('lib/app', realImage('bench'), 'v1')
  const htpasswdFile = join(directory, 'users')
  await writeFile(htpasswdFile, `jane:${hashSync('right', 10)}\n`)
  const upstreams = [{ host: registry.host, insecure: true }]
  const weir = await startWeir(directory, { upstreams, auth: { htpasswdFile } })
  await weir.weir('new-project', 'demo')
  await weir.weir('import-image', 'demo/app:prod', '--from', `${registry.host}/lib/app:v1`)
  const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1 })
  try {
    const send = await apiOf(weir, agent)
    console.log(
      `${cpus()[0]?.model}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; node ${process.version}; ${rounds} rounds; ms, median (least-most)`,
    )
    for (const [name, prepare] of Object.entries(endings)) console.log(`${name}: ${await measure(send, weir, prepare)}`)
  } finally {
    agent.destroy()
    await weir.stop()
    await registry.stop()
  }
  await rm(directory, { recursive: true, force: true })
}

const account = async (send: Send, project: string, name: string) => {
  await send('POST', `/api/v1/namespaces/${project}/serviceaccounts`, { metadata: { name } })
  const { status } = await send('POST', `/api/v1/namespaces/${project}/serviceaccounts/${name}/token`, { spec: {} })
  return { user: name, password: String((status as { token: string }).token) }
}

const bind = async (send: Send, name: string, subject: object, roleRef: object = puller) => {
  const path = `${rbac}/namespaces/demo/rolebindings`
  await send('POST', path, { metadata: { name }, subjects: [subject], roleRef })
  return `${path}/${name}`
}
const robot = (namespace: string, name: string) => ({ kind: 'ServiceAccount', namespace, name })

const endings: Record<string, Prepare> = {
  'DELETE of a RoleBinding': async (send, _, round) => {
    const login = await account(send, 'demo', `bound-${round}`)
    return { login, request: ['DELETE', await bind(send, login.user, robot('demo', login.user))] }
  },
  'DELETE of a ClusterRoleBinding': async (send, _, round) => {
    const login = await account(send, 'demo', `everywhere-${round}`)
    const path = `${rbac}/clusterrolebindings`
    await send('POST', path, { metadata: { name: login.user }, subjects: [robot('demo', login.user)], roleRef: puller })
    return { login, request: ['DELETE', `${path}/${login.user}`] }
  },
  'PATCH of a Role to no rules': async (send, _, round) => {
    const login = await account(send, 'demo', `ruled-${round}`)
    const path = `${rbac}/namespaces/demo/roles`
    const rules = [{ apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'], verbs: ['get'] }]
    await send('POST', path, { metadata: { name: login.user }, rules })
    await bind(send, login.user, robot('demo', login.user), { ...puller, kind: 'Role', name: login.user })
    return { login, request: ['PATCH', `${path}/${login.user}`, { rules: [] }] }
  },
  'DELETE of a ServiceAccount': async (send, _, round) => {
    const login = await account(send, 'demo', `leaving-${round}`)
    await bind(send, login.user, robot('demo', login.user))
    return { login, request: ['DELETE', `/api/v1/namespaces/demo/serviceaccounts/${login.user}`] }
  },
  'DELETE of the project of a ServiceAccount': async (send, _, round) => {
    const project = `project-${round}`
    await send('POST', '/api/v1/namespaces', { metadata: { name: project } })
    const login = await account(send, project, 'ci')
    await bind(send, `from-${project}`, robot(project, 'ci'))
    return { login, request: ['DELETE', `/api/v1/namespaces/${project}`] }
  },
  'DELETE of a Session': async (send, weir, round) => {
    const login = { user: 'jane', password: 'right' }
    await bind(send, `jane-${round}`, { ...puller, kind: 'User', name: 'jane' })
    const ids = async () => {
      const { items } = await send('GET', '/apis/weir.dev/v1/sessions')
      return (items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name)
    }
    for (const id of await ids()) await send('DELETE', `/apis/weir.dev/v1/sessions/${id}`)
    const token = await pullToken(weir, login)
    const [id] = await ids()
    return { login: { user: '', password: token }, request: ['DELETE', `/apis/weir.dev/v1/sessions/${id}`] }
  },
}

interface Round {
  /** From the answer of who ended it to the first refusal; negative when the refusal was first. */
  afterAnswerMs: number
  /** From the request that ended it. */
  afterRequestMs: number
  /** Requests that were sent after the answer and served. */
  leaked: number
  served: number
}

async function measure(send: Send, weir: RunningWeir, prepare: Prepare): Promise<string> {
  const results: Round[] = []
  for (let round = 0; round < rounds; round += 1) {
    const { login, request } = await prepare(send, weir, round)
    const token = login.user === '' ? login.password : await pullToken(weir, login)
    results.push(await end(weir, token, () => send(...request)))
  }
  const of = (key: keyof Round, digits = 2) =>
    spread(
      results.map((round) => round[key]),
      digits,
    )
  const sum = (key: keyof Round) => results.reduce((total, round) => total + round[key], 0)
  return `first refusal ${of('afterAnswerMs')} after the answer, ${of('afterRequestMs')} after the request; ${sum('leaked')} of ${sum('served')} served requests were sent after the answer`
}

async function end(weir: RunningWeir, token: string, act: () => Promise<unknown>): Promise<Round> {
  const agent = new HttpAgent({ keepAlive: true, maxSockets: 1 })
  const ask = () => statusOf(weir, agent, token)
  for (let i = 0; i < 200; i += 1) if ((await ask()) !== 200) throw new Error('the token is not good before its end')
  let answeredMs: number | undefined
  const requestedMs = performance.now()
  const acted = act().then(() => {
    answeredMs = performance.now()
  })
  let leaked = 0
  let served = 0
  for (;;) {
    const isAfter = answeredMs !== undefined
    const status = await ask()
    if (status !== 200) break
    served += 1
    if (isAfter) leaked += 1
    if (isAfter && performance.now() - (answeredMs ?? 0) > 30_000) throw new Error('the token is good for 30 s still')
  }
  const refusedMs = performance.now()
  await acted
  agent.destroy()
  return { afterAnswerMs: refusedMs - (answeredMs ?? 0), afterRequestMs: refusedMs - requestedMs, leaked, served }
}

function statusOf(weir: RunningWeir, agent: HttpAgent, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, accept: 'application/vnd.oci.image.manifest.v1+json' }
    const sent = requestHttp(`${weir.url}/v2/demo/app/manifests/prod`, { headers, agent }, (answer) => {
      answer.on('error', reject)
      answer.on('data', () => undefined)
      answer.on('end', () => resolve(answer.statusCode ?? 0))
    })
    sent.on('error', reject)
    sent.end()
  })
}

async function pullToken(weir: RunningWeir, { user, password }: Ending['login']): Promise<string> {
  const query = new URLSearchParams({ service: weir.host, scope: 'repository:demo/app:pull', offline_token: 'true' })
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const answer = await fetch(`${weir.url}/token?${query}`, { headers: { authorization } })
  if (!answer.ok) throw new Error(`/token answered ${answer.status}`)
  return ((await answer.json()) as { token: string }).token
}

/** Sends requests of the API as the admin, over one connection. @throws Error for a refusal */
async function apiOf(weir: RunningWeir, agent: HttpsAgent): Promise<Send> {
  const config = parse(await readFile(weir.kubeconfig, 'utf8'))
  const ca = Buffer.from(config.clusters[0].cluster['certificate-authority-data'], 'base64')
  const authorization = `Bearer ${config.users[0].user.token}`
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
      const headers = { authorization, ...(body && { 'content-type': type }) }
      const sent = requestHttps(`${weir.apiUrl}${path}`, { method, headers, ca, agent }, (answer) => {
        const pieces: Buffer[] = []
        answer.on('error', reject)
        answer.on('data', (piece: Buffer) => pieces.push(piece))
        answer.on('end', () => {
          const text = Buffer.concat(pieces).toString('utf8')
          if ((answer.statusCode ?? 0) < 300) resolve(JSON.parse(text))
          else reject(new Error(`${method} ${path} answered ${answer.statusCode}: ${text}`))
        })
      })
      sent.on('error', reject)
      sent.end(body === undefined ? undefined : JSON.stringify(body))
    })
}
