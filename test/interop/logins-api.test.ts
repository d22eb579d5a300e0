/** weir login by token, password and device flow: kubectl and weir go on with the kubeconfig; oc logs in by token. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type LoginWorld, startLoginWorld } from './support/login-world.ts'
import { createOc } from './support/oc.ts'
import { projectApi, userSelf } from './support/oc-commands.ts'
import { type Finished, run } from './support/process.ts'

const main = resolve(import.meta.dirname, '../../src/main.js')

let world: LoginWorld
/** Of Weir and of the issuers. */
let authorities: string

beforeAll(async () => {
  world = await startLoginWorld()
  const { admin, weir, issuersAuthority } = world
  await admin('create', 'serviceaccount', 'ci')
  const subjects = ['--user=jane', '--user=jobs:build', '--group=corp:devs', '--serviceaccount=demo:ci']
  await admin('create', 'rolebinding', 'viewers', '--clusterrole=view', ...subjects)
  authorities = join(world.directory, 'authorities.crt')
  const files = [join(weir.directory, 'data/tls/ca.crt'), issuersAuthority]
  await writeFile(authorities, (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n'))
})
afterAll(() => world?.stop())

let kubeconfigs = 0
const newKubeconfig = () => {
  kubeconfigs += 1
  return join(world.directory, `login-${kubeconfigs}.kubeconfig`)
}

const loginArguments = (kubeconfig: string, ...more: string[]) => [
  main,
  'login',
  world.weir.apiUrl,
  '--kubeconfig',
  kubeconfig,
  '--certificate-authority',
  authorities,
  ...more,
]

function login(kubeconfig: string, more: readonly string[], input?: string): Promise<Finished> {
  const args = loginArguments(kubeconfig, ...more)
  return run(process.execPath, args, { cwd: world.directory, ...(input === undefined ? {} : { input }) })
}

/** The browser of the person is the test's: `decide` is told the code that she would enter. */
async function loginByDevice(kubeconfig: string, decide: (code: string) => Promise<void>): Promise<Finished> {
  const child = spawn(process.execPath, loginArguments(kubeconfig, '--issuer', 'corp'), { cwd: world.directory })
  const ended = once(child, 'exit')
  const written = { stdout: '', stderr: '' }
  child.stdin.end()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      written[name] += text
    })
  }
  const code = await vi.waitFor(
    () => {
      const [, shown] = /enter the code (\S+)/.exec(written.stderr) ?? []
      if (shown === undefined) throw new Error(`no code is shown: ${written.stderr}`)
      return shown
    },
    { timeout: 30_000 },
  )
  await decide(code)
  await ended
  return { code: child.exitCode ?? 1, ...written }
}

interface Way {
  logIn(kubeconfig: string): Promise<Finished>
  user: string
  groups: string[]
}

const ways: Record<string, Way> = {
  "a robot's token": {
    logIn: async (kubeconfig) => login(kubeconfig, ['--token', await world.admin.line('create', 'token', 'ci')]),
    user: 'system:serviceaccount:demo:ci',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:demo', 'system:authenticated'],
  },
  'a password': {
    logIn: (kubeconfig) => login(kubeconfig, ['--username', 'jane', '--password-stdin'], world.passwords.jane),
    user: 'jane',
    groups: ['system:authenticated'],
  },
  'an identity token': {
    logIn: async (kubeconfig) => login(kubeconfig, ['--token', await world.corp.login('ann')]),
    user: 'corp:ann',
    groups: ['corp:devs', 'system:authenticated'],
  },
  'the device flow': {
    logIn: (kubeconfig) => loginByDevice(kubeconfig, (code) => world.corp.approve(code, 'ann')),
    user: 'corp:ann',
    groups: ['corp:devs', 'system:authenticated'],
  },
}

describe.each(Object.keys(ways))('weir login with %s', (name) => {
  test('writes a kubeconfig that kubectl and weir use, as far as the rights go', async () => {
    const { logIn, user, groups } = ways[name] as Way
    const kubeconfig = newKubeconfig()
    const loggedIn = await logIn(kubeconfig)
    expect(loggedIn, loggedIn.stderr).toMatchObject({
      code: 0,
      stdout: `logged in to ${world.weir.apiUrl} as ${user}\n`,
    })
    const kubectl = await world.kubectl(kubeconfig)
    expect((await kubectl.json('auth', 'whoami')).status.userInfo).toMatchObject({ username: user, groups })
    expect(await kubectl('get', 'is', '-o', 'name')).toBe('imagestream.image.openshift.io/app\n')
    expect(await kubectl('auth', 'can-i', 'get', 'imagestreams/layers')).toBe('yes\n')
    const denied = `imagestreams.image.openshift.io "app" is forbidden: User "${user}" cannot delete resource "imagestreams"`
    expect(await kubectl.fails('delete', 'is', 'app')).toContain(denied)
    expect(await kubectl.fails('get', 'is', '-n', 'open')).toContain(`User "${user}" cannot list resource`)
    const whoami = await run(process.execPath, [main, 'whoami', '--kubeconfig', kubeconfig])
    expect(whoami.stdout.trim()).toBe(user)
  })
})

describe('weir login is refused, and writes nothing,', () => {
  const refusals: Record<string, { logIn(kubeconfig: string): Promise<Finished>; says: string }> = {
    'with a wrong password': {
      logIn: (kubeconfig) => login(kubeconfig, ['--username', 'joe', '--password-stdin'], 'guessed'),
      says: 'the user name or the password is wrong',
    },
    'with a token that is none': {
      logIn: (kubeconfig) => login(kubeconfig, ['--token', 'nonsense']),
      says: 'Unauthorized',
    },
    'with an identity token for another audience': {
      logIn: async (kubeconfig) => {
        const token = await world.corp.sign({ sub: 'ann', aud: 'other.test', preferred_username: 'ann' })
        return login(kubeconfig, ['--token', token])
      },
      says: 'the token of corp is not valid for this',
    },
    'when she says at the issuer that it was not she': {
      logIn: (kubeconfig) => loginByDevice(kubeconfig, (code) => world.corp.refuse(code)),
      says: `the login at ${'ISSUER'} was refused`,
    },
    'without an authority that signed the server’s certificate': {
      logIn: (kubeconfig) => {
        const args = [main, 'login', world.weir.apiUrl, '--kubeconfig', kubeconfig, '--token', 'x.y.z']
        return run(process.execPath, args, { cwd: world.directory })
      },
      says: 'certificate',
    },
  }

  test.each(Object.keys(refusals))('%s', async (name) => {
    const { logIn, says } = refusals[name] as (typeof refusals)[string]
    const kubeconfig = newKubeconfig()
    const refused = await logIn(kubeconfig)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain(says.replace('ISSUER', world.corp.issuer))
    await expect(readFile(kubeconfig)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('a login for the API', () => {
  test('by a token that ends soon goes on after its end', async () => {
    const kubeconfig = newKubeconfig()
    const password = await world.jobs.login('build')
    expect(await login(kubeconfig, ['--token', password])).toMatchObject({ code: 0 })
    const bearer = await createOc(world.weir.kubeconfig, { token: password })
    await world.hasEnded({ username: 'build', password })
    expect((await bearer.send({ method: 'GET', path: userSelf })).status).toBe(401)
    const kubectl = await world.kubectl(kubeconfig)
    expect(await kubectl('get', 'is', '-o', 'name')).toBe('imagestream.image.openshift.io/app\n')
  })

  test.each(['weir logout', 'kubectl delete session', 'weir logout --session of the admin'])(
    'ends at once by %s',
    async (way) => {
      const kubeconfig = newKubeconfig()
      await login(kubeconfig, ['--username', 'jane', '--password-stdin'], world.passwords.jane)
      const kept = newKubeconfig()
      await writeFile(kept, await readFile(kubeconfig))
      const jane = await world.kubectl(kept)
      const { items } = await jane.json('get', 'sessions')
      const [{ metadata }] = items.toSorted(byAge)
      if (way === 'weir logout') await run(process.execPath, [main, 'logout', '--kubeconfig', kubeconfig])
      else if (way === 'kubectl delete session') await jane('delete', 'session', metadata.name, '--wait=false')
      else await world.weir.weir('logout', '--session', metadata.name)
      expect(await jane.fails('get', 'is')).toContain('You must be logged in to the server')
    },
  )

  test('shows everybody his own sessions alone, and lets nobody end those of others', async () => {
    const [jane, ann] = [newKubeconfig(), newKubeconfig()]
    await login(jane, ['--username', 'jane', '--password-stdin'], world.passwords.jane)
    await login(ann, ['--token', await world.corp.login('ann')])
    const [asJane, asAnn] = [await world.kubectl(jane), await world.kubectl(ann)]
    const [own] = (await asAnn.json('get', 'sessions')).items
    expect((await asJane.json('get', 'sessions')).items.map(userOf)).not.toContain('corp:ann')
    const refused = await asJane.fails('delete', 'session', own.metadata.name)
    expect(refused).toContain('User "jane" cannot delete resource "sessions"')
    const absent = await asJane.fails('delete', 'session', 'nope')
    expect(refused.replaceAll(own.metadata.name, 'nope')).toBe(absent)
    expect(await asAnn('get', 'is', '-o', 'name')).toContain('app')
  })
})

describe('oc login --token', () => {
  const tokens: Record<string, { token(): Promise<string>; user: string }> = {
    'an identity token': { token: () => world.corp.login('ann'), user: 'corp:ann' },
    "a robot's token": {
      token: () => world.admin.line('create', 'token', 'ci'),
      user: 'system:serviceaccount:demo:ci',
    },
    'a token of weir login': {
      token: async () => {
        const kubeconfig = newKubeconfig()
        await login(kubeconfig, ['--username', 'jane', '--password-stdin'], world.passwords.jane)
        return /token: (\S+)/.exec(await readFile(kubeconfig, 'utf8'))?.[1] ?? ''
      },
      user: 'jane',
    },
  }

  test.each(Object.keys(tokens))('with %s finds its user and his projects', async (name) => {
    const { token, user } = tokens[name] as (typeof tokens)[string]
    const oc = await createOc(world.weir.kubeconfig, { token: await token() })
    expect((await oc.send({ method: 'HEAD', path: '/' })).status).toBe(200)
    const self = await oc.send({ method: 'GET', path: userSelf })
    expect([self.status, self.body]).toEqual([200, expect.objectContaining({ kind: 'User' })])
    expect(self.body.metadata.name).toBe(user)
    const projects = await oc.send({ method: 'GET', path: `${projectApi}/projects` })
    expect(projects.body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).toEqual(['demo'])
    const motd = await oc.send({ method: 'GET', path: '/api/v1/namespaces/openshift/configmaps/motd' })
    expect([403, 404]).toContain(motd.status)
  })

  test.each(['a password', 'a token for pulling', 'a token to go on with', 'nonsense'])(
    'with %s is 401',
    async (what) => {
      const jane = { username: 'jane', password: world.passwords.jane }
      const refresh = async () => {
        const query = new URLSearchParams({ service: world.weir.host, offline_token: 'true' })
        const authorization = `Basic ${btoa(`${jane.username}:${jane.password}`)}`
        const answer = await fetch(`${world.weir.url}/token?${query}`, { headers: { authorization } })
        return ((await answer.json()) as { refresh_token: string }).refresh_token
      }
      const token = {
        'a password': async () => jane.password.replaceAll(' ', ''),
        'a token for pulling': () => world.pullToken(jane),
        'a token to go on with': refresh,
        nonsense: async () => 'nonsense',
      }[what]
      const oc = await createOc(world.weir.kubeconfig, { token: await token?.() })
      expect((await oc.send({ method: 'GET', path: userSelf })).status).toBe(401)
    },
  )
})

interface Session {
  metadata: { name: string; creationTimestamp: string }
  user: { name: string }
}

const userOf = ({ user }: Session) => user.name
const byAge = (a: Session, b: Session) =>
  Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp)
