import { z } from 'zod'
import type { PolicyRule, Rbac, Subject } from '../../access/access.ts'
import { builtinRoles } from '../../access/roles.ts'
import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import type { Objects } from '../../store/objects.ts'
import { roleColumns } from '../columns/rbac-columns.ts'
import { atMost, forbiddenField, invalid, required } from '../fields.ts'
import { rbacGroup } from '../groups.ts'
import { pathSegment } from '../metadata.ts'
import type { ApiObject, Call, Follow, Resource } from '../resource.ts'
import { clusterRoleSchema, roleSchema } from '../schemas/rbac.ts'
import { storedHandlers } from '../stored.ts'

export interface RolesOptions {
  objects: Objects
  authorizer: Pick<Rbac, 'holdsAll' | 'reached'>
  followObjects(resource: string): Follow
}

const maxRules = 100
const maxListItems = 1000

const strings = z.array(z.string())
const roleFields = z.object({
  rules: z
    .array(
      z.object({
        verbs: strings,
        apiGroups: strings.optional(),
        resources: strings.optional(),
        resourceNames: strings.optional(),
        nonResourceURLs: strings.nullish(),
      }),
    )
    .nullish()
    .transform((rules) => rules ?? []),
})

type RoleFields = z.infer<typeof roleFields>

/** Roles of a project. Nobody can write one that allows more than he may himself. */
export function roles({ objects, authorizer, followObjects }: RolesOptions): Resource {
  const handlers = storedHandlers({
    objects,
    group: rbacGroup,
    resource: 'roles',
    schema: roleFields,
    nameRule: pathSegment,
    checkSent: checkLengths,
    check: checkRules,
    authorize: ({ rules }, call, name) => {
      const right = { group: rbacGroup, resource: 'roles', name, project: call.project }
      if (call.can({ verb: 'escalate', ...right })) return
      const missing = authorizer.holdsAll(call.subject, rules.map(policyRule), call.project)
      if (missing.length > 0) throw escalation(call.subject, { name, kind: 'roles', group: rbacGroup }, missing)
    },
    written: authorizer.reached,
  })
  return {
    group: rbacGroup,
    version: 'v1',
    resource: 'roles',
    singular: 'role',
    kind: 'Role',
    columns: roleColumns,
    schema: roleSchema,
    namespaced: true,
    dryRun: true,
    keepsManagedFields: true,
    follow: followObjects('roles'),
    handlers,
  }
}

/** The built-in roles, for everyone to read: they are part of the product. */
export function clusterRoles({ authorizer }: { authorizer: Pick<Rbac, 'rulesOf'> }): Resource {
  const shown = ({ name, description, labels, aggregationRule }: (typeof builtinRoles)[number]): ApiObject => ({
    metadata: { name, creationTimestamp: null, labels, annotations: { 'openshift.io/description': description } },
    rules: authorizer.rulesOf({ kind: 'ClusterRole', name }, ''),
    ...(aggregationRule && { aggregationRule }),
  })
  return {
    group: rbacGroup,
    version: 'v1',
    resource: 'clusterroles',
    singular: 'clusterrole',
    kind: 'ClusterRole',
    columns: roleColumns,
    schema: clusterRoleSchema,
    namespaced: false,
    admission: { get: 'anyone', list: 'anyone' },
    handlers: {
      get: async ({ name }) => builtinRoles.filter((role) => role.name === name).map(shown)[0],
      list: async () => ({ items: builtinRoles.map(shown) }),
    },
  }
}

/** The refusal to give what the caller does not have. */
export function escalation(
  { name, groups }: Subject,
  subject: { name: string; kind: string; group: string },
  missing: readonly PolicyRule[],
): RegistryError {
  const shown = missing.slice(0, 5).map(formatRule).join(', ')
  const more = missing.length > 5 ? ` and ${missing.length - 5} more` : ''
  return new RegistryError('FORBIDDEN', {
    message: `${subject.kind}.${subject.group} "${subject.name}" is forbidden: user "${name}" (groups=${JSON.stringify(groups)}) is attempting to grant RBAC permissions not currently held: ${shown}${more}`,
    subject,
  })
}

function formatRule({ apiGroups, resources, resourceNames, verbs }: PolicyRule): string {
  const names = resourceNames?.length ? `, ResourceNames:${JSON.stringify(resourceNames)}` : ''
  return `{APIGroups:${JSON.stringify(apiGroups)}, Resources:${JSON.stringify(resources)}${names}, Verbs:${JSON.stringify(verbs)}}`
}

function policyRule({ verbs, apiGroups, resources, resourceNames }: RoleFields['rules'][number]): PolicyRule {
  return { verbs, apiGroups: apiGroups ?? [], resources: resources ?? [], ...(resourceNames && { resourceNames }) }
}

// Each question whether somebody may do something passes through the rules of his roles.
function checkLengths({ rules }: Record<string, unknown>): FieldCause[] {
  const tooMany = atMost('rules', rules, maxRules)
  if (tooMany.length > 0 || !Array.isArray(rules)) return tooMany
  return rules.flatMap((rule: unknown, i) =>
    typeof rule === 'object' && rule !== null
      ? Object.entries(rule).flatMap(([field, list]) => atMost(`rules[${i}].${field}`, list, maxListItems))
      : [],
  )
}

function checkRules({ rules }: RoleFields, _call: Call): FieldCause[] {
  return rules.flatMap((rule, i) => {
    const at = `rules[${i}]`
    const causes: FieldCause[] = []
    if (rule.verbs.length === 0) causes.push(required(`${at}.verbs`, 'verbs must contain at least one value'))
    if (rule.resourceNames?.includes('')) {
      causes.push(
        invalid(`${at}.resourceNames`, '', 'no object has an empty name; leave resourceNames out to mean all'),
      )
    }
    if (rule.nonResourceURLs?.length) {
      causes.push(forbiddenField(`${at}.nonResourceURLs`, 'namespaced rules cannot apply to non-resource URLs'))
    }
    if (!rule.apiGroups?.length) {
      causes.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'))
    }
    if (!rule.resources?.length) {
      causes.push(required(`${at}.resources`, 'resource rules must supply at least one resource'))
    }
    return causes
  })
}
