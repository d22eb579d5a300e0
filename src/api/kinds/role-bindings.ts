import { z } from 'zod'
import type { Rbac } from '../../access/access.ts'
import { builtinRoles } from '../../access/roles.ts'
import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import type { Objects, StoredObject } from '../../store/objects.ts'
import { roleBindingColumns } from '../columns/rbac-columns.ts'
import { atMost, forbiddenField, invalid, notSupported, required } from '../fields.ts'
import { rbacGroup } from '../groups.ts'
import { dnsLabel, dnsSubdomain, pathSegment } from '../metadata.ts'
import type { Call, Follow, Resource } from '../resource.ts'
import { roleBindingSchema } from '../schemas/rbac.ts'
import { storedHandlers } from '../stored.ts'
import { escalation } from './roles.ts'

export interface RoleBindingsOptions {
  objects: Objects
  authorizer: Pick<Rbac, 'holdsAll' | 'rulesOf' | 'reached'>
  followObjects(resource: string): Follow
}

const maxSubjects = 1000

type SubjectKind = 'User' | 'Group' | 'ServiceAccount'

const roleRef = z.object({
  apiGroup: z
    .string()
    .default(rbacGroup)
    .transform((group) => group || rbacGroup),
  kind: z.string().default(''),
  name: z.string().default(''),
})

const bindingSubject = z
  .object({
    kind: z.string().default(''),
    apiGroup: z.string().optional(),
    name: z.string().default(''),
    namespace: z.string().optional(),
  })
  .transform(({ kind, apiGroup, name, namespace }) => ({
    kind,
    ...(kind === 'ServiceAccount' ? apiGroup && { apiGroup } : { apiGroup: apiGroup || rbacGroup }),
    name,
    ...(namespace && { namespace }),
  }))

const bindingFields = z.object({
  subjects: z
    .array(bindingSubject)
    .nullish()
    .transform((subjects) => subjects ?? []),
  roleRef: roleRef,
})

type BindingFields = z.infer<typeof bindingFields>

/** Bindings of a project. Nobody can give a role that allows more than he may himself, unless he may `bind` it. */
export function roleBindings({ objects, authorizer, followObjects }: RoleBindingsOptions): Resource {
  const handlers = storedHandlers({
    objects,
    group: rbacGroup,
    resource: 'rolebindings',
    schema: bindingFields,
    nameRule: pathSegment,
    checkSent: ({ subjects }) => atMost('subjects', subjects, maxSubjects),
    check: checkBinding,
    checkChange: checkRoleRef,
    authorize: (fields, call, name) => authorizeBinding(authorizer, fields, call, name),
    written: authorizer.reached,
  })
  return {
    group: rbacGroup,
    version: 'v1',
    resource: 'rolebindings',
    singular: 'rolebinding',
    kind: 'RoleBinding',
    columns: roleBindingColumns,
    schema: roleBindingSchema,
    namespaced: true,
    dryRun: true,
    keepsManagedFields: true,
    follow: followObjects('rolebindings'),
    handlers,
  }
}

function authorizeBinding(
  authorizer: Pick<Rbac, 'holdsAll' | 'rulesOf'>,
  { roleRef: { kind, name: role } }: BindingFields,
  { subject, project, can }: Call,
  name: string,
): void {
  const resource = kind === 'Role' ? 'roles' : 'clusterroles'
  const rules = authorizer.rulesOf({ kind: kind === 'Role' ? 'Role' : 'ClusterRole', name: role }, project)
  if (rules === undefined) throw noRole(resource, role)
  if (can({ verb: 'bind', group: rbacGroup, resource, name: role, project })) return
  const missing = authorizer.holdsAll(subject, rules, project)
  if (missing.length > 0) throw escalation(subject, { name, kind: 'rolebindings', group: rbacGroup }, missing)
}

function noRole(resource: 'roles' | 'clusterroles', name: string): RegistryError {
  const hint =
    resource === 'roles' ? 'create the role first' : `built in are ${builtinRoles.map((role) => role.name).join(', ')}`
  return new RegistryError('NOT_FOUND', {
    message: `${resource}.${rbacGroup} "${name}" not found; ${hint}`,
    subject: { name, kind: resource, group: rbacGroup },
  })
}

function checkBinding({ roleRef, subjects }: BindingFields, _call: Call): FieldCause[] {
  return [...checkRoleRefFields(roleRef), ...subjects.flatMap((subject, i) => checkSubject(subject, `subjects[${i}]`))]
}

function checkRoleRefFields({ apiGroup, kind, name }: BindingFields['roleRef']): FieldCause[] {
  const causes: FieldCause[] = []
  if (apiGroup !== rbacGroup) causes.push(notSupported('roleRef.apiGroup', apiGroup, [rbacGroup]))
  if (kind !== 'Role' && kind !== 'ClusterRole') {
    causes.push(notSupported('roleRef.kind', kind, ['Role', 'ClusterRole']))
  }
  if (name === '') causes.push(required('roleRef.name', 'which role is bound'))
  return causes
}

function checkSubject(subject: BindingFields['subjects'][number], at: string): FieldCause[] {
  const { kind, apiGroup = '', name, namespace } = subject
  if (!isSubjectKind(kind)) return [notSupported(`${at}.kind`, kind, ['ServiceAccount', 'User', 'Group'])]
  const causes: FieldCause[] = []
  const wanted = kind === 'ServiceAccount' ? '' : rbacGroup
  if (apiGroup !== wanted) causes.push(notSupported(`${at}.apiGroup`, apiGroup, [wanted]))
  if (name === '') causes.push(required(`${at}.name`, `the name of the ${kind}`))
  if (kind !== 'ServiceAccount') {
    return namespace ? [...causes, forbiddenField(`${at}.namespace`, `a ${kind} is in no namespace`)] : causes
  }
  const badName = name === '' ? undefined : dnsSubdomain(name)
  if (badName !== undefined) causes.push(invalid(`${at}.name`, name, badName))
  if (!namespace) return [...causes, required(`${at}.namespace`, 'the project of the service account')]
  const badNamespace = dnsLabel(namespace)
  return badNamespace === undefined ? causes : [...causes, invalid(`${at}.namespace`, namespace, badNamespace)]
}

function isSubjectKind(kind: string): kind is SubjectKind {
  return kind === 'User' || kind === 'Group' || kind === 'ServiceAccount'
}

// Whoever may change subjects must not get at another role by the way (Kubernetes' rule).
function checkRoleRef(before: StoredObject, { roleRef: after }: BindingFields): FieldCause[] {
  const current = roleRef.parse(before.roleRef)
  const same = current.apiGroup === after.apiGroup && current.kind === after.kind && current.name === after.name
  return same ? [] : [invalid('roleRef', after, 'cannot change roleRef; delete the binding and create another')]
}
