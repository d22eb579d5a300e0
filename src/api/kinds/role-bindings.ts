import { roleBindingColumns } from '../columns/rbac-columns.ts'
import { rbacGroup } from '../groups.ts'
import type { Resource } from '../resource.ts'
import { roleBindingSchema } from '../schemas/rbac.ts'
import { type BindingsOptions, bindingHandlers } from './bindings.ts'

/** Bindings of a project. Nobody can give a role that allows more than he may himself, unless he may `bind` it. */
export function roleBindings(options: BindingsOptions): Resource {
  const resource = 'rolebindings'
  return {
    group: rbacGroup,
    version: 'v1',
    resource,
    singular: 'rolebinding',
    kind: 'RoleBinding',
    columns: roleBindingColumns,
    schema: roleBindingSchema,
    namespaced: true,
    dryRun: true,
    keepsManagedFields: true,
    follow: options.followObjects(resource),
    handlers: bindingHandlers(options, resource),
  }
}
