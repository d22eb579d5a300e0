import type { Command } from 'commander'
import { isOwnName } from '../oci/reference.ts'
import { apiVersion, type ImageStream, type RbacSubject, type RoleBinding, resources, type Target } from './api.ts'
import type { Client } from './client.ts'
import { CliError, isAlreadyExists, isConflict, isNotFound, misuse, unlessForbidden } from './failures.ts'
import { bindingName } from './grant-names.ts'
import { noteRobot } from './grant-notes.ts'
import { type Format, formatOption, printObject } from './output.ts'
import { parseProject } from './references.ts'
import { describeRoles, findRole, fullRoleName, makeStreamRole, streamRoleRef } from './roles.ts'
import { boundIn, formatSubject, isSameSubject, parseSubject, requireIssuer } from './subjects.ts'
import { addVerb, type VerbContext } from './verbs.ts'

type RoleRef = RoleBinding['roleRef']

interface GrantOptions {
  namespace?: string
  allProjects?: boolean
  stream?: string
  output?: Format
}

/** Who gets what, where. */
interface Grant {
  /** undefined: all projects, and what is of none. */
  project: string | undefined
  role: string
  subject: RbacSubject
  stream: string | undefined
}

const words = `ROLE is any role; pull and push are short for system:image-puller and system:image-pusher.
SUBJECT is a user's name (user:NAME where it has a colon that no issuer of the server put there), group:NAME,
serviceaccount:[PROJECT/]NAME or anonymous. Users of an issuer are called as it calls them: github:repo:acme/app:ref:refs/heads/main.`

/** How often a binding that changes at the same time is read again. */
const attempts = 5

/** Adds `grant` and `revoke`. */
export function addGrantVerbs(program: Command, context: VerbContext): void {
  addVerb(program, 'grant <role> <subject>', {
    does: 'Lets somebody do what a role says, in a project or with one stream of it.',
    example: 'weir grant pull serviceaccount:ci -n demo',
    more: ['weir grant push jane -n demo --stream app', 'weir grant view group:corp:auditors --all-projects'],
    words,
  })
    .option('-n, --namespace <project>', 'the project')
    .option('--all-projects', 'in every project, present and to come, and for what is of none')
    .option('--stream <name>', 'this stream of the project alone')
    .addOption(formatOption())
    .action(async (role: string, subject: string, options: GrantOptions) => {
      const wanted = parseGrant(role, subject, options)
      const client = await context.connect()
      await requireIssuer(client, subject)
      await grant(context, client, wanted, options.output)
    })
  addVerb(program, 'revoke <role> <subject>', {
    does: 'Takes back what was granted, whoever granted it.',
    example: 'weir revoke pull serviceaccount:ci -n demo',
    words,
  })
    .option('-n, --namespace <project>', 'the project')
    .option('--all-projects', 'what was granted with --all-projects')
    .option('--stream <name>', 'what was granted with this --stream')
    .action(async (role: string, subject: string, options: GrantOptions) => {
      const wanted = parseGrant(role, subject, options)
      await revoke(context, await context.connect(), wanted)
    })
}

function parseGrant(role: string, subject: string, { namespace, allProjects = false, stream }: GrantOptions): Grant {
  if (allProjects && namespace !== undefined)
    throw misuse('-n and --all-projects exclude each other: write one of them')
  if (!allProjects && namespace === undefined) throw misuse('where? Write -n PROJECT, or --all-projects')
  const project = namespace === undefined ? undefined : parseProject(namespace)
  if (project === undefined && stream !== undefined) throw misuse('--stream is of one project: write -n PROJECT')
  if (stream !== undefined && !isOwnName(stream)) {
    throw misuse(`--stream: "${stream}" is not a stream's name; write it without its project and tag`)
  }
  if (!/^[^\s/%\p{Cc}]+$/u.test(role)) throw misuse(`"${role}" is not the name of a role`)
  return { project, role: fullRoleName(role), subject: parseSubject(subject, project ?? ''), stream }
}

function describe({ role, subject, stream, project }: Grant): string {
  const place = stream === undefined ? (project ?? 'all projects') : `${project}/${stream}`
  return `${role} in ${place} for ${formatSubject(subject)}`
}

async function grant(context: VerbContext, client: Client, wanted: Grant, format: Format | undefined): Promise<void> {
  const { role, project, subject, stream } = wanted
  const roleRef = await roleToBind(context, client, wanted)
  await noteRobot(context, client, subject, project)
  const name = bindingName(role, subject, stream)
  const metadata = { name, ...(project === undefined ? {} : { namespace: project }) }
  const body = { ...typeOf(project), metadata, roleRef, subjects: [subject] }
  try {
    const created = await client.request<RoleBinding>('POST', bindingsOf(project), { body })
    printObject(context.stdout, format, created, { name, text: `granted: ${describe(wanted)}` })
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    const { binding, isNew } = await restoreSubject(client, wanted, name, roleRef)
    const text = `granted${isNew ? '' : ' already'}: ${describe(wanted)}`
    printObject(context.stdout, format, binding, { name, text })
  }
}

async function roleToBind(context: VerbContext, client: Client, { project, role, stream }: Grant): Promise<RoleRef> {
  if (project === undefined || stream === undefined) return findRole(client, project, role)
  const { roleRef, isWhole } = await makeStreamRole(client, project, role, stream)
  if (!isWhole) context.note(`note: of ${role}, only rights on the stream itself can be given for one stream`)
  if (!(await isThere(client, project, stream))) context.note(`note: ${project} has no stream "${stream}" yet`)
  return roleRef
}

async function isThere(client: Client, project: string, stream: string): Promise<boolean> {
  const found = client.find<ImageStream>({ resource: resources.imageStreams, project, name: stream })
  return (await unlessForbidden(found, 'unknown')) !== undefined
}

/** Puts a subject back into the binding that a grant once made and somebody changed. */
async function restoreSubject(
  client: Client,
  { project, subject }: Grant,
  name: string,
  roleRef: RoleRef,
): Promise<{ binding: RoleBinding; isNew: boolean }> {
  const target = { ...bindingsOf(project), name }
  const binding = await client.request<RoleBinding>('GET', target)
  if (!isSameRole(binding.roleRef, roleRef)) {
    throw new CliError(
      `binding ${name} in ${project ?? 'all projects'} binds ${binding.roleRef.name}: somebody made it for something else`,
      {
        hints: ['delete it, then grant again'],
      },
    )
  }
  const subjects = binding.subjects ?? []
  if (subjects.some((each) => isSameSubject(boundIn(each, project), subject))) return { binding, isNew: false }
  const body = withSubjects(binding, [...subjects, subject], project)
  return { binding: await client.request<RoleBinding>('PUT', target, { body }), isNew: true }
}

async function revoke(context: VerbContext, client: Client, wanted: Grant): Promise<void> {
  const { project, subject } = wanted
  const { items } = await client.list<RoleBinding>(bindingsOf(project))
  const theirs = items.filter(({ subjects }) => holds(subjects, project, subject))
  const revoked = theirs.filter(({ roleRef }) => isWanted(roleRef, wanted))
  if (revoked.length === 0) throw await notGranted(client, wanted, theirs)
  for (const binding of revoked) await removeSubject(client, wanted, binding)
  context.stdout.write(`revoked: ${describe(wanted)}\n`)
}

function isWanted(roleRef: RoleRef, { role, stream }: Grant): boolean {
  return stream === undefined ? roleRef.name === role : isSameRole(roleRef, streamRoleRef(role, stream))
}

async function removeSubject(client: Client, { project, subject }: Grant, found: RoleBinding): Promise<void> {
  const target = { ...bindingsOf(project), name: found.metadata?.name ?? '' }
  let binding: RoleBinding | undefined = found
  for (let attempt = 1; binding !== undefined && holds(binding.subjects, project, subject); attempt++) {
    const rest: RbacSubject[] = (binding.subjects ?? []).filter(
      (each) => !isSameSubject(boundIn(each, project), subject),
    )
    try {
      // The resourceVersion keeps what somebody else adds to the binding at this moment.
      if (rest.length > 0) await client.request('PUT', target, { body: withSubjects(binding, rest, project) })
      else await client.request('DELETE', target, { body: deleteOptions(binding) })
      return
    } catch (error) {
      if (isNotFound(error)) return
      if (!isConflict(error) || attempt === attempts) throw error
      binding = await client.find<RoleBinding>(target)
    }
  }
}

async function notGranted(client: Client, wanted: Grant, theirs: readonly RoleBinding[]): Promise<CliError> {
  const refs = theirs.map(({ roleRef }) => roleRef)
  const roles = await describeRoles(client, wanted.project, refs)
  const who = formatSubject(wanted.subject)
  const place = wanted.project ?? 'all projects'
  const has = roles.length === 0 ? `${who} has nothing in ${place}` : `${who} has in ${place}: ${roles.join(', ')}`
  return new CliError(`not granted: ${describe(wanted)}`, { hints: [has] })
}

function holds(subjects: RoleBinding['subjects'], project: string | undefined, subject: RbacSubject): boolean {
  return (subjects ?? []).some((each) => isSameSubject(boundIn(each, project), subject))
}

function isSameRole(a: RoleRef, b: RoleRef): boolean {
  return a.kind === b.kind && a.name === b.name
}

function bindingsOf(project: string | undefined): Target {
  return project === undefined
    ? { resource: resources.clusterRoleBindings }
    : { resource: resources.roleBindings, project }
}

function typeOf(project: string | undefined): { kind: string; apiVersion: string } {
  const kind = project === undefined ? 'ClusterRoleBinding' : 'RoleBinding'
  return { kind, apiVersion: apiVersion(resources.roleBindings) }
}

function withSubjects(binding: RoleBinding, subjects: RbacSubject[], project: string | undefined): RoleBinding {
  return { ...binding, ...typeOf(project), subjects }
}

function deleteOptions({ metadata }: RoleBinding): object {
  const { uid, resourceVersion } = metadata ?? {}
  return { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid, resourceVersion } }
}
