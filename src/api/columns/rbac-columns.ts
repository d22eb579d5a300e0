import type { Column } from '../resource.ts'
import { ageColumn, createdAtColumn, listAt, nameColumn, textAt } from './columns.ts'

/**
 * The columns of roles and their bindings.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/v1.33.0/pkg/printers/internalversion/printers.go
 */

export const roleColumns: readonly Column[] = [nameColumn, createdAtColumn]

export const roleBindingColumns: readonly Column[] = [
  nameColumn,
  {
    name: 'Role',
    type: 'string',
    description:
      'RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.',
    value: (binding) => `${textAt(binding, 'roleRef', 'kind')}/${textAt(binding, 'roleRef', 'name')}`,
  },
  ageColumn,
  subjectsColumn('Users', 'User', (subject) => textAt(subject, 'name')),
  subjectsColumn('Groups', 'Group', (subject) => textAt(subject, 'name')),
  subjectsColumn(
    'ServiceAccounts',
    'ServiceAccount',
    (subject) => `${textAt(subject, 'namespace')}/${textAt(subject, 'name')}`,
  ),
]

function subjectsColumn(name: string, kind: string, show: (subject: unknown) => string): Column {
  return {
    name,
    type: 'string',
    description: `${name} in the roleBinding`,
    priority: 1,
    value: (binding) =>
      listAt(binding, 'subjects')
        .filter((subject) => textAt(subject, 'kind') === kind)
        .map(show)
        .join(', '),
  }
}
