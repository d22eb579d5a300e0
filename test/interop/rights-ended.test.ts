/** Rights and identities that end, by kubectl and else: the next request with a token that lives still is refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Login } from './support/clients.ts'
import { type LoginWorld, startLoginWorld } from './support/login-world.ts'
import { claimsOf, createRights, everybody, puller, type Rights } from './support/rights.ts'

let world: LoginWorld
let rights: Rights

beforeAll(async () => {
  world = await startLoginWorld()
  rights = createRights(world)
})
afterAll(() => world?.stop())

describe('a token that lives still is refused at the next request after', () => {
  interface Ending {
    login: Login
    /** Ends it; settles when who asked for it has been answered. */
    end(): Promise<unknown>
  }

  /** Each with the project, where `app` may be pulled until it ends. */
  const endings: Record<string, (project: string) => Promise<Ending>> = {
    'its binding is deleted': async (project) => {
      const login = await rights.newRobot(project)
      const binding = await rights.bind(project, puller, `--serviceaccount=${project}:ci`)
      return { login, end: () => world.admin('delete', 'rolebinding', binding, '-n', project) }
    },
    'its subject is taken out of the binding': async (project) => {
      const login = await rights.newRobot(project)
      const binding = await rights.bind(project, puller, `--serviceaccount=${project}:ci`, '--user=joe')
      const patch = JSON.stringify([{ op: 'remove', path: '/subjects/1' }])
      const subjects = await world.admin.json('get', 'rolebinding', binding, '-n', project)
      expect(subjects.subjects[1]).toMatchObject({ kind: 'ServiceAccount', name: 'ci' })
      return {
        login,
        end: () => world.admin('patch', 'rolebinding', binding, '-n', project, '--type=json', '-p', patch),
      }
    },
    'the right is taken out of the role': async (project) => {
      const login = await rights.newRobot(project)
      const role = await rights.streamRole(project, 'app', 'get')
      await rights.bind(project, role, `--serviceaccount=${project}:ci`)
      const patch = JSON.stringify({ rules: [] })
      const name = role.slice('role='.length)
      return { login, end: () => world.admin('patch', 'role', name, '-n', project, '--type=merge', '-p', patch) }
    },
    'the stream is taken out of the role': async (project) => {
      const login = await rights.newRobot(project)
      const role = await rights.streamRole(project, 'app', 'get')
      await rights.bind(project, role, `--serviceaccount=${project}:ci`)
      const patch = JSON.stringify([{ op: 'replace', path: '/rules/0/resourceNames/0', value: 'app2' }])
      const name = role.slice('role='.length)
      return { login, end: () => world.admin('patch', 'role', name, '-n', project, '--type=json', '-p', patch) }
    },
    'the binding for the whole cluster is deleted': async (project) => {
      const login = await rights.newRobot(project)
      const name = rights.newName('all')
      const role = ['--clusterrole=system:image-puller', `--serviceaccount=${project}:ci`]
      await world.admin('create', 'clusterrolebinding', name, ...role)
      return { login, end: () => world.admin('delete', 'clusterrolebinding', name) }
    },
    'its account is deleted': async (project) => {
      const login = await rights.newRobot(project)
      await rights.bind(project, puller, `--serviceaccount=${project}:ci`)
      return { login, end: () => world.admin('delete', 'serviceaccount', 'ci', '-n', project) }
    },
    'its account is deleted, where everybody may pull': async (project) => {
      const login = await rights.newRobot(project)
      await rights.bind(project, puller, everybody)
      return { login, end: () => world.admin('delete', 'serviceaccount', 'ci', '-n', project) }
    },
    'its account is deleted and made anew': async (project) => {
      const login = await rights.newRobot(project)
      await rights.bind(project, puller, `--serviceaccount=${project}:ci`)
      const end = async () => {
        await world.admin('delete', 'serviceaccount', 'ci', '-n', project)
        await world.admin('create', 'serviceaccount', 'ci', '-n', project)
      }
      return { login, end }
    },
    'its project is deleted, and the right was another’s to give': async (project) => {
      const shop = await rights.newProject()
      const login = await rights.newRobot(shop)
      await rights.bind(project, puller, `--serviceaccount=${shop}:ci`)
      return { login, end: () => world.admin('delete', 'namespace', shop) }
    },
    'the right of everybody is taken away, for one who is logged in': async (project) => {
      const binding = await rights.bind(project, puller, everybody)
      const login = { username: 'joe', password: world.passwords.joe }
      return { login, end: () => world.admin('delete', 'rolebinding', binding, '-n', project) }
    },
    'its session is deleted': async (project) => {
      await rights.bind(project, puller, '--user=joe')
      const login = { username: 'joe', password: world.passwords.joe }
      const end = async () => {
        const sessions = await world.admin.json('get', 'sessions', '--field-selector=user.name=joe')
        const names = sessions.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name)
        await world.admin('delete', 'sessions', ...names)
      }
      return { login, end }
    },
  }

  test.each(Object.keys(endings))('%s', async (name) => {
    const project = await rights.newProject()
    const ending = await endings[name]?.(project)
    if (ending === undefined) throw new TypeError(name)
    const token = await world.offlineToken(ending.login, `${project}/app`)
    const paths = [
      `/v2/${project}/app/manifests/prod`,
      `/v2/${project}/app/manifests/${world.image.manifest.digest}`,
      `/v2/${project}/app/blobs/${world.image.config.digest}`,
      `/v2/${project}/app/tags/list`,
    ]
    const ask = async (path: string, method = 'GET') => {
      const headers = { authorization: `Bearer ${token}`, accept: world.image.manifest.mediaType }
      const answer = await fetch(`${world.weir.url}${path}`, { method, headers })
      await answer.arrayBuffer()
      return answer.status
    }
    for (const path of paths) expect([path, await ask(path), await ask(path)]).toEqual([path, 200, 200])
    await ending.end()
    expect(await ask(paths[0] ?? '')).toBe(401)
    for (const path of paths) expect([path, await ask(path), await ask(path, 'HEAD')]).toEqual([path, 401, 401])
  })

  test.each(['an issuer whose logins do not go on', 'a client that keeps no login'])(
    'its identity expires, of %s',
    async (name) => {
      const project = await rights.newProject()
      await rights.bind(project, puller, '--user=prod:build', '--user=jobs:build')
      const issuer = name.startsWith('an issuer') ? world.prod : world.jobs
      const login = { username: 'build', password: await issuer.login('build') }
      const token = await world.pullToken(login, `${project}/app`)
      const ask = async () => {
        const headers = { authorization: `Bearer ${token}` }
        return (await fetch(`${world.weir.url}/v2/${project}/app/manifests/prod`, { headers })).status
      }
      expect(await ask()).toBe(200)
      await world.hasEnded(login)
      expect(await ask()).toBe(401)
      expect(claimsOf(token).exp * 1000, 'the token itself lives still').toBeGreaterThan(Date.now())
    },
  )

  test('a user is taken out of the htpasswd file, as soon as Weir has read it', async () => {
    const project = await rights.newProject()
    await rights.bind(project, puller, '--user=jane')
    const token = await world.pullToken({ username: 'jane', password: world.passwords.jane }, `${project}/app`)
    const ask = async () => {
      const headers = { authorization: `Bearer ${token}` }
      return (await fetch(`${world.weir.url}/v2/${project}/app/manifests/prod`, { headers })).status
    }
    expect(await ask()).toBe(200)
    await world.writePasswords({ joe: world.passwords.joe })
    await expect.poll(ask, { timeout: 20_000, interval: 200 }).toBe(401)
    await world.writePasswords(world.passwords)
    // The same user with the same hash is the same one.
    await expect.poll(ask, { timeout: 20_000, interval: 200 }).toBe(200)
  })
})
