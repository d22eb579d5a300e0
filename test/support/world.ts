/** A whole Weir on free ports, in front of a fake upstream, with a command line. */
import { readFile } from 'node:fs/promises'
import { type IncomingHttpHeaders, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { runCli } from '../../src/cli/cli.ts'
import { parseConfig } from '../../src/config.ts'
import { createLog } from '../../src/log.ts'
import { startWeir, type Weir, type WeirOptions } from '../../src/weir.ts'
import { type Defer, temporaryDirectory } from './directory.ts'
import { type FakeUpstream, type FakeUpstreamOptions, startFakeUpstream } from './fake-upstream.ts'

export interface WorldOptions {
  upstream?: FakeUpstreamOptions
  /** Keys of the config file besides listen addresses, data and the upstream's rule. */
  config?: Record<string, unknown>
  /** Milliseconds since the epoch; default the system's clock. */
  now?: () => number
  /** With upstreams; default Weir's own. */
  patience?: WeirOptions['patience']
  /** Default: it goes with the test. */
  defer?: Defer
}

export interface Answered {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface RequestToSend {
  method?: string
  /** Sent as a Bearer. */
  token?: string
  headers?: Record<string, string>
  /** Sent as JSON unless it is a string. */
  body?: unknown
  /** Over HTTPS, trusting Weir's authority alone; default plain HTTP. */
  secure?: boolean
}

/** What a command line came to. */
export interface Ran {
  exitCode: number
  stdout: string
  stderr: string
}

export interface World {
  weir: Weir
  upstream: FakeUpstream
  dataDirectory: string
  /** Of the admin, from admin.kubeconfig. */
  adminToken: string
  /** The log, a line for each record. */
  logged: string[]
  request(path: string, options?: RequestToSend): Promise<Answered>
  /** The API over HTTPS as the admin; answers status and parsed body. */
  api(method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }>
  /** Runs `weir` with the admin's kubeconfig. */
  cli(...argv: string[]): Promise<Ran>
  /** A token for `/v2/`, as a client gets it; without a login as anonymous. */
  pullToken(scope: string, login?: string): Promise<string>
  /** Pulls a manifest of `demo/app` and the like as a client does: challenge, token, manifest. */
  pull(reference: string, login?: string, options?: RequestToSend): Promise<Answered>
  /** Stops Weir and starts it again on the same data and ports, with `config` instead of what it had. */
  restart(config?: Record<string, unknown>): Promise<void>
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const { defer = onTestFinished } = options
  const upstream = await startFakeUpstream({ ...options.upstream, defer })
  const dataDirectory = join(await temporaryDirectory(defer), 'data')
  const logged: string[] = []
  const log = createLog({ level: 'debug', format: 'json' }, { write: (line: string) => void logged.push(line) })
  const start = (config: Record<string, unknown> = {}): Promise<Weir> => {
    const file = { name: 'weir.yaml', text: JSON.stringify({ ...defaults(upstream, dataDirectory), ...config }) }
    const { now, patience } = options
    return startWeir(parseConfig({ file }).config, { log, ...(now && { now }), ...(patience && { patience }) })
  }

  const world: World = {
    weir: await start(options.config),
    upstream,
    dataDirectory,
    adminToken: '',
    logged,
    async request(path, { secure = false, ...sent } = {}) {
      const { port } = secure ? world.weir.https : world.weir.http
      return send(path, sent, { host: '127.0.0.1', port, ...(secure ? { ca: await authorityOf(world.weir) } : {}) })
    },
    async api(method, path, body) {
      const sent = { method, token: world.adminToken, secure: true, ...(body === undefined ? {} : { body }) }
      const answer = await world.request(path, sent)
      return { status: answer.status, body: JSON.parse(answer.body.toString('utf8') || '{}') }
    },
    cli: (...argv) => run(argv, world.weir.adminKubeconfig, dataDirectory),
    async pullToken(scope, login) {
      const { host } = new URL(world.weir.http.publicUrl)
      const query = new URLSearchParams({ service: host, ...(scope === '' ? {} : { scope }) })
      const headers: Record<string, string> =
        login === undefined ? {} : { authorization: `Basic ${Buffer.from(`any:${login}`).toString('base64')}` }
      const answer = await world.request(`/token?${query}`, { headers })
      if (answer.status !== 200) throw new Error(`/token answered ${answer.status}: ${answer.body}`)
      return (JSON.parse(answer.body.toString('utf8')) as { token: string }).token
    },
    async pull(reference, login, sent = {}) {
      const [name = '', at] = reference.split('@')
      const [repository = '', tag = 'latest'] = name.split(':')
      const token = await world.pullToken(`repository:${repository}:pull`, login)
      return world.request(`/v2/${repository}/manifests/${at ?? tag}`, { ...sent, token })
    },
    async restart(config = options.config) {
      const { http, https } = world.weir
      await world.weir.stop(0)
      // The issuer of tokens has the port in it.
      const samePlaces = { listen: `127.0.0.1:${http.port}`, tls: { listen: `127.0.0.1:${https.port}` } }
      world.weir = await start({ ...samePlaces, ...config })
      world.adminToken = await adminTokenOf(world.weir)
    },
  }
  defer(() => world.weir.stop(0))
  world.adminToken = await adminTokenOf(world.weir)
  return world
}

function defaults(upstream: FakeUpstream, data: string): Record<string, unknown> {
  return {
    listen: '127.0.0.1:0',
    tls: { listen: '127.0.0.1:0' },
    data,
    upstreams: [{ host: upstream.host, insecure: true }],
    // Else what is asked of the upstream depends on how far the background is.
    content: { retain: 'pulled' },
  }
}

async function adminTokenOf(weir: Weir): Promise<string> {
  return String(parse(await readFile(weir.adminKubeconfig, 'utf8')).users[0].user.token)
}

async function authorityOf(weir: Weir): Promise<Buffer> {
  const { clusters } = parse(await readFile(weir.adminKubeconfig, 'utf8'))
  return Buffer.from(clusters[0].cluster['certificate-authority-data'], 'base64')
}

async function run(argv: readonly string[], kubeconfig: string, cwd: string): Promise<Ran> {
  const written = { stdout: '', stderr: '' }
  const output = (name: keyof typeof written) => ({
    isTTY: false,
    write: (text: string) => {
      written[name] += text
      return true
    },
  })
  const exitCode = await runCli(argv, {
    stdout: output('stdout'),
    stderr: output('stderr'),
    env: { KUBECONFIG: kubeconfig },
    cwd,
    home: cwd,
  })
  return { exitCode, ...written }
}

function send(
  path: string,
  { method = 'GET', token, headers = {}, body }: RequestToSend,
  to: RequestOptions & { ca?: Buffer },
): Promise<Answered> {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const sent = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(text === body ? {} : { 'content-type': 'application/json' }),
    ...headers,
  }
  const open = to.ca === undefined ? requestHttp : requestHttps
  return new Promise((resolve, reject) => {
    const asked = open({ ...to, path, method, headers: sent, agent: false }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) })
      })
    })
    asked.on('error', reject)
    asked.end(text)
  })
}
