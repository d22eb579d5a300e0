import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type DockerRegistry, startDockerRegistry } from '../interop/support/docker-registry.ts'
import { must } from '../interop/support/process.ts'
import { startWeir } from '../interop/support/weir.ts'
import type { Blob, Door, StaticUpstream } from './blobs-upstream.ts'

export const proxyName = 'docker-registry (proxy)'

/** A server that gives blobs of the upstream out. */
export interface Contestant {
  name: string
  pid: number
  authorization: string | undefined
  urlOf(blob: Blob): string
  /** Makes it willing to serve the blob, without having it. */
  admit(blob: Blob): Promise<void>
  /** Whether it has the blob whole on its own disk. */
  keeps(blob: Blob): Promise<boolean>
  /** Takes the file away from under it: nobody asks for the blob again. */
  forget(blob: Blob): Promise<void>
  stop(): Promise<void>
}

export interface WeirContestant extends Contestant {
  /** Starts it again, on its data: what it knew in memory alone is gone. */
  restart(): Promise<void>
}

/** Weir as pull-through of the upstream's door, its token checked on each request; it fetches what is pulled, nothing else. */
export async function startWeirContestant(directory: string, door: Door): Promise<WeirContestant> {
  await mkdir(directory, { recursive: true })
  const config = {
    upstreams: [{ host: door.host, insecure: true }],
    auth: { tokenLifetime: '1d' },
    content: { retain: 'pulled' },
  }
  let weir = await startWeir(directory, config)
  await weir.weir('new-project', 'demo')
  const password = (await weir.weir('token', 'ci', '-n', 'demo')).trim()
  await weir.weir('grant', 'pull', 'serviceaccount:ci', '-n', 'demo')
  const query = `service=${encodeURIComponent(weir.host)}&scope=repository:demo/app:pull`
  const login = `Basic ${Buffer.from(`ci:${password}`).toString('base64')}`
  const token = async (): Promise<string> => {
    const answer = await fetch(`${weir.url}/token?${query}`, { headers: { authorization: login } })
    return ((await answer.json()) as { token: string }).token
  }
  const fileOf = ({ digest }: Blob) => join(directory, 'data/content/blobs', ...digest.split(':'))
  let authorization: string | undefined
  return {
    name: 'weir',
    get pid() {
      return weir.pid
    },
    get authorization() {
      return authorization
    },
    urlOf: ({ digest }) => `${weir.url}/v2/demo/app/blobs/${digest}`,
    async admit({ tag }) {
      await weir.weir('import-image', `demo/app:${tag}`, '--from', `${door.host}/lib/app:${tag}`)
      authorization ??= `Bearer ${await token()}`
    },
    keeps: (blob) => isWhole(fileOf(blob), blob),
    forget: (blob) => rm(fileOf(blob), { force: true }),
    stop: () => weir.stop(),
    async restart() {
      await weir.stop()
      weir = await startWeir(directory, config, weir.ports)
    },
  }
}

/** docker-registry as a pull-through cache of the upstream's door. */
export async function startProxyContestant(directory: string, door: Door): Promise<Contestant> {
  await mkdir(directory, { recursive: true })
  const registry = await startDockerRegistry(directory, { proxyTo: door.url })
  return { ...registryContestant(directory, registry, proxyName), admit: async () => undefined }
}

/** The two that can have a blob of the upstream which they have not got yet. */
export async function startCaches(directory: string, door: Door): Promise<Contestant[]> {
  const weir = await startWeirContestant(join(directory, 'weir'), door)
  return [weir, await orStop([weir], startProxyContestant(join(directory, 'proxy'), door))]
}

/** Starts one more; when that fails, those that run are stopped: processes outlive who started them. */
export async function orStop<T>(running: readonly Contestant[], start: Promise<T>): Promise<T> {
  try {
    return await start
  } catch (error) {
    for (const one of running) await one.stop()
    throw error
  }
}

/** docker-registry as a registry: what it admits is pushed to it. */
export async function startRegistryContestant(directory: string, upstream: StaticUpstream): Promise<Contestant> {
  await mkdir(directory, { recursive: true })
  const registry = await startDockerRegistry(directory)
  return {
    ...registryContestant(directory, registry, 'docker-registry'),
    async admit({ digest }) {
      const opened = await fetch(`${registry.url}/v2/lib/app/blobs/uploads/`, { method: 'POST' })
      const location = new URL(opened.headers.get('location') ?? '', registry.url)
      location.searchParams.set('digest', digest)
      const file = upstream.fileOf(digest)
      await must('curl', [
        '-sSf',
        '-X',
        'PUT',
        '-T',
        file,
        '-H',
        'Content-Type: application/octet-stream',
        location.href,
      ])
    },
  }
}

function registryContestant(directory: string, registry: DockerRegistry, name: string): Omit<Contestant, 'admit'> {
  const folderOf = ({ digest }: Blob): string => {
    const hex = digest.slice('sha256:'.length)
    return join(directory, 'registry/docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex)
  }
  return {
    name,
    pid: registry.pid,
    authorization: undefined,
    urlOf: ({ digest }) => `${registry.url}/v2/lib/app/blobs/${digest}`,
    keeps: (blob) => isWhole(join(folderOf(blob), 'data'), blob),
    forget: (blob) => rm(folderOf(blob), { recursive: true, force: true }),
    stop: () => registry.stop(),
  }
}

/** nginx with static files, which the upstream itself is. */
export function staticContestant(upstream: StaticUpstream): Contestant {
  return {
    name: 'nginx',
    pid: upstream.pid,
    authorization: undefined,
    urlOf: ({ digest }) => `${upstream.fast.url}/v2/lib/app/blobs/${digest}`,
    admit: async () => undefined,
    keeps: async () => true,
    forget: async () => undefined,
    stop: async () => undefined,
  }
}

async function isWhole(path: string, { bytes }: Blob): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found?.size === bytes
}
