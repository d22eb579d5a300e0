/** Clients that push images, each with nothing but what it is told: a login of its own, an empty store. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { goBin } from '../install.ts'
import {
  type Containerd,
  craneClient,
  type DockerEngine,
  dockerClient,
  type Login,
  type PullClient,
  podmanClient,
  skopeoClient,
} from './clients.ts'
import { type Laid, layoutTag } from './oci-layout.ts'
import { type Finished, must, run } from './process.ts'

/** What a client pushed: `digest` is the one that it says, or the image's own where it pushes that byte for byte. */
export type Pushed = Finished & { digest?: string }

export interface PushClient extends PullClient {
  /** Whether it pushes the bytes that it is given, or makes its own manifest of what they hold. */
  isExact: boolean
  /** Whether it pushes an index with all its platforms. */
  pushesIndexes: boolean
  push(laid: Laid, reference: string, login: Login): Promise<Pushed>
}

/** `user:password`, as most take it. */
const credentials = ({ username, password }: Login): string => `${username}:${password}`

export function dockerPusher(engine: DockerEngine, directory: string): PushClient {
  let pushes = 0
  return {
    ...dockerClient(engine),
    isExact: false,
    pushesIndexes: false,
    async push(laid, reference, login) {
      pushes += 1
      const archive = join(directory, `docker-push-${pushes}.tar`)
      // The engine's own format: what `docker save` writes.
      await must('skopeo', ['copy', `oci:${laid.directory}:${layoutTag}`, `docker-archive:${archive}:${reference}`])
      const loaded = await engine.docker(['load', '-i', archive])
      if (loaded.code !== 0) return loaded
      const host = reference.slice(0, reference.indexOf('/'))
      const loggedIn = await engine.docker(['login', host, '-u', login.username, '--password-stdin'], login.password)
      if (loggedIn.code !== 0) return loggedIn
      return withDigest(await engine.docker(['push', reference]))
    },
  }
}

export function podmanPusher(directory: string): PushClient {
  let pushes = 0
  return {
    ...podmanClient(directory),
    isExact: false,
    pushesIndexes: false,
    async push(laid, reference, login) {
      pushes += 1
      const root = join(directory, `podman-push-${pushes}`)
      const podman = (...args: string[]) =>
        run('podman', [
          '--root',
          join(root, 'root'),
          '--runroot',
          join(root, 'run'),
          '--storage-driver',
          'vfs',
          ...args,
        ])
      await intoStorage(laid, root)
      const digestFile = join(root, 'digest')
      const how = ['--tls-verify=false', '--creds', credentials(login), '--digestfile', digestFile]
      return withDigestOf(digestFile, await podman('push', ...how, inStorage, `docker://${reference}`))
    },
  }
}

const inStorage = 'localhost/laid:fixture'

/** Puts an image where podman and buildah have theirs. */
async function intoStorage(laid: Laid, root: string): Promise<void> {
  const storage = `containers-storage:[vfs@${join(root, 'root')}+${join(root, 'run')}]`
  await must('skopeo', ['copy', `oci:${laid.directory}:${layoutTag}`, `${storage}${inStorage}`])
}

/** buildah makes an image of a file, commits and pushes it, and pulls. */
export function buildahPusher(directory: string): PushClient {
  let runs = 0
  const fresh = async () => {
    runs += 1
    const root = join(directory, `buildah-${runs}`)
    await mkdir(root, { recursive: true })
    const storage = ['--root', join(root, 'root'), '--runroot', join(root, 'run'), '--storage-driver', 'vfs']
    return { root, buildah: (...args: string[]) => run('buildah', [...storage, ...args]) }
  }
  return {
    name: 'buildah',
    isExact: false,
    pushesIndexes: false,
    version: async () => (await must('buildah', ['--version'])).trim(),
    async push(laid, reference, login) {
      const { root, buildah } = await fresh()
      await intoStorage(laid, root)
      const from = await buildah('from', '--pull-never', inStorage)
      if (from.code !== 0) return from
      const container = from.stdout.trim()
      const file = join(root, 'built.txt')
      await writeFile(file, `built on ${laid.image.manifest.digest}\n`)
      for (const step of [
        ['copy', container, file, '/built.txt'],
        ['commit', container, 'built'],
      ]) {
        const done = await buildah(...step)
        if (done.code !== 0) return done
      }
      const digestFile = join(root, 'digest')
      const how = ['--tls-verify=false', '--creds', credentials(login), '--digestfile', digestFile]
      return withDigestOf(digestFile, await buildah('push', ...how, 'built', `docker://${reference}`))
    },
    async pull(reference, login) {
      const { buildah } = await fresh()
      const how = login === undefined ? [] : ['--creds', credentials(login)]
      const pulled = await buildah('pull', '--tls-verify=false', ...how, reference)
      if (pulled.code !== 0) return pulled
      return withDigest(await buildah('inspect', '--type', 'image', '--format', '{{.FromImageDigest}}', reference))
    },
  }
}

export function skopeoPusher(directory: string): PushClient {
  return {
    ...skopeoClient(directory),
    isExact: true,
    pushesIndexes: true,
    async push(laid, reference, login) {
      const digestFile = join(directory, 'skopeo-push.digest')
      await rm(digestFile, { force: true })
      const how = ['--all', '--preserve-digests', '--digestfile', digestFile, '--dest-tls-verify=false']
      const from = `oci:${laid.directory}:${layoutTag}`
      return withDigestOf(
        digestFile,
        await run('skopeo', ['copy', ...how, '--dest-creds', credentials(login), from, `docker://${reference}`]),
      )
    },
  }
}

export function containerdPusher(containerd: Containerd): PushClient {
  return {
    ...containerd.client,
    isExact: true,
    pushesIndexes: true,
    async push(laid, reference, login) {
      const local = 'laid.example/laid'
      await containerd.ctr(['images', 'rm', `${local}:${layoutTag}`])
      const how = ['--all-platforms', '--no-unpack', '--base-name', local]
      const imported = await containerd.ctr(['images', 'import', ...how, laid.archive])
      if (imported.code !== 0) return imported
      const as = ['--plain-http', '--user', credentials(login)]
      const pushed = await containerd.ctr(['images', 'push', ...as, reference, `${local}:${layoutTag}`])
      return { ...pushed, digest: laid.image.manifest.digest }
    },
  }
}

export function cranePusher(directory: string): PushClient {
  const program = join(goBin, 'crane')
  return {
    ...craneClient(directory),
    isExact: true,
    pushesIndexes: true,
    async push(laid, reference, login) {
      const env = { DOCKER_CONFIG: await dockerConfig(join(directory, 'crane-push'), reference, login) }
      return withDigest(await run(program, ['push', '--insecure', laid.directory, reference], { env }))
    },
  }
}

export function orasPusher(directory: string): PushClient {
  const program = join(goBin, 'oras')
  let pulls = 0
  return {
    name: 'oras',
    isExact: true,
    pushesIndexes: true,
    version: async () => `oras ${/Version:\s+(\S+)/.exec(await must(program, ['version']))?.[1]}`,
    async push(laid, reference, login) {
      const configFile = await configFileOf(join(directory, 'oras-push'), reference, login)
      const from = `${laid.directory}:${layoutTag}`
      const how = ['--from-oci-layout', '--to-plain-http', '--to-registry-config', configFile]
      return withDigest(await run(program, ['copy', ...how, from, reference]))
    },
    async pull(reference, login) {
      pulls += 1
      const configFile = await configFileOf(join(directory, `oras-pull-${pulls}`), reference, login)
      const how = ['--to-oci-layout', '--from-plain-http', '--from-registry-config', configFile]
      return withDigest(await run(program, ['copy', ...how, reference, `${join(directory, `oras-${pulls}`)}:pulled`]))
    },
  }
}

export function regctlPusher(directory: string): PushClient {
  const program = join(goBin, 'regctl')
  let runs = 0
  const fresh = async (reference: string, login?: Login) => {
    runs += 1
    const home = join(directory, `regctl-${runs}`)
    const env = { DOCKER_CONFIG: await dockerConfig(home, reference, login), REGCTL_CONFIG: join(home, 'regctl.json') }
    const host = `reg=${reference.slice(0, reference.indexOf('/'))},tls=disabled`
    return { home, regctl: (...args: string[]) => run(program, ['--host', host, ...args], { env }) }
  }
  return {
    name: 'regctl',
    isExact: true,
    pushesIndexes: true,
    version: async () => `regctl ${/VCSTag:\s+(\S+)/.exec(await must(program, ['version']))?.[1]}`,
    async push(laid, reference, login) {
      const { regctl } = await fresh(reference, login)
      const copied = await regctl('image', 'copy', `ocidir://${laid.directory}:${layoutTag}`, reference)
      return copied.code === 0 ? withDigest(await regctl('image', 'digest', reference)) : copied
    },
    async pull(reference, login) {
      const { home, regctl } = await fresh(reference, login)
      const copied = await regctl('image', 'copy', reference, `ocidir://${join(home, 'pulled')}:pulled`)
      return copied.code === 0 ? withDigest(await regctl('image', 'digest', reference)) : copied
    },
  }
}

/** A folder with a `config.json` as `docker login` writes it; answers the folder. */
export async function dockerConfig(directory: string, reference: string, login?: Login): Promise<string> {
  await mkdir(directory, { recursive: true })
  const host = reference.slice(0, reference.indexOf('/'))
  const auths = login === undefined ? {} : { [host]: { auth: Buffer.from(credentials(login)).toString('base64') } }
  await writeFile(join(directory, 'config.json'), JSON.stringify({ auths }))
  return directory
}

const configFileOf = async (directory: string, reference: string, login?: Login): Promise<string> =>
  join(await dockerConfig(directory, reference, login), 'config.json')

/** The last digest that a client printed. */
export function withDigest(finished: Finished): Pushed {
  const digest = finished.stdout.match(/sha256:[a-f0-9]{64}/g)?.at(-1)
  return digest === undefined ? finished : { ...finished, digest }
}

async function withDigestOf(file: string, finished: Finished): Promise<Pushed> {
  return finished.code === 0 ? withDigest({ ...finished, stdout: await readFile(file, 'utf8') }) : finished
}
