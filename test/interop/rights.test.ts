/** Who may pull and push what, given by kubectl as RBAC objects, and what docker says. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Login } from './support/clients.ts'
import { loginClients, type PushingClient } from './support/login-clients.ts'
import { type LoginWorld, startLoginWorld } from './support/login-world.ts'
import type { Finished } from './support/process.ts'
import { allLoggedIn, claimsOf, createRights, everybody, puller, pusher, type Rights } from './support/rights.ts'

let world: LoginWorld
let host: string
let rights: Rights

beforeAll(async () => {
  world = await startLoginWorld()
  host = world.weir.host
  rights = createRights(world)
})
afterAll(() => world?.stop())

/** docker of one person, who logs in unless anonymous. */
async function docker(login?: Login): Promise<PushingClient> {
  const client = loginClients(join(world.directory, rights.newName('docker')), world.engine).docker
  if (login !== undefined) {
    const loggedIn = await client.login(host, login)
    expect(loggedIn, loggedIn.stderr).toMatchObject({ code: 0 })
  }
  return client
}

/** What docker says of a pull, whole. */
const says = {
  pulled: (repository: string) => ({
    code: 0,
    stdout: expect.stringContaining(
      `Digest: ${world.image.manifest.digest}\nStatus: Downloaded newer image for ${host}/${repository}:prod\n`,
    ),
    stderr: '',
  }),
  denied: (repository: string) => ({
    code: 1,
    stdout: '',
    stderr: `Error response from daemon: pull access denied for ${host}/${repository}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied\n`,
  }),
  unknown: (repository: string) => ({
    code: 1,
    stdout: '',
    stderr: `Error response from daemon: repository ${host}/${repository} not found: name unknown: repository name not known to registry\n`,
  }),
}

/** Who asks, for what repository, and what docker says; projects are those of the case. */
type Row = [who: Login | undefined, repository: string, said: keyof typeof says]

/** What is given, and what it comes to. */
const cases: Record<string, () => Promise<Row[]>> = {
  'nothing is given: a robot may not even pull from his own project': async () => {
    const project = await rights.newProject()
    return [[await rights.newRobot(project), `${project}/app`, 'denied']]
  },
  'a robot of one project is bound in another: it pulls there, its namesake elsewhere does not': async () => {
    const [images, shop, other] = [await rights.newProject(), await rights.newProject(), await rights.newProject()]
    const [ci, namesake] = [await rights.newRobot(shop), await rights.newRobot(other)]
    await rights.bind(images, puller, `--serviceaccount=${shop}:ci`)
    return [
      [ci, `${images}/app`, 'pulled'],
      [ci, `${images}/app2`, 'pulled'],
      [ci, `${images}/nope`, 'unknown'],
      [ci, `${shop}/app`, 'denied'],
      [ci, `${other}/app`, 'denied'],
      [namesake, `${images}/app`, 'denied'],
      [undefined, `${images}/app`, 'denied'],
    ]
  },
  'the robots of a project are bound in another: all of them pull, and no others': async () => {
    const [images, shop] = [await rights.newProject(), await rights.newProject()]
    const longer = await rights.newProject(`${shop}-more`)
    await rights.bind(images, puller, `--group=system:serviceaccounts:${shop}`)
    return [
      [await rights.newRobot(shop), `${images}/app`, 'pulled'],
      [await rights.newRobot(shop, 'made-later'), `${images}/app`, 'pulled'],
      [await rights.newRobot(longer), `${images}/app`, 'denied'],
      [await rights.newRobot(images), `${images}/app`, 'denied'],
    ]
  },
  'everybody may pull: logged out, and logged in as one who has nothing else to do with it': async () => {
    const [open, shop] = [await rights.newProject(), await rights.newProject()]
    await rights.bind(open, puller, everybody)
    return [
      [undefined, `${open}/app`, 'pulled'],
      [await rights.newRobot(shop), `${open}/app`, 'pulled'],
      [{ username: 'joe', password: world.passwords.joe }, `${open}/app`, 'pulled'],
      [{ username: 'eve', password: await world.corp.login('eve') }, `${open}/app`, 'pulled'],
      [undefined, `${open}/nope`, 'unknown'],
      [undefined, `${shop}/app`, 'denied'],
    ]
  },
  'all who are logged in may pull: not those who are not': async () => {
    const project = await rights.newProject()
    await rights.bind(project, puller, allLoggedIn)
    return [
      [await rights.newRobot(await rights.newProject()), `${project}/app`, 'pulled'],
      [{ username: 'joe', password: world.passwords.joe }, `${project}/app`, 'pulled'],
      [undefined, `${project}/app`, 'denied'],
    ]
  },
  'one stream is given: not the one whose name begins with it, nor one that is not there': async () => {
    const project = await rights.newProject()
    const ci = await rights.newRobot(project)
    await rights.bind(project, await rights.streamRole(project, 'app', 'get'), `--serviceaccount=${project}:ci`)
    return [
      [ci, `${project}/app`, 'pulled'],
      [ci, `${project}/app2`, 'denied'],
      [ci, `${project}/ap`, 'denied'],
    ]
  },
  'a stream that is not there yet is given: it is unknown, and the others are denied': async () => {
    const project = await rights.newProject()
    const ci = await rights.newRobot(project)
    await rights.bind(project, await rights.streamRole(project, 'later', 'get'), `--serviceaccount=${project}:ci`)
    return [
      [ci, `${project}/later`, 'unknown'],
      [ci, `${project}/app`, 'denied'],
    ]
  },
  'a person is given it, another of the same issuer is not, nor one of the same name elsewhere': async () => {
    const project = await rights.newProject()
    await rights.bind(project, puller, '--user=corp:ann')
    const ann = await world.jobs.sign({ sub: 'ann', aud: 'weir', preferred_username: 'ann' })
    return [
      [{ username: 'ann', password: await world.corp.login('ann') }, `${project}/app`, 'pulled'],
      [{ username: 'ann', password: await world.corp.login('eve') }, `${project}/app`, 'denied'],
      [{ username: 'ann', password: ann }, `${project}/app`, 'denied'],
    ]
  },
  'a group of an issuer is given it: who is in it pulls': async () => {
    const project = await rights.newProject()
    await rights.bind(project, puller, '--group=corp:devs')
    const eve = { sub: 'eve', aud: 'weir', preferred_username: 'eve', groups: ['Devs', 'corp:devs', 'system:masters'] }
    return [
      [{ username: 'x', password: await world.corp.login('ann') }, `${project}/app`, 'pulled'],
      [{ username: 'x', password: await world.corp.sign(eve) }, `${project}/app`, 'denied'],
    ]
  },
  'a role that may only look gives no pulling, and one of another group of the API neither': async () => {
    const project = await rights.newProject()
    const ci = await rights.newRobot(project)
    await world.admin(
      'create',
      'role',
      'looks',
      '-n',
      project,
      '--verb=*',
      '--resource=imagestreams.image.openshift.io',
    )
    await rights.bind(project, 'role=looks', `--serviceaccount=${project}:ci`)
    return [[ci, `${project}/app`, 'denied']]
  },
  'the whole cluster is given: every project': async () => {
    const [one, other] = [await rights.newProject(), await rights.newProject()]
    const ci = await rights.newRobot(one)
    const role = ['--clusterrole=system:image-puller', `--serviceaccount=${one}:ci`]
    await world.admin('create', 'clusterrolebinding', rights.newName('all'), ...role)
    return [
      [ci, `${one}/app`, 'pulled'],
      [ci, `${other}/app2`, 'pulled'],
    ]
  },
  'a project is deleted and made anew: nothing that was given in it, or to its robots, is left': async () => {
    const [project, images] = [await rights.newProject(), await rights.newProject()]
    const before = await rights.newRobot(project)
    await rights.bind(project, puller, `--serviceaccount=${project}:ci`)
    await rights.bind(images, puller, `--serviceaccount=${project}:ci`)
    const client = await docker(before)
    expect(await client.pull(`${host}/${project}/app:prod`)).toMatchObject(says.pulled(`${project}/app`))
    await world.admin('delete', 'namespace', project)
    await rights.newProject(project)
    const refused = await client.pull(`${host}/${project}/app:prod`)
    expect(refused.stderr).toContain(
      'unauthorized: the token is not valid: the account or login it was made for is gone',
    )
    const after = await rights.newRobot(project)
    expect((await client.pull(`${host}/${images}/app:prod`)).stderr).toContain('unauthorized')
    return [
      [after, `${project}/app`, 'denied'],
      [undefined, `${project}/app`, 'denied'],
      // What another project gave, it gave to the name, as Kubernetes has it.
      [after, `${images}/app`, 'pulled'],
    ]
  },
}

describe('docker pull, where', () => {
  test.each(Object.keys(cases))('%s', async (name) => {
    const rows = await cases[name]?.()
    for (const [who, repository, said] of rows ?? []) {
      const pulled = await (await docker(who)).pull(`${host}/${repository}:prod`)
      expect(pulled, `${who?.username ?? 'anonymous'}: ${repository}`).toMatchObject(says[said](repository))
    }
  })

  test('I5: one who has no right is told the same of what is there and of what is not, word for word', async () => {
    const project = await rights.newProject()
    const eve = await docker({ username: 'eve', password: await world.corp.login('eve') })
    const repositories = [`${project}/app`, `${project}/nope`, `${rights.newName('nope')}/app`]
    for (const client of [eve, await docker()]) {
      const answers: Finished[] = []
      for (const repository of repositories) {
        for (const reference of [`${repository}:prod`, `${repository}:nope`, `${repository}@${absent}`]) {
          const { code, stdout, stderr } = await client.pull(`${host}/${reference}`)
          answers.push({ code, stdout, stderr: stderr.replaceAll(repository, 'NAME') })
        }
      }
      expect(new Set(answers.map((answer) => JSON.stringify(answer)))).toEqual(
        new Set([JSON.stringify(says.denied('NAME'))]),
      )
    }
  })
})

const absent = `sha256:${'0'.repeat(64)}`

describe('docker push', () => {
  const denied = 'denied: requested access to the resource is denied\n'
  const unauthorized = 'the token does not allow this, or there is no such repository'

  /** What is granted of pull and push, as the token tells. */
  async function granted(login: Login | undefined, repository: string): Promise<string[]> {
    const token = await world.pullToken(login, repository)
    return claimsOf(token).access.flatMap(({ name, actions }) => (name === repository ? actions : []))
  }

  test('is in the token of who may, by stream and by project, and in no other', async () => {
    const project = await rights.newProject()
    const [builder, one, reader] = [
      await rights.newRobot(project),
      await rights.newRobot(project, 'one'),
      await rights.newRobot(project, 'r'),
    ]
    await rights.bind(project, pusher, `--serviceaccount=${project}:ci`)
    await rights.bind(
      project,
      await rights.streamRole(project, 'app', 'get', 'update'),
      `--serviceaccount=${project}:one`,
    )
    await rights.bind(project, puller, `--serviceaccount=${project}:r`, everybody)
    expect(await granted(builder, `${project}/app`)).toEqual(['pull', 'push'])
    expect(await granted(builder, `${project}/new`)).toEqual(['pull', 'push'])
    expect(await granted(one, `${project}/app`)).toEqual(['pull', 'push'])
    expect(await granted(one, `${project}/app2`)).toEqual(['pull'])
    expect(await granted(reader, `${project}/app`)).toEqual(['pull'])
    expect(await granted(undefined, `${project}/app`)).toEqual(['pull'])
    const other = await rights.newProject()
    for (const login of [builder, one, reader, undefined]) expect(await granted(login, `${other}/app`)).toEqual([])
  })

  test('is refused to who may not in the same words, and tells nothing of what is there', async () => {
    const project = await rights.newProject()
    const [builder, reader, nobody] = [
      await rights.newRobot(project),
      await rights.newRobot(project, 'reader'),
      await rights.newRobot(project, 'nobody'),
    ]
    await rights.bind(project, pusher, `--serviceaccount=${project}:ci`)
    await rights.bind(project, puller, `--serviceaccount=${project}:reader`)
    const from = `${host}/${project}/app:prod`
    const client = await docker(builder)
    await client.pull(from)
    for (const login of [reader, nobody, undefined]) {
      const other = await docker(login)
      for (const to of [`${project}/app`, `${project}/fresh`, `${rights.newName('nope')}/app`]) {
        // Who may pull is told that the layers are there, and refused when the manifest comes.
        const isShown = login === reader && to === `${project}/app`
        expect(await other.push(from, `${host}/${to}:new`), `${login?.username}: ${to}`).toMatchObject({
          code: 1,
          stderr: isShown ? `errors:\n${denied}unauthorized: ${unauthorized}\n\n` : denied,
        })
      }
    }
    expect(await client.push(from, `${host}/${project}/app:new`)).toMatchObject({ code: 0 })
    const fresh = await client.push(from, `${host}/${project}/fresh:new`)
    expect(fresh).toMatchObject({ code: 1, stderr: expect.stringMatching(/denied: .*image stream/) })
    expect(await world.admin('get', 'is', '-n', project, '-o', 'name')).not.toContain('fresh')
  })
})
