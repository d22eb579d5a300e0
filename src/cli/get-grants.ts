import { type ApiList, apiVersion, type RoleBinding, resources } from './api.ts'
import type { Client } from './client.ts'
import { misuse, unlessForbidden } from './failures.ts'
import { inProject, noteNone, type Scope } from './get-scope.ts'
import { type Format, type Printing, printDocuments, printRows } from './output.ts'
import { requireProject } from './projects.ts'
import { readGrantedRoles } from './roles.ts'
import { boundIn, formatSubject } from './subjects.ts'
import type { VerbContext } from './verbs.ts'

/** One subject of one binding. */
interface Grant {
  subject: string
  role: string
  /** Empty: all of them. */
  stream: string
  /** Empty: all of them. */
  project: string
  binding: string
}

/** Lists who has which role, by which binding. */
export async function getGrants(
  context: VerbContext,
  client: Client,
  scope: Scope,
  format: Format | undefined,
): Promise<void> {
  const { project, stream } = scope
  if (stream !== undefined) throw misuse(`grants are of a project: -n ${project}; who may use one stream: weir who-can`)
  const local = await client.list<RoleBinding>({ resource: resources.roleBindings, ...inProject({ project }) })
  if (project !== undefined && local.items.length === 0) await requireProject(client, project)
  const listed = client.list<RoleBinding>({ resource: resources.clusterRoleBindings })
  const ofCluster = await unlessForbidden(listed, undefined)
  if (ofCluster === undefined) context.note('note: what is granted in all projects is not shown: you may not read it')
  const all = { ...local, items: [...ofKind('ClusterRoleBinding', ofCluster), ...ofKind('RoleBinding', local)] }
  if (format === 'json' || format === 'yaml') return printDocuments(context.stdout, format, all)
  if (all.items.length === 0) await noteNone(context, client, 'grants', scope)
  if (format === 'name') return printRows(context.stdout, format, all.items, { name: nameOf, columns: [] })
  const granted = await readGrantedRoles(client, project)
  const grants = all.items.flatMap(({ metadata, roleRef, subjects }) => {
    const { name = '', namespace = '' } = metadata ?? {}
    const { role, stream = '' } = granted(roleRef, namespace)
    return (subjects ?? []).map((subject) => ({
      subject: formatSubject(boundIn(subject, namespace)),
      role,
      stream,
      project: namespace,
      binding: name,
    }))
  })
  printRows(context.stdout, format, grants, printing)
}

function ofKind(kind: string, list: ApiList<RoleBinding> | undefined): RoleBinding[] {
  return (list?.items ?? []).map((item) => ({ kind, apiVersion: apiVersion(resources.roleBindings), ...item }))
}

function nameOf({ metadata }: RoleBinding): string {
  const { name = '', namespace } = metadata ?? {}
  return namespace === undefined ? name : `${namespace}/${name}`
}

const printing: Printing<Grant> = {
  name: ({ binding }) => binding,
  columns: [
    { header: 'SUBJECT', value: ({ subject }) => subject },
    { header: 'ROLE', value: ({ role }) => role },
    { header: 'PROJECT', value: ({ project }) => project || '*' },
    { header: 'STREAM', value: ({ stream }) => stream || '*' },
    { header: 'BINDING', value: ({ binding }) => binding, wide: true },
  ],
}
