import type { Column } from '../resource.ts'
import { ageColumn, createdAtColumn, listAt, nameColumn, textAt } from './columns.ts'

/**
 * The columns of roles and their bindings.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/v1.33.0/pkg/printers/internalversion/printers.go
 */

export const roleColumns: readonly Column[] = [nameColumn, createdAtColumn]

export const roleBindingColumns = bindingColumns('roleBinding', {
  description:
    'RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.',
})

export const clusterRoleBindingColumns = bindingColumns('clusterRoleBinding', {
  description:
    'RoleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error. This field is immutable.',
})

function bindingColumns(kind: string, { description }: { description: string }): readonly Column[] {
  const subjects = (name: string, subjectKind: string, show: (subject: unknown) => string): Column => ({
    name,
    type: 'string',
    description: `${name} in the ${kind}`,
    priority: 1,
    value: (binding) =>
      listAt(binding, 'subjects')
        .filter((subject) => textAt(subject, 'kind') === subjectKind)
        .map(show)
        .join(', '),
  })
  return [
    nameColumn,
    {
      name: 'Role',
      type: 'string',
      description,
      value: (binding) => `${textAt(binding, 'roleRef', 'kind')}/${textAt(binding, 'roleRef', 'name')}`,
    },
    ageColumn,
    subjects('Users', 'User', (subject) => textAt(subject, 'name')),
    subjects('Groups', 'Group', (subject) => textAt(subject, 'name')),
    subjects(
      'ServiceAccounts',
      'ServiceAccount',
      (subject) => `${textAt(subject, 'namespace')}/${textAt(subject, 'name')}`,
    ),
  ]
}
