/** docker, podman, skopeo and crane log in by every kind of identity, and go on with it for as long as it lasts. */
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Login } from './support/clients.ts'
import { type LoginClient, type LoginClients, loginClientNames, loginClients } from './support/login-clients.ts'
import { basic, type LoginWorld, startLoginWorld } from './support/login-world.ts'
import { run } from './support/process.ts'

const recipe = resolve(import.meta.dirname, '../../config/kubelet-credential-provider.sh')

let world: LoginWorld
let host: string
let image: string

beforeAll(async () => {
  world = await startLoginWorld()
  host = world.weir.host
  image = `${host}/demo/app:prod`
  const { admin } = world
  await admin('create', 'serviceaccount', 'ci')
  const users = ['jane', 'jobs:build', 'prod:build', 'prod:system:serviceaccount:shop:web'].map(
    (name) => `--user=${name}`,
  )
  const others = ['--serviceaccount=demo:ci', '--group=corp:devs']
  await admin('create', 'rolebinding', 'pullers', '--clusterrole=system:image-puller', ...users, ...others)
  const anonymous = '--group=system:unauthenticated'
  await admin('create', 'rolebinding', 'all', '-n', 'open', '--clusterrole=system:image-puller', anonymous)
})
afterAll(() => world?.stop())

let homes = 0
/** Clients that have kept nothing. */
function fresh(): LoginClients {
  homes += 1
  return loginClients(join(world.directory, `clients-${homes}`), world.engine)
}

async function pulls(client: LoginClient, reference = image): Promise<void> {
  const pulled = await client.pull(reference)
  expect(pulled, pulled.stderr).toMatchObject({ code: 0, digest: world.image.manifest.digest })
}

/** What each client says of a pull that is not allowed, or of something that is not there. */
const refusals = {
  docker: "repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
  podman: 'unauthorized: the token does not allow this, or there is no such repository',
  skopeo: 'unauthorized: the token does not allow this, or there is no such repository',
  crane: 'UNAUTHORIZED: the token does not allow this, or there is no such repository',
} as const

async function isRefused(client: LoginClient, words: string = refusals[client.name]): Promise<void> {
  const pulled = await client.pull(image)
  expect(pulled.code).not.toBe(0)
  expect(pulled.stderr).toContain(words)
}

interface Identity {
  login(): Promise<Login>
  /** Whether docker keeps a login that goes on, and not what it logged in with. */
  goesOn: boolean
}

const identities: Record<string, Identity> = {
  'a robot, with the token of its account': {
    login: async () => ({ username: 'ci', password: await world.admin.line('create', 'token', 'ci') }),
    goesOn: false,
  },
  'a robot, with a user name of its own choice': {
    login: async () => ({ username: 'jane', password: await world.admin.line('create', 'token', 'ci') }),
    goesOn: false,
  },
  'the admin, with his token': {
    login: async () => ({ username: 'admin', password: world.adminToken }),
    goesOn: false,
  },
  'a person, with her identity token': {
    login: async () => ({ username: 'ann', password: await world.corp.login('ann') }),
    goesOn: true,
  },
  'a job, with a token that is for the registry': {
    login: async () => ({ username: 'token', password: await world.jobs.login('build') }),
    goesOn: true,
  },
  'a user of the htpasswd file, with her password': {
    login: async () => ({ username: 'jane', password: world.passwords.jane }),
    goesOn: true,
  },
}

const wrong: Record<string, { login(): Promise<Login>; says: string }> = {
  'a wrong password': {
    login: async () => ({ username: 'joe', password: 'guessed' }),
    says: 'the user name or the password is wrong',
  },
  'a password of another': {
    login: async () => ({ username: 'joe', password: world.passwords.jane }),
    says: 'the user name or the password is wrong',
  },
  'a user that is not there': {
    login: async () => ({ username: 'nobody', password: 'guessed' }),
    says: 'the user name or the password is wrong',
  },
  'the token of an account that is gone': {
    login: async () => {
      await world.admin('create', 'serviceaccount', 'leaving')
      const password = await world.admin.line('create', 'token', 'leaving')
      await world.admin('delete', 'serviceaccount', 'leaving')
      return { username: 'leaving', password }
    },
    says: 'the token is not valid: the account or login it was made for is gone',
  },
  'an identity token that has expired': {
    login: async () => {
      const exp = Math.floor(Date.now() / 1000) - 1
      return { username: 'ann', password: await world.corp.sign({ ...ann, iat: exp - 3600, exp }) }
    },
    says: 'the token of corp has expired: get a new one',
  },
  'an identity token for another audience': {
    login: async () => ({ username: 'ann', password: await world.corp.sign({ ...ann, aud: 'other.test' }) }),
    says: 'the token of corp is not valid for this',
  },
  'an identity token of nobody that is known': {
    login: async () => ({ username: 'ann', password: await world.corp.sign({ ...ann, iss: 'https://other.test' }) }),
    says: 'the user name, password or token is not valid: log in again',
  },
  'an identity token signed by another issuer': {
    login: async () => ({ username: 'ann', password: await world.jobs.sign({ ...ann, iss: world.corp.issuer }) }),
    says: 'the token of corp is not valid for this',
  },
  'a token for pulling': {
    login: async () => ({
      username: 'jane',
      password: await world.pullToken({ username: 'jane', password: world.passwords.jane }),
    }),
    says: 'the user name, password or token is not valid: log in again',
  },
  'what docker has kept to go on with': {
    login: async () => {
      const { docker } = fresh()
      await docker.login(host, { username: 'jane', password: world.passwords.jane })
      return { username: 'jane', password: (await docker.kept(host))?.identitytoken ?? '' }
    },
    says: 'the user name, password or token is not valid: log in again',
  },
}

const ann = { sub: 'ann', aud: 'weir', preferred_username: 'ann', groups: ['devs'] }

describe.each(loginClientNames)('%s', (name) => {
  test.each(Object.keys(identities))('logs in as %s, pulls, and is nobody after logout', async (identity) => {
    const client = fresh()[name]
    const { login, goesOn } = identities[identity] as Identity
    const { username, password } = await login()
    const loggedIn = await client.login(host, { username, password })
    expect(loggedIn, loggedIn.stderr).toMatchObject({ code: 0 })
    const kept = await client.kept(host)
    if (name === 'docker' && goesOn) {
      expect(kept?.identitytoken).toMatch(/^weir_refresh_/)
      expect(atob(kept?.auth ?? '')).not.toContain(password)
    } else {
      expect(kept).toEqual({ auth: btoa(`${username}:${password}`) })
    }
    await pulls(client)
    expect(await client.logout(host)).toMatchObject({ code: 0 })
    expect(await client.kept(host)).toBeUndefined()
    await isRefused(client)
    await pulls(client, `${host}/open/app:prod`)
  })

  test.each(Object.keys(wrong))('is refused with %s, in words that say so', async (what) => {
    const client = fresh()[name]
    const { login, says } = wrong[what] as (typeof wrong)[string]
    const loggedIn = await client.login(host, await login())
    if (name === 'crane') {
      // It asks nobody when it logs in.
      await isRefused(client, `UNAUTHORIZED: ${says}`)
      return
    }
    expect(loggedIn.code).not.toBe(0)
    expect(loggedIn.stderr).toContain(name === 'docker' ? `unauthorized: ${says}` : 'invalid username/password')
    expect(await client.kept(host)).toBeUndefined()
    await isRefused(client)
  })
})

describe('a token that ends soon', () => {
  test('is enough for docker, which goes on after its end; those that keep the token itself do not', async () => {
    const { docker, ...others } = fresh()
    const login = { username: 'build', password: await world.jobs.login('build') }
    for (const client of [docker, ...Object.values(others)]) {
      await client.login(host, login)
      await pulls(client)
    }
    await world.hasEnded(login)
    await pulls(docker)
    await isRefused(others.podman, 'unable to retrieve auth token: invalid username/password')
    await isRefused(others.skopeo, 'unable to retrieve auth token: invalid username/password')
    await isRefused(others.crane, 'UNAUTHORIZED: the token of jobs has expired: get a new one')
    const again = await fresh().docker.login(host, login)
    expect(again.stderr).toContain('unauthorized: the token of jobs has expired: get a new one')
  })

  test('of an issuer whose logins do not go on ends docker’s login too', async () => {
    const { docker } = fresh()
    const login = { username: 'build', password: await world.prod.login('build') }
    expect(await docker.login(host, login)).toMatchObject({ code: 0 })
    expect(await docker.kept(host)).toEqual({ auth: btoa(`build:${login.password}`) })
    await pulls(docker)
    await world.hasEnded(login)
    await isRefused(docker, 'unauthorized: the token of prod has expired: get a new one')
  })
})

describe('a login that goes on', () => {
  /** The sessions of a user, newest last. */
  async function sessionsOf(user: string): Promise<string[]> {
    const { items } = await world.admin.json('get', 'sessions', `--field-selector=user.name=${user}`)
    const byAge = items.sort((a: Session, b: Session) => Date.parse(created(a)) - Date.parse(created(b)))
    return byAge.map(({ metadata }: Session) => metadata.name)
  }
  const created = ({ metadata }: Session) => metadata.creationTimestamp

  const ways: Record<string, (session: string) => Promise<unknown>> = {
    'kubectl deletes its session': (session) => world.admin('delete', 'session', session),
    'weir ends its session': (session) => world.weir.weir('logout', '--session', session),
  }

  test.each(Object.keys(ways))('ends at once when %s, and a new login begins another', async (way) => {
    const { docker } = fresh()
    const login = { username: 'build', password: await world.jobs.login('build') }
    const before = await sessionsOf('jobs:build')
    await docker.login(host, login)
    await pulls(docker)
    const [session = '', ...more] = (await sessionsOf('jobs:build')).filter((id) => !before.includes(id))
    expect(more).toEqual([])
    await ways[way]?.(session)
    await isRefused(docker, 'unauthorized: the refresh token is unknown, or its session has ended: log in again')
    await docker.login(host, { username: 'build', password: await world.jobs.login('build') })
    await pulls(docker)
  })

  test('goes on when another session of the same user ends', async () => {
    const [one, other] = [fresh().docker, fresh().docker]
    const login = { username: 'ann', password: await world.corp.login('ann') }
    const before = await sessionsOf('corp:ann')
    await one.login(host, login)
    const [session = ''] = (await sessionsOf('corp:ann')).filter((id) => !before.includes(id))
    await other.login(host, login)
    await world.admin('delete', 'session', session)
    await isRefused(one, 'log in again')
    await pulls(other)
  })

  test('ends when the password that began it is changed, and others go on', async () => {
    const [jane, joe] = [fresh().docker, fresh().docker]
    await jane.login(host, { username: 'jane', password: world.passwords.jane })
    await joe.login(host, { username: 'joe', password: world.passwords.joe })
    await pulls(jane)
    await world.writePasswords({ ...world.passwords, jane: 'changed' })
    const isOver = () => isRefused(jane, 'the refresh token is unknown, or its session has ended: log in again')
    await vi.waitFor(isOver, { timeout: 20_000, interval: 500 })
    await isRefused(joe)
    await world.admin('create', 'rolebinding', 'joe', '--clusterrole=system:image-puller', '--user=joe')
    await pulls(joe)
    expect(await jane.login(host, { username: 'jane', password: 'changed' })).toMatchObject({ code: 0 })
    await pulls(jane)
    await world.writePasswords(world.passwords)
  })
})

describe('a kubelet', () => {
  /** What the recipe answers a kubelet that pulls for a pod of `shop`. */
  async function provided(serviceAccountToken: string) {
    const request = {
      kind: 'CredentialProviderRequest',
      apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
      image,
      serviceAccountToken,
      serviceAccountAnnotations: {},
    }
    const { code, stdout, stderr } = await run('/bin/sh', [recipe], { input: JSON.stringify(request) })
    expect(code, stderr).toBe(0)
    return JSON.parse(stdout) as { cacheDuration: string; auth: Record<string, Login> }
  }
  const pod = (account: string, seconds: number) => {
    const at = Math.floor(Date.now() / 1000)
    const kubernetes = {
      namespace: 'shop',
      serviceaccount: { name: account, uid: 'u1' },
      pod: { name: 'web-1', uid: 'u2' },
    }
    const sub = `system:serviceaccount:shop:${account}`
    return world.prod.sign({ sub, aud: ['weir'], 'kubernetes.io': kubernetes, iat: at, nbf: at, exp: at + seconds })
  }

  test('pulls as the pod’s account with what the recipe makes of its token, until that ends', async () => {
    const { auth } = await provided(await pod('web', 12))
    const login = auth[host]
    if (login === undefined) throw new Error(`no login for ${host} in ${Object.keys(auth)}`)
    const { crane, skopeo } = fresh()
    for (const client of [crane, skopeo]) {
      await client.login(host, login)
      await pulls(client)
    }
    await world.hasEnded(login)
    await isRefused(crane, 'the token of prod has expired')
    await isRefused(skopeo, 'invalid username/password')
  })

  test('does not pull as an account that may not', async () => {
    const { auth } = await provided(await pod('other', 600))
    const { crane, skopeo } = fresh()
    for (const client of [crane, skopeo]) {
      await client.login(host, auth[host] as Login)
      await isRefused(client)
    }
  })
})

test('no password and no token is in the log, nor in the audit log', async () => {
  const login = { username: 'ann', password: await world.corp.login('ann') }
  const { docker } = fresh()
  await docker.login(host, login)
  await pulls(docker)
  const log = await world.logs()
  const secrets = [login.password, ...Object.values(world.passwords), world.adminToken]
  for (const secret of [...secrets, 'weir_refresh_', basic(login), await world.pullToken(login)]) {
    expect(log).not.toContain(secret)
  }
})

interface Session {
  metadata: { name: string; creationTimestamp: string }
}
