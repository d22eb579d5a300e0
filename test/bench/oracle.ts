/**
 * Whether the time of an answer tells what the answer does not: a repository that is forbidden beside two that are not there,
 * a blob that another project has beside two that nobody has, a user that there is beside two that there are not. The three
 * are asked one after the other, in a new order each round. Of each round the difference is taken; its median, with the
 * interval that holds it in 99.9 of 100 cases (order statistics of the sign test), says whether there is one. The two that are
 * the same by nature are the control.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import { startDockerRegistry } from '../interop/support/docker-registry.ts'
import { realImage } from '../interop/support/real-images.ts'
import { type RunningWeir, startWeir } from '../interop/support/weir.ts'
import { median } from './measure.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 4000)
const slowRounds = Number(process.env.BENCH_SLOW_ROUNDS ?? 100)
const warmUp = 300
/** Of a normal distribution, 99.9 % lie within it. */
const z = 3.29

/** The one that is there, and two that are not. */
type Three = readonly [string, string, string]

/** One request of a round. */
interface Asked {
  path: string
  headers: Record<string, string>
}

interface Comparison {
  name: string
  rounds: number
  method: 'GET' | 'HEAD'
  /** What is answered to all three. */
  status: number
  asked(one: string, round: number): Asked
  three: Three
}

const repositories: Three = ['secret/app', 'secret/nop', 'secret/non']

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-bench-'))
  const image = realImage('bench')
  const hidden = realImage('hidden')
  const registry = await startDockerRegistry(directory)
  await registry.put('lib/app', image, 'v1')
  await registry.put('lib/hidden', hidden, 'v1')
  const htpasswdFile = join(directory, 'users')
  await writeFile(htpasswdFile, `jane:${hashSync('right', 10)}\n`)
  const upstreams = [{ host: registry.host, insecure: true }]
  // A proxy may say who the client is, so that no limit of one address is met.
  const weir = await startWeir(directory, { upstreams, auth: { htpasswdFile }, trustedProxies: ['127.0.0.1'] })
  try {
    const ci = await prepare(weir, registry.host, hidden.layers[0]?.digest ?? '')
    const load = loadavg()[0]?.toFixed(1)
    console.log(`${cpus()[0]?.model}, ${cpus().length} cores, load ${load}; node ${process.version}`)
    console.log('medians in µs; there / absent; difference of each round (99.9 % interval); control: absent / absent')
    for (const each of await comparisons(weir, ci, hidden.manifest.digest, hidden.layers[0]?.digest ?? '')) {
      console.log(await compare(weir, each))
    }
  } finally {
    await weir.stop()
    await registry.stop()
  }
  await rm(directory, { recursive: true, force: true })
}

/** Makes all that there is, has the hidden image held and warm, and answers the token of who may pull the other. */
async function prepare(weir: RunningWeir, upstream: string, layer: string): Promise<string> {
  for (const [project, source] of [
    ['demo', 'app'],
    ['secret', 'hidden'],
  ]) {
    await weir.weir('new-project', `${project}`)
    await weir.weir('import-image', `${project}/app:prod`, '--from', `${upstream}/lib/${source}:v1`)
  }
  await weir.weir('grant', 'pull', 'serviceaccount:ci', '-n', 'demo')
  await weir.weir('grant', 'pull', 'serviceaccount:own', '-n', 'secret')
  const own = await pullToken(weir, 'secret/app', (await weir.weir('token', 'own', '-n', 'secret')).trim())
  for (const path of ['manifests/prod', `blobs/${layer}`]) {
    const answer = await fetch(`${weir.url}/v2/secret/app/${path}`, { headers: { authorization: `Bearer ${own}` } })
    await answer.arrayBuffer()
    if (!answer.ok) throw new Error(`${path} of secret/app answered ${answer.status}`)
  }
  return (await weir.weir('token', 'ci', '-n', 'demo')).trim()
}

async function comparisons(weir: RunningWeir, ci: string, digest: string, layer: string): Promise<Comparison[]> {
  const tokens = { 'a robot': await pullToken(weir, 'demo/app', ci), anonymous: await pullToken(weir, 'demo/app') }
  const paths: [string, 'GET' | 'HEAD', (name: string) => string][] = [
    ['manifest by tag', 'GET', (name) => `/v2/${name}/manifests/prod`],
    ['manifest by digest', 'GET', (name) => `/v2/${name}/manifests/${digest}`],
    ['blob', 'HEAD', (name) => `/v2/${name}/blobs/${layer}`],
    ['tags', 'GET', (name) => `/v2/${name}/tags/list`],
  ]
  const registry = Object.entries(tokens).flatMap(([who, token]) =>
    paths.map(([what, method, path]): Comparison => {
      const headers = { authorization: `Bearer ${token}` }
      const asked = (one: string) => ({ path: path(one), headers })
      return { name: `${method} ${what}, ${who}`, rounds, method, status: 401, asked, three: repositories }
    }),
  )
  const logins = { 'a robot': { authorization: basic('ci', ci) }, anonymous: {} }
  const token = Object.entries(logins).map(([who, headers]): Comparison => {
    const asked = (one: string) => ({ path: `/token?service=${weir.host}&scope=repository:${one}:pull`, headers })
    return { name: `GET /token with a scope, ${who}`, rounds, method: 'GET', status: 200, asked, three: repositories }
  })
  return [
    ...registry,
    ...token,
    {
      name: 'HEAD of a blob that another project has, by one who may pull here',
      rounds,
      method: 'HEAD',
      status: 404,
      asked: (one) => ({
        path: `/v2/demo/app/blobs/${one}`,
        headers: { authorization: `Bearer ${tokens['a robot']}` },
      }),
      three: [layer, `sha256:${'0123'.repeat(16)}`, `sha256:${'4567'.repeat(16)}`],
    },
    {
      name: 'GET of an image stream on the API, a robot',
      rounds,
      method: 'GET',
      status: 403,
      asked: (one) => {
        const [project, stream] = one.split('/')
        const path = `/apis/image.openshift.io/v1/namespaces/${project}/imagestreams/${stream}`
        return { path, headers: { authorization: `Bearer ${ci}` } }
      },
      three: repositories,
    },
    {
      name: 'GET /token with a wrong password',
      rounds: slowRounds,
      method: 'GET',
      status: 401,
      asked: (user, round) => {
        const address = `10.${['jane', 'john', 'jack'].indexOf(user)}.${round >> 8}.${round & 255}`
        return { path: '/token', headers: { authorization: basic(user, `wrong-${round}`), 'x-forwarded-for': address } }
      },
      three: ['jane', 'john', 'jack'],
    },
  ]
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

async function pullToken(weir: RunningWeir, repository: string, password?: string): Promise<string> {
  const query = new URLSearchParams({ service: weir.host, scope: `repository:${repository}:pull` })
  const headers = password === undefined ? {} : { authorization: basic('any', password) }
  const answer = await fetch(`${weir.url}/token?${query}`, { headers })
  return ((await answer.json()) as { token: string }).token
}

async function compare(weir: RunningWeir, { name, rounds, method, status, asked, three }: Comparison): Promise<string> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const [there, absent, other] = three
  const taken = new Map<string, number[]>(three.map((one) => [one, []]))
  const warm = Math.min(warmUp, rounds)
  for (let round = 0; round < warm + rounds; round += 1) {
    for (const one of shuffled(three)) {
      const us = await time(weir, agent, method, status, asked(one, round))
      if (round >= warm) taken.get(one)?.push(us)
    }
  }
  agent.destroy()
  const of = (one: string) => taken.get(one) ?? []
  const found = difference(of(there), of(absent))
  const control = difference(of(other), of(absent))
  const verdict = found.low > 0 || found.high < 0 ? 'DIFFERENT' : 'no difference'
  const shown = [of(there), of(absent)].map((list) => median(list).toFixed(1)).join(' / ')
  return `${name}: ${rounds} rounds; ${shown}; ${format(found)}; control ${format(control)}: ${verdict}`
}

/** The median of the differences, and between which of them it lies in 99.9 of 100 cases. */
interface Difference {
  median: number
  low: number
  high: number
}

function difference(ones: readonly number[], others: readonly number[]): Difference {
  const sorted = ones.map((us, i) => us - (others[i] ?? Number.NaN)).sort((a, b) => a - b)
  const reach = (z * Math.sqrt(sorted.length)) / 2
  const at = (index: number) => sorted[Math.min(Math.max(Math.round(index), 0), sorted.length - 1)] ?? Number.NaN
  const middle = (sorted.length - 1) / 2
  return { median: median(sorted), low: at(middle - reach), high: at(middle + reach) }
}

function format({ median, low, high }: Difference): string {
  return `${median.toFixed(1)} (${low.toFixed(1)} to ${high.toFixed(1)})`
}

function shuffled(three: Three): string[] {
  const list: string[] = [...three]
  for (let i = list.length - 1; i > 0; i -= 1) {
    const j = Math.floor(Math.random() * (i + 1))
    const [a = '', b = ''] = [list[i], list[j]]
    list[i] = b
    list[j] = a
  }
  return list
}

/** From the first byte out to the last byte in, in µs. @throws Error for another status than is expected */
function time(
  weir: RunningWeir,
  agent: Agent,
  method: string,
  status: number,
  { path, headers }: Asked,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const begun = performance.now()
    const sent = request(`${weir.url}${path}`, { method, headers, agent }, (answer) => {
      answer.on('error', reject)
      answer.on('data', () => undefined)
      answer.on('end', () => {
        const us = (performance.now() - begun) * 1000
        if (answer.statusCode === status) resolve(us)
        else reject(new Error(`${path} answered ${answer.statusCode}`))
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}
