import type { Command } from 'commander'
import { agoInWords } from './ages.ts'
import { type ApiObject, resources } from './api.ts'
import { fieldSelector } from './field-selector.ts'
import {
  type Column,
  type Format,
  formatOption,
  formatTable,
  type Printing,
  printDocuments,
  printRows,
} from './output.ts'
import { addVerb, type VerbContext } from './verbs.ts'

/** A registry as it is asked with one login, `weir.dev/v1`. */
interface Upstream extends ApiObject {
  host?: string
  login?: string
  reachable?: boolean
  lastAnswer?: string
  loginRefused?: { status?: number; at?: string }
  quota?: { limit?: number; remaining?: number; reserved?: number; window?: string }
  closedUntil?: string
  closedBy?: string
  requests?: number
  spent?: Spender[] | null
  nextFree?: string
  waiting?: number
}

interface Spender {
  namespace?: string
  stream?: string
  requests?: number
}

/** Adds `upstreams`. */
export function addUpstreamsVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'upstreams [HOST]', {
    does: 'Shows the registries that were asked: whether they answer, what is left of their limits, and who asked.',
    example: 'weir upstreams',
    more: ['weir upstreams docker.io', 'weir upstreams -o wide'],
    words: `It takes the right to list upstreams, which cluster-admin has. A registry counts each login by itself. LEFT is what it says
of its own limit: of it the background (schedules, imports that wait, fetching ahead) leaves upstreams[].limits.reserve to who waits
for an answer. NEXT is when the background may ask next for what counts: HEADs go on where they are free. With HOST, who asked for
how much is listed by stream.`,
  })
    .addOption(formatOption())
    .action(async (host: string | undefined, { output }: { output?: Format }) => {
      const client = await context.connect()
      const query: Record<string, string> = host === undefined ? {} : { fieldSelector: fieldSelector({ host }) }
      const listed = await client.list<Upstream>({ resource: resources.upstreams }, { query })
      if (output === 'json' || output === 'yaml') return printDocuments(context.stdout, output, listed)
      if (listed.items.length === 0)
        context.note(`${host ?? 'no registry'} was ${host ? 'not ' : ''}asked since the start`)
      printRows(context.stdout, output, listed.items, printingAt(context.clock.now()))
      const spent = host === undefined ? [] : spentBy(listed.items)
      if (output !== 'name' && spent.length > 0) context.stdout.write(`\n${formatTable(spenderColumns, spent, false)}`)
    })
}

function printingAt(nowMs: number): Printing<Upstream> {
  return {
    name: ({ metadata }) => metadata?.name ?? '',
    columns: [
      { header: 'HOST', value: ({ host }) => host ?? '' },
      { header: 'LOGIN', value: ({ login }) => login ?? '-' },
      { header: 'REACHABLE', value: ({ reachable }) => (reachable === true ? 'yes' : 'no') },
      { header: 'LEFT', value: quotaText },
      { header: 'REQUESTS', value: ({ requests }) => String(requests ?? 0) },
      { header: 'MOST FOR', value: ({ spent }) => spenderText(spent?.[0]) },
      { header: 'NEXT', value: ({ nextFree }) => nextText(nextFree, nowMs) },
      { header: 'WHY', value: (upstream) => whyText(upstream, nowMs) },
      { header: 'WAITING', value: ({ waiting }) => String(waiting ?? 0), wide: true },
      { header: 'LAST ANSWER', value: ({ lastAnswer }) => agoInWords(lastAnswer, nowMs) || 'never', wide: true },
    ],
  }
}

function quotaText({ quota }: Upstream): string {
  if (quota?.limit === undefined) return '-'
  const { remaining = 0, limit, window = '' } = quota
  return `${remaining}/${limit} in ${window}`
}

function spenderText(spender: Spender | undefined): string {
  if (spender === undefined) return '-'
  const { namespace = '', stream = '', requests = 0 } = spender
  return `${namespace}/${stream} (${requests})`
}

function nextText(nextFree: string | undefined, nowMs: number): string {
  const atMs = Date.parse(nextFree ?? '')
  return Number.isNaN(atMs) || atMs - nowMs < 1000 ? 'now' : (nextFree ?? '')
}

function whyText({ closedBy, quota, nextFree, closedUntil, loginRefused }: Upstream, nowMs: number): string {
  if (closedUntil !== undefined) return closedBy ?? ''
  if (loginRefused !== undefined) {
    return `the login was refused (${loginRefused.status ?? ''}) ${agoInWords(loginRefused.at, nowMs)}`
  }
  const { remaining, reserved } = quota ?? {}
  const isReserve = remaining !== undefined && reserved !== undefined && remaining <= reserved
  return isReserve && nextFree !== undefined ? `the last ${reserved} are for who waits` : '-'
}

interface StreamSpent extends Spender {
  login: string
}

function spentBy(upstreams: readonly Upstream[]): StreamSpent[] {
  return upstreams.flatMap(({ login = '-', spent }) => (spent ?? []).map((each) => ({ ...each, login })))
}

const spenderColumns: readonly Column<StreamSpent>[] = [
  { header: 'STREAM', value: ({ namespace = '', stream = '' }) => `${namespace}/${stream}` },
  { header: 'LOGIN', value: ({ login }) => login },
  { header: 'REQUESTS', value: ({ requests }) => String(requests ?? 0) },
]
