import { ageOf, formatAge, parseTime } from '../age.ts'
import type { Column } from '../resource.ts'
import { textAt, valueAt } from './columns.ts'

/** The columns of registries: with which login, whether they answer, and what is left. */
export const upstreamColumns: readonly Column[] = [
  {
    name: 'Host',
    type: 'string',
    format: 'name',
    description: 'The registry.',
    value: (upstream) => textAt(upstream, 'host'),
  },
  {
    name: 'Login',
    type: 'string',
    description: 'With what it is asked.',
    value: (upstream) => textAt(upstream, 'login') || '<none>',
  },
  {
    name: 'Reachable',
    type: 'string',
    description: 'Whether the newest request was answered.',
    value: (upstream) => String(valueAt(upstream, 'reachable') === true),
  },
  {
    name: 'Quota',
    type: 'string',
    description: 'What is left of what it allows.',
    value: quotaText,
  },
  {
    name: 'Requests',
    type: 'integer',
    description: 'Requests since the start.',
    value: (upstream) => Number(valueAt(upstream, 'requests') ?? 0),
  },
  {
    name: 'Next Free',
    type: 'string',
    description: 'In how long the background may ask next.',
    value: ({ nextFree }, nowMs) => formatAge(Math.max(0, (parseTime(nextFree) ?? nowMs) - nowMs)),
  },
  {
    name: 'Last Answer',
    type: 'string',
    description: 'How long ago it last answered.',
    priority: 1,
    value: ({ lastAnswer }, nowMs) => (lastAnswer === undefined ? '' : ageOf(lastAnswer, nowMs)),
  },
  {
    name: 'Waiting',
    type: 'integer',
    description: 'Requests that wait for their turn.',
    priority: 1,
    value: (upstream) => Number(valueAt(upstream, 'waiting') ?? 0),
  },
  {
    name: 'Login Refused',
    type: 'string',
    description: 'With which status the login was refused the last time; empty when it was taken.',
    priority: 1,
    value: (upstream) => String(valueAt(upstream, 'loginRefused', 'status') ?? ''),
  },
  {
    name: 'Closed By',
    type: 'string',
    description: 'Why the background leaves it alone.',
    priority: 1,
    value: (upstream) => textAt(upstream, 'closedBy'),
  },
]

function quotaText(upstream: object): string {
  const [limit, remaining] = [valueAt(upstream, 'quota', 'limit'), valueAt(upstream, 'quota', 'remaining')]
  return limit === undefined ? '' : `${String(remaining)}/${String(limit)} in ${textAt(upstream, 'quota', 'window')}`
}
