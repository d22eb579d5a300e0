import { clusterRoleBindingColumns } from '../columns/rbac-columns.ts'
import { rbacGroup } from '../groups.ts'
import type { Resource } from '../resource.ts'
import { clusterRoleBindingSchema } from '../schemas/rbac.ts'
import { type BindingsOptions, bindingHandlers } from './bindings.ts'

/** Bindings for the whole cluster. What they give holds in every project, so whoever gives it must hold it so himself. */
export function clusterRoleBindings(options: BindingsOptions): Resource {
  const resource = 'clusterrolebindings'
  return {
    group: rbacGroup,
    version: 'v1',
    resource,
    singular: 'clusterrolebinding',
    kind: 'ClusterRoleBinding',
    columns: clusterRoleBindingColumns,
    schema: clusterRoleBindingSchema,
    namespaced: false,
    dryRun: true,
    keepsManagedFields: true,
    follow: options.followObjects(resource),
    handlers: bindingHandlers(options, resource),
  }
}
