import { apiVersion, type PolicyRule, type Role, type RoleBinding, resources, type Target } from './api.ts'
import type { Client } from './client.ts'
import { CliError, isAlreadyExists, isForbidden, unlessForbidden } from './failures.ts'
import { shortRoles, streamRoleName } from './grant-names.ts'

type RoleRef = RoleBinding['roleRef']

const rbacGroup = resources.roles.group

/** The whole name of a role, of which `pull` and `push` are short forms. */
export function fullRoleName(role: string): string {
  return shortRoles.get(role) ?? role
}

/**
 * The role called `name`: one of the whole cluster, else one of the project.
 *
 * @param project undefined for what is given in all projects, where projects' roles do not count
 * @throws CliError that names the roles there are
 */
export async function findRole(client: Client, project: string | undefined, name: string): Promise<RoleRef> {
  const { roleRef } = await readRole(client, project, name)
  return roleRef
}

/** Refers to the role that {@link makeStreamRole} makes, without making it. */
export function streamRoleRef(role: string, stream: string): RoleRef {
  return { apiGroup: rbacGroup, kind: 'Role', name: streamRoleName(role, stream) }
}

/**
 * Makes, or brings up to date, the project's Role that gives of role `name` what can be given for one stream. It stays
 * when it is bound no more: alone it gives nothing, and taking it away could break a grant made at that moment.
 *
 * @returns `isWhole` is false when rights about other things than streams were left out
 * @throws CliError when nothing can be given for one stream
 */
export async function makeStreamRole(
  client: Client,
  project: string,
  name: string,
  stream: string,
): Promise<{ roleRef: RoleRef; isWhole: boolean }> {
  const { rules } = await readRole(client, project, name)
  if (rules === undefined) throw new CliError(`you may not read role ${name}, whose rights --stream would narrow`)
  const narrowed = rules.flatMap((rule) => narrowRule(rule, stream))
  if (narrowed.length === 0) throw new CliError(`role ${name} has no right that can be given for one stream`)
  const isWhole = rules.every((rule) => (rule.resources ?? []).every(isAboutStreams))
  const roleRef = streamRoleRef(name, stream)
  const target = { resource: resources.roles, project }
  const body = {
    kind: 'Role',
    apiVersion: apiVersion(resources.roles),
    metadata: { name: roleRef.name, namespace: project },
    rules: narrowed,
  }
  try {
    await client.request('POST', target, { body })
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    await client.request('PUT', { ...target, name: roleRef.name }, { body })
  }
  return { roleRef, isWhole }
}

/** A role as it is said to `weir grant`, with the stream that it was narrowed to. */
export interface GrantedRole {
  role: string
  stream?: string
}

/**
 * What was granted by a reference to a role in a project: of a role that {@link makeStreamRole} made, the role that it
 * narrows and the stream. A role that the caller may not read is told by its name.
 *
 * @param project the one whose roles are read; undefined: those of all
 */
export async function readGrantedRoles(
  client: Client,
  project: string | undefined,
): Promise<(ref: RoleRef, namespace: string) => GrantedRole> {
  const own = await listRoles(client, { resource: resources.roles, ...(project === undefined ? {} : { project }) })
  const ofCluster = await listRoles(client, { resource: resources.clusterRoles })
  return ({ kind, name }, namespace) => {
    const ofProject = own.filter(
      ({ metadata }) => metadata?.namespace === undefined || metadata.namespace === namespace,
    )
    const made = kind === 'Role' ? ofProject.find(({ metadata }) => metadata?.name === name) : undefined
    const stream = made?.rules?.[0]?.resourceNames?.[0]
    if (stream === undefined) return { role: name }
    const names = [...ofCluster, ...ofProject].flatMap(({ metadata }) => metadata?.name ?? [])
    const narrowed = names.find((each) => streamRoleName(each, stream) === name)
    return narrowed === undefined ? { role: name } : { role: narrowed, stream }
  }
}

/** What was granted by several references, in words. */
export async function describeRoles(
  client: Client,
  project: string | undefined,
  refs: readonly RoleRef[],
): Promise<string[]> {
  if (project === undefined || refs.every(({ kind }) => kind !== 'Role')) return refs.map(({ name }) => name)
  const granted = await readGrantedRoles(client, project)
  return refs.map((ref) => {
    const { role, stream } = granted(ref, project)
    return stream === undefined ? role : `${role} (granted with --stream ${stream})`
  })
}

async function listRoles(client: Client, target: Target): Promise<Role[]> {
  const list = await unlessForbidden(client.list<Role>(target), undefined)
  return list?.items ?? []
}

// A role may be bound by people who may not read it; then it is taken to be a built-in one, and the server judges.
async function readRole(
  client: Client,
  project: string | undefined,
  name: string,
): Promise<{ roleRef: RoleRef; rules: PolicyRule[] | undefined }> {
  const clusterRole: RoleRef = { apiGroup: rbacGroup, kind: 'ClusterRole', name }
  try {
    const builtIn = await client.find<Role>({ resource: resources.clusterRoles, name })
    if (builtIn !== undefined) return { roleRef: clusterRole, rules: builtIn.rules ?? [] }
  } catch (error) {
    if (!isForbidden(error)) throw error
    return { roleRef: clusterRole, rules: undefined }
  }
  const own = project === undefined ? undefined : await client.find<Role>({ resource: resources.roles, project, name })
  if (own === undefined) throw await unknownRole(client, project, name)
  return { roleRef: { apiGroup: rbacGroup, kind: 'Role', name }, rules: own.rules ?? [] }
}

async function unknownRole(client: Client, project: string | undefined, role: string): Promise<CliError> {
  const { items } = await client.list<Role>({ resource: resources.clusterRoles })
  const known = items.flatMap(({ metadata }) => metadata?.name ?? []).join(', ')
  return new CliError(`there is no role "${role}"`, {
    hints: [`roles: pull, push, ${known}${project === undefined ? '' : ', and those of the project'}`],
  })
}

// Only a stream's own resources are named as it is. A rule about roles, narrowed to the name, would open a role of that name.
function isAboutStreams(resource: string): boolean {
  return resource === 'imagestreams' || resource.startsWith('imagestreams/')
}

function narrowRule(rule: PolicyRule, stream: string): PolicyRule[] {
  const about = (rule.resources ?? []).filter(isAboutStreams)
  const names = rule.resourceNames ?? []
  if (about.length === 0 || (names.length > 0 && !names.includes(stream))) return []
  return [{ ...rule, resources: about, resourceNames: [stream] }]
}
