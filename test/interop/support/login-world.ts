import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import { vi } from 'vitest'
import { parse } from 'yaml'
import { createFakeAuthority } from '../../support/fake-upstream-tls.ts'
import type { TestImage } from '../../support/images.ts'
import { startOidc, type TestIssuer } from '../../support/oidc.ts'
import { type DockerEngine, type Login, startDockerEngine } from './clients.ts'
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts'
import { createKubectl, type Kubectl } from './kubectl.ts'
import { realImage } from './real-images.ts'
import { type RunningWeir, startWeir } from './weir.ts'

/**
 * A Weir that knows people by an OIDC issuer and by passwords, jobs by an issuer whose tokens end soon, and the pods of a
 * cluster. `demo/app:prod` and `open/app:prod` are there; who may pull them is the test's to say.
 */
export interface LoginWorld {
  directory: string
  registry: DockerRegistry
  weir: RunningWeir
  engine: DockerEngine
  /** People: the device flow, and tokens of 10 minutes. Called `corp`: `corp:ann` is in `corp:devs`, `corp:eve` in no group. */
  corp: TestIssuer
  /** Jobs: tokens of some seconds, and logins that go on for an hour. Called `jobs`. */
  jobs: TestIssuer
  /** A cluster's service accounts: tokens of some seconds, and no logins that go on. Called `prod`. */
  prod: TestIssuer
  /** The authority of all three, a file. */
  issuersAuthority: string
  /** Of the htpasswd file, by user name. */
  passwords: Readonly<Record<'jane' | 'joe', string>>
  /** Writes the htpasswd file anew; who has the password of before has the hash of before. */
  writePasswords(passwords: Readonly<Record<string, string>>): Promise<void>
  adminToken: string
  /** kubectl in `demo`; `line` is its one line of output. */
  admin: Kubectl & { line(...args: string[]): Promise<string> }
  image: TestImage
  /** A token for pulling and pushing the repository, default `demo/app`, as the login gets it; without a login anonymous'. */
  pullToken(login?: Login, repository?: string): Promise<string>
  /** The same, of a login that goes on where its issuer allows it. */
  offlineToken(login: Login, repository: string): Promise<string>
  /** Waits until a login is refused, its token having ended. */
  hasEnded(login: Login): Promise<void>
  /** What Weir has logged, at debug, and its audit log. */
  logs(): Promise<string>
  /** kubectl with a kubeconfig, in `demo`. */
  kubectl(kubeconfig: string): Promise<Kubectl>
  stop(): Promise<void>
}

const briefSeconds = 10

export async function startLoginWorld(): Promise<LoginWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-logins-'))
  const registry = await startDockerRegistry(directory)
  const image = realImage('app')
  await registry.put('lib/app', image, 'v1')
  const authority = await createFakeAuthority()
  const corp = await startOidc({ authority })
  const jobs = await startOidc({ authority, idTokenSeconds: briefSeconds })
  const prod = await startOidc({ authority, idTokenSeconds: briefSeconds })
  corp.account('ann', { preferred_username: 'ann', groups: ['devs'] })
  corp.account('eve', { preferred_username: 'eve', groups: [] })
  for (const issuer of [jobs, prod]) issuer.account('build', {})
  const issuersAuthority = join(directory, 'issuers.crt')
  await writeFile(issuersAuthority, authority.ca)
  const passwords = { jane: 's3cret:with a colon', joe: 'hunter2-of-joe' }
  const htpasswdFile = join(directory, 'users.htpasswd')
  const hashes = new Map<string, string>()
  const hashOf = (password: string) => hashes.get(password) ?? hashSync(password, 10)
  const writePasswords = async (of: Readonly<Record<string, string>>) => {
    for (const password of Object.values(of)) hashes.set(password, hashOf(password))
    const lines = Object.entries(of).map(([user, password]) => `${user}:${hashOf(password)}\n`)
    await writeFile(`${htpasswdFile}.new`, lines.join(''))
    await rename(`${htpasswdFile}.new`, htpasswdFile)
  }
  await writePasswords(passwords)

  const issuerOf = (name: string, { issuer, clientId }: TestIssuer, more: object) => ({
    name,
    issuer,
    audiences: [clientId],
    certificateAuthorityFile: issuersAuthority,
    ...more,
  })
  const auth = {
    htpasswdFile,
    issuers: [
      issuerOf('corp', corp, {
        clientId: corp.clientId,
        scopes: ['openid', 'groups', 'profile'],
        username: { claim: 'preferred_username' },
        groups: [{ claim: 'groups' }],
      }),
      issuerOf('jobs', jobs, { sessionLifetime: '1h' }),
      issuerOf('prod', prod, { sessionLifetime: '0s' }),
    ],
  }
  const upstreams = [{ host: registry.host, insecure: true }]
  const weir = await startWeir(directory, { upstreams, auth, log: { level: 'debug' } })
  const engine = await startDockerEngine(directory)
  for (const project of ['demo', 'open']) {
    await weir.weir('new-project', project)
    await weir.weir('import-image', `${project}/app:prod`, '--from', `${registry.host}/lib/app:v1`)
  }
  const adminConfig = parse(await readFile(weir.kubeconfig, 'utf8')) as { users: [{ user: { token: string } }] }
  let homes = 0
  const kubectl = async (kubeconfig: string) => {
    homes += 1
    const home = join(directory, `home-${homes}`)
    await mkdir(home, { recursive: true })
    return createKubectl({ kubeconfig, project: 'demo', home })
  }
  const admin = await kubectl(weir.kubeconfig)
  const askToken = (login: Login | undefined, repository: string, more: Record<string, string> = {}) => {
    const query = new URLSearchParams({ service: weir.host, scope: `repository:${repository}:pull,push`, ...more })
    const headers = login === undefined ? {} : { authorization: `Basic ${basic(login)}` }
    return fetch(`${weir.url}/token?${query}`, { headers })
  }
  const tokenOf = async (asked: Promise<Response>) => {
    const answer = await asked
    const body = (await answer.json()) as { token?: string }
    if (body.token === undefined) throw new Error(`/token answered ${answer.status}: ${JSON.stringify(body)}`)
    return body.token
  }
  return {
    directory,
    registry,
    weir,
    engine,
    corp,
    jobs,
    prod,
    issuersAuthority,
    passwords,
    writePasswords,
    adminToken: adminConfig.users[0].user.token,
    admin: Object.assign(admin, { line: async (...args: string[]) => (await admin(...args)).trim() }),
    image,
    pullToken: (login, repository = 'demo/app') => tokenOf(askToken(login, repository)),
    offlineToken: (login, repository) => tokenOf(askToken(login, repository, { offline_token: 'true' })),
    async hasEnded(login) {
      const isRefused = async () => {
        const answer = await askToken(login, 'demo/app')
        await answer.arrayBuffer()
        if (answer.status !== 401) throw new Error(`/token answers ${answer.status} still`)
      }
      await vi.waitFor(isRefused, { timeout: 60_000, interval: 250 })
    },
    logs: async () => {
      const files = [join(directory, 'weir.log'), join(directory, 'data/audit/audit.log')]
      return (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n')
    },
    kubectl,
    async stop() {
      await engine.stop()
      await weir.stop()
      await registry.stop()
      for (const issuer of [corp, jobs, prod]) await issuer.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A login as `Authorization: Basic` has it. */
export function basic({ username, password }: Login): string {
  return Buffer.from(`${username}:${password}`).toString('base64')
}
