import { ageOf, formatAge, parseTime } from '../age.ts'
import type { Column } from '../resource.ts'
import { nameColumn, textAt } from './columns.ts'

/** The columns of logins: whose, from where, and until when. */
export const sessionColumns: readonly Column[] = [
  nameColumn,
  {
    name: 'Subject',
    type: 'string',
    description: 'Who logged in.',
    value: (session) => textAt(session, 'user', 'name'),
  },
  {
    name: 'Client',
    type: 'string',
    description: 'What the client said it is.',
    value: (session) => textAt(session, 'clientId'),
  },
  {
    name: 'Address',
    type: 'string',
    description: 'Where the session was last used.',
    value: (session) => textAt(session, 'client', 'address'),
  },
  {
    name: 'Last-Used',
    type: 'string',
    description: 'How long ago the session was last used.',
    value: ({ usedAt }, nowMs) => ageOf(usedAt, nowMs),
  },
  {
    name: 'Ends',
    type: 'string',
    description: 'How long the session goes on.',
    value: ({ endsAt }, nowMs) => formatAge((parseTime(endsAt) ?? Number.NaN) - nowMs),
  },
  {
    name: 'Provider',
    type: 'string',
    description: 'Who knows the user.',
    priority: 1,
    value: (session) => textAt(session, 'provider'),
  },
  {
    name: 'User-Agent',
    type: 'string',
    description: 'What the client called itself.',
    priority: 1,
    value: (session) => textAt(session, 'client', 'userAgent'),
  },
]
