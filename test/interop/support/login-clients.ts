import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { goBin } from '../install.ts'
import type { DockerEngine, Login } from './clients.ts'
import { type Finished, run } from './process.ts'

/** A client as a person has it: it logs in, pulls with what it kept of that, and logs out. */
export interface LoginClient {
  name: LoginClientName
  login(host: string, login: Login): Promise<Finished>
  /** Pulls afresh. `digest` is what the client says it pulled, where it says so. */
  pull(reference: string): Promise<Finished & { digest?: string }>
  logout(host: string): Promise<Finished>
  /** What it has kept for the host, as `config.json` has it. */
  kept(host: string): Promise<{ auth?: string; identitytoken?: string } | undefined>
}

export const loginClientNames = ['docker', 'podman', 'skopeo', 'crane'] as const
export type LoginClientName = (typeof loginClientNames)[number]
export type LoginClients = Record<LoginClientName, LoginClient>

/** docker pushes too. */
export interface PushingClient extends LoginClient {
  /** Pushes an image that the engine has, under another name. */
  push(image: string, reference: string): Promise<Finished>
}

/** Each client with nothing kept, in a directory of its own. */
export function loginClients(directory: string, engine: DockerEngine): LoginClients & { docker: PushingClient } {
  return {
    docker: docker(join(directory, 'docker'), engine),
    podman: podman(join(directory, 'podman')),
    skopeo: skopeo(join(directory, 'skopeo')),
    crane: crane(join(directory, 'crane')),
  }
}

function docker(home: string, engine: DockerEngine): PushingClient {
  const as = (args: readonly string[], input?: string) => engine.docker(['--config', home, ...args], input)
  return {
    name: 'docker',
    login: (host, { username, password }) => as(['login', host, '-u', username, '--password-stdin'], password),
    pull: async (reference) => {
      await engine.docker(['image', 'prune', '--all', '--force'])
      return withDigest(await as(['pull', reference]))
    },
    push: async (image, reference) => {
      await engine.docker(['tag', image, reference])
      return as(['push', reference])
    },
    logout: (host) => as(['logout', host]),
    kept: (host) => readKept(join(home, 'config.json'), host),
  }
}

function podman(home: string): LoginClient {
  const authFile = join(home, 'auth.json')
  const env = { REGISTRY_AUTH_FILE: authFile }
  const storage = ['--root', join(home, 'root'), '--runroot', join(home, 'run'), '--storage-driver', 'vfs']
  const podmanRun = async (args: readonly string[], input?: string) => {
    await makeAuthFile(authFile)
    return run('podman', [...storage, ...args], { env, ...(input === undefined ? {} : { input }) })
  }
  return {
    name: 'podman',
    login: (host, { username, password }) =>
      podmanRun(['login', '--tls-verify=false', '-u', username, '--password-stdin', host], password),
    pull: async (reference) => {
      await podmanRun(['rmi', '--all', '--force'])
      const pulled = await podmanRun(['pull', '--tls-verify=false', reference])
      if (pulled.code !== 0) return pulled
      return withDigest(await podmanRun(['image', 'inspect', '--format', '{{.Digest}}', reference]))
    },
    logout: (host) => podmanRun(['logout', host]),
    kept: (host) => readKept(authFile, host),
  }
}

function skopeo(home: string): LoginClient {
  const authFile = join(home, 'auth.json')
  const env = { REGISTRY_AUTH_FILE: authFile }
  return {
    name: 'skopeo',
    login: async (host, { username, password }) => {
      await mkdir(home, { recursive: true })
      return run('skopeo', ['login', '--tls-verify=false', '-u', username, '--password-stdin', host], {
        env,
        input: password,
      })
    },
    pull: async (reference) => {
      const target = join(home, 'pulled')
      await rm(target, { recursive: true, force: true })
      await mkdir(home, { recursive: true })
      const digestFile = join(home, 'digest')
      const copied = await run(
        'skopeo',
        ['copy', '--src-tls-verify=false', '--digestfile', digestFile, `docker://${reference}`, `dir:${target}`],
        { env },
      )
      return copied.code === 0 ? withDigest({ ...copied, stdout: await readFile(digestFile, 'utf8') }) : copied
    },
    logout: (host) => run('skopeo', ['logout', host], { env }),
    kept: (host) => readKept(authFile, host),
  }
}

function crane(home: string): LoginClient {
  const program = join(goBin, 'crane')
  const env = { DOCKER_CONFIG: home }
  return {
    name: 'crane',
    login: (host, { username, password }) =>
      run(program, ['auth', 'login', host, '-u', username, '--password-stdin'], { env, input: password }),
    pull: async (reference) => {
      const target = join(home, 'pulled')
      await rm(target, { recursive: true, force: true })
      await mkdir(home, { recursive: true })
      const pulled = await run(program, ['pull', '--insecure', '--format=oci', reference, target], { env })
      return pulled.code === 0 ? withDigest(await run(program, ['digest', '--insecure', reference], { env })) : pulled
    },
    logout: (host) => run(program, ['auth', 'logout', host], { env }),
    kept: (host) => readKept(join(home, 'config.json'), host),
  }
}

// podman wants the file that it is told of to be there.
async function makeAuthFile(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  if (!existsSync(file)) await writeFile(file, '{}')
}

async function readKept(file: string, host: string): ReturnType<LoginClient['kept']> {
  const text = await readFile(file, 'utf8').catch(() => '{}')
  return (JSON.parse(text) as { auths?: Record<string, { auth?: string; identitytoken?: string }> }).auths?.[host]
}

function withDigest(finished: Finished): Finished & { digest?: string } {
  const digest = /sha256:[a-f0-9]{64}/.exec(finished.stdout)?.[0]
  return digest === undefined ? finished : { ...finished, digest }
}
