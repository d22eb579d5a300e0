import { z } from 'zod'
import type { PolicyRule, Rbac } from '../../access/access.ts'
import { type BuiltinRole, builtinRoles } from '../../access/roles.ts'
import { RegistryError } from '../../oci/errors.ts'
import { formatContinue, parseContinue } from '../../store/continue-token.ts'
import { type Objects, objectKey, objectPrefix } from '../../store/objects.ts'
import { parseObject } from '../body.ts'
import { roleColumns } from '../columns/rbac-columns.ts'
import { rbacGroup } from '../groups.ts'
import { pathSegment, withMetadata } from '../metadata.ts'
import type { ApiObject, Call, Follow, Handlers, Page, Resource } from '../resource.ts'
import { clusterRoleSchema } from '../schemas/rbac.ts'
import { maxPageItems, newestRevision, storedHandlers } from '../stored.ts'
import { aggregationRuleField, checkAggregationRule, checkSelectorLengths } from './aggregation-rule.ts'
import { checkLengths, checkRules, mayEscalate, policyRules, requireHeld, rulesField } from './role-rules.ts'

export interface ClusterRolesOptions {
  objects: Objects
  authorizer: Pick<Rbac, 'holdsAll' | 'rulesOf' | 'reached'>
  followObjects(resource: string): Follow
}

type Authorizer = ClusterRolesOptions['authorizer']

const resource = 'clusterroles'

const builtin: ReadonlyMap<string, BuiltinRole> = new Map(builtinRoles.map((role) => [role.name, role]))

/** Gathers the rules of any role, so whoever writes one must hold everything. */
const fullAuthority: readonly PolicyRule[] = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]

// The rules of an aggregated role are made of others: what is sent of them is what was answered before.
const clusterRoleFields = z
  .object({ rules: rulesField, aggregationRule: aggregationRuleField.nullish() })
  .transform(({ rules, aggregationRule }) => (aggregationRule ? { rules: [], aggregationRule } : { rules }))

/**
 * Cluster roles: the built-in ones, which everybody may read and nobody can change, and those that were made. Nobody can
 * write one that allows more than he may himself in the whole cluster. `nonResourceURLs` are kept and shown; nothing that
 * Weir serves is granted by them. The rules of an aggregated role are those of the roles that it selects as they are when it
 * is read; a watch tells of it when it is written itself, not when the others are.
 */
export function clusterRoles(options: ClusterRolesOptions): Resource {
  const { authorizer, followObjects } = options
  return {
    group: rbacGroup,
    version: 'v1',
    resource,
    singular: 'clusterrole',
    kind: 'ClusterRole',
    columns: roleColumns,
    schema: clusterRoleSchema,
    namespaced: false,
    admission: { get: 'handler', list: 'handler' },
    dryRun: true,
    keepsManagedFields: true,
    maySee: (call, { metadata: { name = '' } }) => builtin.has(name) || mayAny(call, ['list', 'watch'], ''),
    follow: followShown(followObjects(resource), authorizer),
    handlers: handlersOf(options),
  }
}

function handlersOf({ objects, authorizer }: ClusterRolesOptions): Handlers {
  const stored = storedHandlers({
    objects,
    group: rbacGroup,
    resource,
    schema: clusterRoleFields,
    nameRule: pathSegment,
    checkSent: (body) => [...checkLengths(body), ...checkSelectorLengths(body)],
    check: ({ rules, aggregationRule }) => [
      ...checkRules(rules, { isNamespaced: false }),
      ...checkAggregationRule(aggregationRule),
    ],
    authorize: ({ rules, aggregationRule }, call, name, before) => {
      if (mayEscalate(call, resource)) return
      const isAggregated = aggregationRule !== undefined || before?.aggregationRule !== undefined
      requireHeld(authorizer, call, isAggregated ? fullAuthority : policyRules(rules), { resource, name })
    },
    written: authorizer.reached,
  })
  const getAny = async (call: Call): Promise<ApiObject | undefined> => {
    const role = builtin.get(call.name)
    if (role !== undefined) return builtinObject(role, authorizer)
    const object = await stored.get(call)
    return object && shown(object, authorizer)
  }
  return {
    get: async (call) => {
      // Whoever may change a role is answered with it.
      const maySee = builtin.has(call.name) || mayAny(call, ['get', 'patch', 'update'], call.name)
      if (!maySee) call.require(right('get', call.name))
      return getAny(call)
    },
    getListed: getAny,
    list: async (call) => {
      const maySee = mayAny(call, ['list', 'watch', 'deletecollection'], '')
      const page: Page = maySee
        ? await stored.list(call)
        : { items: [], resourceVersion: String(await newestRevision(objects)) }
      const items = page.items.map((object) => shown(object, authorizer))
      return withBuiltin({ ...page, items }, call, authorizer)
    },
    create: async (call, body) => {
      refuseTaken(parseObject(withMetadata, body).metadata?.name ?? '')
      return shown(await stored.create(call, body), authorizer)
    },
    update: async (call, body) => {
      refuseBuiltin(call.name, 'changed')
      const { object } = await stored.update(call, body)
      return { object: shown(object, authorizer) }
    },
    delete: async (call, preconditions) => {
      refuseBuiltin(call.name, 'deleted')
      return stored.delete(call, preconditions)
    },
  }
}

/** A page of stored roles with the built-in ones in between, in the order of names. */
function withBuiltin(page: Page, { options }: Call, authorizer: Authorizer): Page {
  const after = options.continue === undefined ? '' : nameIn(options.continue)
  const until = page.continue === undefined ? undefined : nameIn(page.continue)
  const between = builtinRoles
    .filter(({ name }) => name > after && (until === undefined || name <= until))
    .map((role) => builtinObject(role, authorizer))
    .filter(options.selects)
  const nameOf = ({ metadata }: ApiObject) => metadata.name ?? ''
  const own = page.items.filter((object) => !builtin.has(nameOf(object)))
  const items = [...own, ...between].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  const limit = Math.min(options.limit ?? maxPageItems, maxPageItems)
  const last = items[limit - 1]
  if (items.length <= limit || last === undefined) return { ...page, items }
  const position = { after: objectKey(resource, '', nameOf(last)), revision: Number(page.resourceVersion) }
  return { ...page, items: items.slice(0, limit), continue: formatContinue(position) }
}

function nameIn(token: string): string {
  const prefix = objectPrefix(resource)
  return parseContinue(token, prefix).after.slice(objectKey(resource, '', '').length)
}

function builtinObject(role: BuiltinRole, authorizer: Authorizer): ApiObject {
  const { name, description, labels, aggregationRule } = role
  return {
    metadata: { name, creationTimestamp: null, labels, annotations: { 'openshift.io/description': description } },
    rules: rulesOf(name, authorizer),
    ...(aggregationRule && { aggregationRule }),
  }
}

/** A stored role with the rules that it has. */
function shown(object: ApiObject, authorizer: Authorizer): ApiObject {
  return object.aggregationRule ? { ...object, rules: rulesOf(object.metadata.name ?? '', authorizer) } : object
}

function rulesOf(name: string, { rulesOf }: Authorizer): object[] {
  return (rulesOf({ kind: 'ClusterRole', name }, '') ?? []).map((rule) =>
    Object.fromEntries(
      Object.entries(rule)
        .filter(([, list]) => list.length > 0)
        .map(([field, list]) => [field, [...list]]),
    ),
  )
}

/** Tells of a role once its rules are known here. */
function followShown(follow: Follow, authorizer: Authorizer): Follow {
  return async function* (options) {
    for await (const { revision, changes } of follow(options)) {
      if (changes.length > 0) await authorizer.reached(revision)
      const show = (object: ApiObject | undefined) => object && shown(object, authorizer)
      yield { revision, changes: changes.map(({ before, after }) => ({ before: show(before), after: show(after) })) }
    }
  }
}

function mayAny({ can }: Call, verbs: readonly string[], name: string): boolean {
  return verbs.some((verb) => can(right(verb, name)))
}

function right(verb: string, name: string) {
  return { verb, group: rbacGroup, resource, name, project: '' }
}

/** @throws RegistryError ALREADY_EXISTS */
function refuseTaken(name: string): void {
  if (builtin.has(name)) {
    throw new RegistryError('ALREADY_EXISTS', { subject: { name, kind: resource, group: rbacGroup } })
  }
}

/** @throws RegistryError FORBIDDEN that says what to do instead */
function refuseBuiltin(name: string, what: 'changed' | 'deleted'): void {
  const role = builtin.get(name)
  if (role === undefined) return
  const [label] = Object.keys(role.aggregationRule?.clusterRoleSelectors[0]?.matchLabels ?? {})
  const instead =
    label === undefined
      ? 'make a cluster role of your own, under another name'
      : `to extend it, make a cluster role of your own with the label ${label}: "true"`
  throw new RegistryError('FORBIDDEN', {
    message: `${resource}.${rbacGroup} "${name}" is forbidden: it is built in and cannot be ${what}; ${instead}`,
    subject: { name, kind: resource, group: rbacGroup },
  })
}
