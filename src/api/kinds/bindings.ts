import { z } from 'zod'
import type { Rbac } from '../../access/access.ts'
import { builtinRoles } from '../../access/roles.ts'
import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import type { Objects, StoredObject } from '../../store/objects.ts'
import { atMost, forbiddenField, invalid, notSupported, required } from '../fields.ts'
import { rbacGroup } from '../groups.ts'
import { dnsLabel, dnsSubdomain, pathSegment } from '../metadata.ts'
import type { Call, Follow } from '../resource.ts'
import { storedHandlers } from '../stored.ts'
import { requireHeld, type Written } from './role-rules.ts'

/** What RoleBindings and ClusterRoleBindings have in common: their fields, and who may write them. */

export interface BindingsOptions {
  objects: Objects
  authorizer: Pick<Rbac, 'holdsAll' | 'rulesOf' | 'reached'>
  followObjects(resource: string): Follow
}

type BindingResource = 'rolebindings' | 'clusterrolebindings'

const maxSubjects = 1000

/** Of a project; those of the whole cluster are few people's. */
const quota = { most: 2000, mostLength: 8 * 1024 * 1024 }

/** The built-in roles that are there to be bound: the others are parts of them. */
const toBind = builtinRoles.map(({ name }) => name).filter((name) => !name.startsWith('system:aggregate-to-'))

type RoleKind = 'Role' | 'ClusterRole'
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

/** The handlers of either kind: RoleBindings bind roles of both kinds, ClusterRoleBindings those of the whole cluster. */
export function bindingHandlers({ objects, authorizer }: BindingsOptions, resource: BindingResource) {
  const roleKinds: readonly RoleKind[] = resource === 'rolebindings' ? ['Role', 'ClusterRole'] : ['ClusterRole']
  return storedHandlers({
    objects,
    group: rbacGroup,
    resource,
    schema: bindingFields,
    nameRule: pathSegment,
    checkSent: ({ subjects }) => atMost('subjects', subjects, maxSubjects),
    check: (fields) => checkBinding(fields, roleKinds),
    checkChange: checkRoleRef,
    authorize: (fields, call, name) => requireMayBind(authorizer, fields, call, { resource, name }),
    written: authorizer.reached,
    ...(resource === 'rolebindings' && { quota }),
  })
}

/**
 * Whoever may `bind` the role may do so before it is there, as the masters may, so that they can send what belongs together
 * in any order; of others it must be known what they give.
 *
 * @throws RegistryError NOT_FOUND without such a role, FORBIDDEN when it allows more than the caller may himself
 */
function requireMayBind(
  authorizer: Pick<Rbac, 'holdsAll' | 'rulesOf'>,
  { roleRef: { kind, name } }: BindingFields,
  call: Call,
  written: Written,
): void {
  const isRole = kind === 'Role'
  const resource = isRole ? 'roles' : 'clusterroles'
  if (call.can({ verb: 'bind', group: rbacGroup, resource, name, project: call.project })) return
  const rules = authorizer.rulesOf({ kind: isRole ? 'Role' : 'ClusterRole', name }, call.project)
  if (rules === undefined) throw noRole(resource, name)
  requireHeld(authorizer, call, rules, written)
}

function noRole(resource: 'roles' | 'clusterroles', name: string): RegistryError {
  const hint = resource === 'roles' ? 'create the role first' : `create it first; built in are ${toBind.join(', ')}`
  return new RegistryError('NOT_FOUND', {
    message: `${resource}.${rbacGroup} "${name}" not found; ${hint}`,
    subject: { name, kind: resource, group: rbacGroup },
  })
}

function checkBinding({ roleRef, subjects }: BindingFields, roleKinds: readonly RoleKind[]): FieldCause[] {
  return [
    ...checkRoleRefFields(roleRef, roleKinds),
    ...subjects.flatMap((subject, i) => checkSubject(subject, `subjects[${i}]`)),
  ]
}

function checkRoleRefFields(
  { apiGroup, kind, name }: BindingFields['roleRef'],
  roleKinds: readonly RoleKind[],
): FieldCause[] {
  const causes: FieldCause[] = []
  if (apiGroup !== rbacGroup) causes.push(notSupported('roleRef.apiGroup', apiGroup, [rbacGroup]))
  if (!roleKinds.some((each) => each === kind)) causes.push(notSupported('roleRef.kind', kind, roleKinds))
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
