import type { Login } from './clients.ts'
import type { LoginWorld } from './login-world.ts'

/** Projects, robots and rights, made by kubectl as the admin, with ever new names. */
export interface Rights {
  newName(what: string): string
  /** A project with the streams `app` and `app2`, each with the tag `prod`. */
  newProject(name?: string): Promise<string>
  /** The login of a service account that is made for it, default `ci`. */
  newRobot(project: string, name?: string): Promise<Login>
  /** `kubectl create rolebinding` to a cluster role, or to `role=NAME`; answers the name of the binding. */
  bind(project: string, role: string, ...subjects: string[]): Promise<string>
  /** A role for one stream alone, as `bind` takes it. */
  streamRole(project: string, stream: string, ...verbs: string[]): Promise<string>
}

export function createRights(world: LoginWorld): Rights {
  const { admin, weir, registry } = world
  let made = 0
  const newName = (what: string) => {
    made += 1
    return `${what}-${made}`
  }
  return {
    newName,
    async newProject(name = newName('project')) {
      await admin('create', 'namespace', name)
      for (const stream of ['app', 'app2']) {
        await weir.weir('import-image', `${name}/${stream}:prod`, '--from', `${registry.host}/lib/app:v1`)
      }
      return name
    },
    async newRobot(project, name = 'ci') {
      await admin('create', 'serviceaccount', name, '-n', project)
      return { username: name, password: await admin.line('create', 'token', name, '-n', project) }
    },
    async bind(project, role, ...subjects) {
      const name = newName('binding')
      const kind = role.includes('=') ? `--${role}` : `--clusterrole=${role}`
      await admin('create', 'rolebinding', name, '-n', project, kind, ...subjects)
      return name
    },
    async streamRole(project, stream, ...verbs) {
      const name = newName('role')
      const about = ['--resource=imagestreams.image.openshift.io/layers', `--resource-name=${stream}`]
      await admin('create', 'role', name, '-n', project, `--verb=${verbs.join(',')}`, ...about)
      return `role=${name}`
    },
  }
}

/** The cluster roles and groups that are given most. */
export const puller = 'system:image-puller'
export const pusher = 'system:image-pusher'
export const everybody = '--group=system:unauthenticated'
export const allLoggedIn = '--group=system:authenticated'

/** What a token for pulling says: what it lets do where, and until when, in seconds. */
export function claimsOf(token: string): { access: { name: string; actions: string[] }[]; exp: number } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
}
