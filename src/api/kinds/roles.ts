import { z } from 'zod'
import type { Rbac } from '../../access/access.ts'
import type { Objects } from '../../store/objects.ts'
import { roleColumns } from '../columns/rbac-columns.ts'
import { rbacGroup } from '../groups.ts'
import { pathSegment } from '../metadata.ts'
import type { Follow, Resource } from '../resource.ts'
import { roleSchema } from '../schemas/rbac.ts'
import { storedHandlers } from '../stored.ts'
import { checkLengths, checkRules, mayEscalate, policyRules, requireHeld, rulesField } from './role-rules.ts'

export interface RolesOptions {
  objects: Objects
  authorizer: Pick<Rbac, 'holdsAll' | 'reached'>
  followObjects(resource: string): Follow
}

const resource = 'roles'

/** Each question who may what in the project passes through those that are bound to who asks. */
const quota = { most: 1000, mostLength: 8 * 1024 * 1024 }

/** Roles of a project. Nobody can write one that allows more than he may himself. */
export function roles({ objects, authorizer, followObjects }: RolesOptions): Resource {
  const handlers = storedHandlers({
    objects,
    group: rbacGroup,
    resource,
    schema: z.object({ rules: rulesField }),
    nameRule: pathSegment,
    checkSent: checkLengths,
    check: ({ rules }) => checkRules(rules, { isNamespaced: true }),
    authorize: ({ rules }, call, name) => {
      if (!mayEscalate(call, resource)) requireHeld(authorizer, call, policyRules(rules), { resource, name })
    },
    written: authorizer.reached,
    quota,
  })
  return {
    group: rbacGroup,
    version: 'v1',
    resource,
    singular: 'role',
    kind: 'Role',
    columns: roleColumns,
    schema: roleSchema,
    namespaced: true,
    dryRun: true,
    keepsManagedFields: true,
    follow: followObjects(resource),
    handlers,
  }
}
