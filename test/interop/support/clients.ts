import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { goBin } from '../install.ts'
import { type Finished, must, run, type Service, startService } from './process.ts'

/** A login; absent means anonymous. */
export interface Login {
  username: string
  password: string
}

/** What a client is asked: pull this reference and say which digest came. */
export interface PullClient {
  name: string
  version(): Promise<string>
  /** Pulls `reference` afresh, with its own empty store. `digest` is what the client says it pulled, where it says so. */
  pull(reference: string, login?: Login): Promise<Finished & { digest?: string }>
}

/** The Docker engine of this machine with its own data directory, spoken to by the docker client. */
export interface DockerEngine extends Service {
  docker(args: readonly string[], input?: string): Promise<Finished>
}

let engines = 0

/** Starts dockerd without bridge, iptables and containers: it pulls and pushes. */
export async function startDockerEngine(directory: string): Promise<DockerEngine> {
  engines += 1
  const root = join(directory, `docker-${engines}`)
  await mkdir(join(root, 'config'), { recursive: true })
  const socket = `unix://${join(root, 'engine.sock')}`
  const env = { DOCKER_HOST: socket, DOCKER_CONFIG: join(root, 'config') }
  const docker = (args: readonly string[], input?: string): Promise<Finished> =>
    run('docker', args, { env, ...(input === undefined ? {} : { input }) })
  const service = await startService(
    'dockerd',
    [
      '--iptables=false',
      '--ip6tables=false',
      '--bridge=none',
      '--ip-forward=false',
      '--storage-driver=vfs',
      '--data-root',
      join(root, 'data'),
      '--exec-root',
      join(root, 'exec'),
      '--pidfile',
      join(root, 'engine.pid'),
      '-H',
      socket,
    ],
    { logFile: join(root, 'engine.log'), ready: async () => (await docker(['version'])).code === 0, timeoutMs: 60_000 },
  )
  return { ...service, docker }
}

/** `docker pull` through an engine. */
export function dockerClient(engine: DockerEngine): PullClient {
  return {
    name: 'docker',
    version: async () =>
      `docker ${(await engine.docker(['version', '--format', '{{.Client.Version}}, engine {{.Server.Version}}'])).stdout.trim()}`,
    pull: async (reference, login) => {
      const host = reference.slice(0, reference.indexOf('/'))
      await engine.docker(['logout', host])
      await engine.docker(['image', 'prune', '--all', '--force'])
      if (login !== undefined) {
        const loggedIn = await engine.docker(['login', host, '-u', login.username, '--password-stdin'], login.password)
        if (loggedIn.code !== 0) return loggedIn
      }
      return withDigest(await engine.docker(['pull', reference]), /Digest: (sha256:[a-f0-9]{64})/)
    },
  }
}

/** podman with its own storage. */
export function podmanClient(directory: string): PullClient {
  let pulls = 0
  return {
    name: 'podman',
    version: async () => (await must('podman', ['--version'])).trim(),
    pull: async (reference, login) => {
      pulls += 1
      const root = join(directory, `podman-${pulls}`)
      const storage = ['--root', join(root, 'root'), '--runroot', join(root, 'run'), '--storage-driver', 'vfs']
      const credentials = login === undefined ? [] : ['--creds', `${login.username}:${login.password}`]
      const pulled = await run('podman', [...storage, 'pull', '--tls-verify=false', ...credentials, reference], {
        env: { REGISTRY_AUTH_FILE: await emptyAuthFile(directory) },
      })
      if (pulled.code !== 0) return pulled
      return withDigest(
        await run('podman', [...storage, 'image', 'inspect', '--format', '{{.Digest}}', reference]),
        /(sha256:[a-f0-9]{64})/,
      )
    },
  }
}

/** skopeo, copying everything (every platform) into a directory. */
export function skopeoClient(directory: string): PullClient {
  let pulls = 0
  return {
    name: 'skopeo',
    version: async () => (await must('skopeo', ['--version'])).trim(),
    pull: async (reference, login) => {
      pulls += 1
      const credentials =
        login === undefined ? ['--src-no-creds'] : ['--src-creds', `${login.username}:${login.password}`]
      const target = `dir:${join(directory, `skopeo-${pulls}`)}`
      const digestFile = join(directory, `skopeo-${pulls}.digest`)
      const env = { REGISTRY_AUTH_FILE: await emptyAuthFile(directory) }
      const copied = await run(
        'skopeo',
        [
          'copy',
          '--all',
          '--preserve-digests',
          '--digestfile',
          digestFile,
          '--src-tls-verify=false',
          ...credentials,
          `docker://${reference}`,
          target,
        ],
        { env },
      )
      if (copied.code !== 0) return copied
      return withDigest({ ...copied, stdout: await must('cat', [digestFile]) }, /(sha256:[a-f0-9]{64})/)
    },
  }
}

/** containerd's resolver and fetcher, as the kubelet uses them, through `ctr`. */
export interface Containerd extends Service {
  client: PullClient
  ctr(args: readonly string[]): Promise<Finished>
}

/** Starts a containerd of its own. */
export async function startContainerd(directory: string): Promise<Containerd> {
  const root = join(directory, 'containerd')
  await mkdir(root, { recursive: true })
  const address = join(root, 'containerd.sock')
  const config = join(root, 'config.toml')
  await writeFile(
    config,
    `version = 2\nroot = "${join(root, 'root')}"\nstate = "${join(root, 'state')}"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "${address}"\n`,
  )
  const ctr = (args: readonly string[]): Promise<Finished> => run('ctr', ['-a', address, ...args])
  const service = await startService('containerd', ['-c', config], {
    logFile: join(root, 'log'),
    ready: async () => (await ctr(['version'])).code === 0,
  })
  return {
    ...service,
    ctr,
    client: {
      name: 'ctr',
      version: async () => (await must('ctr', ['--version'])).trim(),
      pull: async (reference, login) => {
        await ctr(['images', 'rm', reference])
        const user = login === undefined ? [] : ['-u', `${login.username}:${login.password}`]
        const fetched = await ctr(['content', 'fetch', '--plain-http', '--all-platforms', ...user, reference])
        if (fetched.code !== 0) return fetched
        return withDigest(await ctr(['images', 'ls', `name==${reference}`]), /(sha256:[a-f0-9]{64})/)
      },
    },
  }
}

/** crane, which pulls every platform into an OCI layout. */
export function craneClient(directory: string): PullClient {
  const crane = join(goBin, 'crane')
  let pulls = 0
  return {
    name: 'crane',
    version: async () => `crane ${(await must(crane, ['version'])).trim()}`,
    pull: async (reference, login) => {
      pulls += 1
      const configDirectory = join(directory, `crane-config-${pulls}`)
      await mkdir(configDirectory, { recursive: true })
      const auths =
        login === undefined
          ? {}
          : {
              [reference.slice(0, reference.indexOf('/'))]: {
                auth: Buffer.from(`${login.username}:${login.password}`).toString('base64'),
              },
            }
      await writeFile(join(configDirectory, 'config.json'), JSON.stringify({ auths }))
      const env = { DOCKER_CONFIG: configDirectory }
      const pulled = await run(
        crane,
        ['pull', '--insecure', '--format=oci', reference, join(directory, `crane-${pulls}`)],
        { env },
      )
      if (pulled.code !== 0) return pulled
      return withDigest(await run(crane, ['digest', '--insecure', reference], { env }), /(sha256:[a-f0-9]{64})/)
    },
  }
}

async function emptyAuthFile(directory: string): Promise<string> {
  const file = join(directory, 'no-auth.json')
  await writeFile(file, '{"auths":{}}')
  return file
}

function withDigest(finished: Finished, pattern: RegExp): Finished & { digest?: string } {
  const digest = pattern.exec(finished.stdout)?.[1]
  return digest === undefined ? finished : { ...finished, digest }
}
