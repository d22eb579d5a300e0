import type { ApiObject, Column } from '../resource.ts'
import { ageColumn, nameColumn, textAt } from './columns.ts'

/** The columns of the ledger: what happened to a tag, when, and who did it. */
export const tagEventColumns: readonly Column[] = [
  nameColumn,
  {
    name: 'Revision',
    type: 'integer',
    description: 'The number of the entry in the ledger of its tag.',
    value: ({ revision }) => (typeof revision === 'number' ? revision : 0),
  },
  {
    name: 'Image',
    type: 'string',
    description: 'The digest that the tag stood at afterwards; empty when the tag was deleted.',
    value: (event) => textAt(event, 'image'),
  },
  { name: 'Cause', type: 'string', description: 'What moved the tag.', value: cause },
  {
    name: 'By',
    type: 'string',
    description: 'Who or what moved the tag.',
    value: (event) => textAt(event, 'cause', 'by'),
  },
  ageColumn,
  {
    name: 'Reason',
    type: 'string',
    description: 'Why, as whoever moved the tag put it.',
    priority: 1,
    value: (event) => textAt(event, 'cause', 'reason'),
  },
]

function cause(event: ApiObject): string {
  const kind = textAt(event, 'cause', 'kind')
  const { restoredRevision } = (event.cause ?? {}) as { restoredRevision?: unknown }
  return typeof restoredRevision === 'number' ? `${kind} to ${restoredRevision}` : kind
}
