import type { ApiObject, Column } from '../resource.ts'
import { textAt, valueAt } from './columns.ts'

/** The columns of the audit log: who did what, to which object, allowed or denied and by what. */
export const auditColumns: readonly Column[] = [
  { name: 'Time', type: 'date', description: 'When it was answered.', value: (event) => textAt(event, 'time') },
  {
    name: 'Subject',
    type: 'string',
    description: 'The user name of who asked; of a refused login the one that was tried.',
    value: (event) => textAt(event, 'subject', 'name'),
  },
  { name: 'Verb', type: 'string', description: 'What was asked for.', value: (event) => textAt(event, 'verb') },
  { name: 'Object', type: 'string', description: 'What it was asked of.', value: objectOf },
  { name: 'Decision', type: 'string', description: 'allowed or denied.', value: (event) => textAt(event, 'decision') },
  { name: 'By', type: 'string', description: 'The binding, or the group, by which it was allowed.', value: grantOf },
  {
    name: 'Address',
    type: 'string',
    description: 'The IP address that it was asked from.',
    value: (event) => textAt(event, 'client', 'address'),
  },
  {
    name: 'Status',
    type: 'integer',
    description: "The answer's HTTP status.",
    value: ({ status }) => (typeof status === 'number' ? status : 0),
  },
  {
    name: 'Reason',
    type: 'string',
    description: 'Why it was denied or failed.',
    priority: 1,
    value: (event) => textAt(event, 'reason'),
  },
  {
    name: 'User Agent',
    type: 'string',
    description: 'The program that asked, as it calls itself.',
    priority: 1,
    value: (event) => textAt(event, 'client', 'userAgent'),
  },
]

function objectOf(event: ApiObject): string {
  const { count } = event
  if (typeof count === 'number') return `${count} more`
  const [resource, project, name] = ['resource', 'project', 'name'].map((field) => textAt(event, 'object', field))
  const path = [project, name].filter((part) => part !== '').join('/')
  return resource === 'tokens' ? `tokens ${name}`.trim() : `${resource} ${path}`.trim()
}

function grantOf(event: ApiObject): string {
  const grant = valueAt(event, 'grant')
  const place = textAt(grant, 'project')
  return `${textAt(grant, 'kind')} ${place === '' ? '' : `${place}/`}${textAt(grant, 'name')}`.trim()
}
