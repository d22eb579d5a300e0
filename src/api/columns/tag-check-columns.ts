import { ageOf, formatAge, parseTime } from '../age.ts'
import type { Column } from '../resource.ts'
import { nameColumn, textAt } from './columns.ts'

/** The columns of scheduled checks: of what, what came of the last, and when the next is. */
export const tagCheckColumns: readonly Column[] = [
  nameColumn,
  { name: 'From', type: 'string', description: 'What the tag follows.', value: (check) => textAt(check, 'from') },
  {
    name: 'Last Check',
    type: 'string',
    description: 'How long ago its source was asked.',
    value: (check, nowMs) => {
      const asked = textAt(check, 'lastCheck', 'time')
      return asked === '' ? '' : ageOf(asked, nowMs)
    },
  },
  { name: 'Result', type: 'string', description: 'What came of it.', value: result },
  {
    name: 'Next Check',
    type: 'string',
    description: 'In how long its source is asked again.',
    value: ({ nextCheck }, nowMs) => {
      const nextMs = parseTime(nextCheck)
      return nextMs === undefined ? '' : formatAge(Math.max(0, nextMs - nowMs))
    },
  },
  {
    name: 'Interval',
    type: 'string',
    description: 'Between two checks while they succeed.',
    priority: 1,
    value: (check) => textAt(check, 'interval'),
  },
  {
    name: 'Delayed By',
    type: 'string',
    description: 'What it waits for beyond its own time.',
    priority: 1,
    value: (check) => textAt(check, 'delayedBy') || (textAt(check, 'importWaits', 'reason') && 'Budget'),
  },
  {
    name: 'Image',
    type: 'string',
    description: 'Where the source pointed when it last answered.',
    priority: 1,
    value: (check) => textAt(check, 'lastCheck', 'image'),
  },
]

function result(check: object): string {
  const [outcome, reason] = [textAt(check, 'lastCheck', 'result'), textAt(check, 'lastCheck', 'reason')]
  return reason === '' ? outcome : `${outcome} (${reason})`
}
