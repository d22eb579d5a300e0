import { type Command, InvalidArgumentError, Option } from 'commander'
import { isOwnName } from '../oci/reference.ts'
import type { AuditEvent } from './access-api.ts'
import { resources } from './api.ts'
import type { Client } from './client.ts'
import { parseDurationMs } from './duration.ts'
import { misuse } from './failures.ts'
import { fieldSelector } from './field-selector.ts'
import { type Format, formatOption, type Printing, printDocuments, printRows } from './output.ts'
import { parseProject, parseStreamReference } from './references.ts'
import { parseSubject, subjectOfUser } from './subjects.ts'
import { addVerb, countOption, type VerbContext } from './verbs.ts'

interface AuditOptions {
  since?: Moment
  until?: Moment
  subject?: string
  namespace?: string
  stream?: string
  verb?: string
  denied?: boolean
  allowed?: boolean
  limit?: number
  output?: Format
}

/** A point in time by what people write: how long ago, or when. */
type Moment = { agoMs: number } | { atMs: number }

const defaultLimit = 100

/** Adds `audit`. */
export function addAuditVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'audit', {
    does: 'Shows who did what, and what was refused, newest first.',
    example: 'weir audit --since 1h --denied',
    more: [
      'weir audit --stream demo/app --verb pull --since 2026-01-31T08:00:00Z',
      'weir audit --subject serviceaccount:demo/ci -o wide',
    ],
    words: `It takes the right to list auditevents, for -n PROJECT in that project alone. T is how long ago (90m, 7d) or a time such as
2026-01-31T08:00:00Z. SUBJECT is written as for weir grant. Verbs are those of the API, pull, login and refresh.`,
  })
    .option('--since <T>', 'from then on', momentOption)
    .option('--until <T>', 'until then', momentOption)
    .option('--subject <subject>', 'what this user, robot or anonymous did')
    .option('-n, --namespace <project>', 'in this project')
    .option('--stream <stream>', 'with this stream, PROJECT/STREAM or with -n')
    .option('--verb <verb>', 'this alone')
    .option('--denied', 'what was refused')
    .addOption(new Option('--allowed', 'what was not refused').conflicts('denied'))
    .option('--limit <count>', `so many of the newest (default: ${defaultLimit})`, countOption)
    .addOption(formatOption())
    .action(async ({ limit = defaultLimit, output, ...options }: AuditOptions) => {
      const selector = selectorOf(options, context.clock.now())
      await showEvents(context, await context.connect(), selector, limit, output)
    })
}

function selectorOf(options: AuditOptions, nowMs: number): string {
  const { since, until, subject, verb, denied, allowed } = options
  const [from, to] = [since, until].map((moment) => timeOf(moment, nowMs))
  if (from !== undefined && to !== undefined && from >= to) {
    throw misuse(`--since ${from} is not before --until ${to}: 2h is further back than 1h`)
  }
  const decision = denied === true ? 'denied' : allowed === true ? 'allowed' : undefined
  return fieldSelector({
    subject: subject === undefined ? undefined : userOf(subject, options.namespace ?? ''),
    ...placeOf(options),
    verb,
    decision,
    since: from,
    until: to,
  })
}

function placeOf({ namespace, stream }: AuditOptions): { project?: string; name?: string } {
  const project = namespace === undefined ? {} : { project: parseProject(namespace) }
  if (stream === undefined) return project
  if (isOwnName(stream)) {
    if (namespace !== undefined) return { ...project, name: stream }
    throw misuse(`--stream: of which project? Write PROJECT/${stream}, or -n PROJECT`)
  }
  const named = parseStreamReference(stream)
  if (named.tag !== undefined) throw misuse(`--stream: write ${named.project}/${named.stream}, without the tag`)
  if (namespace !== undefined && namespace !== named.project) {
    throw misuse(`--stream is of project ${named.project}, and -n says ${namespace}: leave out -n`)
  }
  return { project: named.project, name: named.stream }
}

/** The user name that the log has for a SUBJECT. */
function userOf(subject: string, project: string): string {
  if (subject === 'anonymous') return 'system:anonymous'
  const { kind, name, namespace } = parseSubject(subject, project)
  if (kind === 'Group') throw misuse('--subject: what is logged is of users, not of groups')
  return kind === 'ServiceAccount' ? `system:serviceaccount:${namespace}:${name}` : name
}

function momentOption(value: string): Moment {
  const agoMs = parseDurationMs(value)
  if (agoMs !== undefined) return { agoMs }
  const atMs = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/.test(value)
    ? Date.parse(value)
    : Number.NaN
  if (Number.isNaN(atMs))
    throw new InvalidArgumentError('Write how long ago (90m, 7d) or a time: 2026-01-31T08:00:00Z.')
  return { atMs }
}

function timeOf(moment: Moment | undefined, nowMs: number): string | undefined {
  if (moment === undefined) return undefined
  return new Date('agoMs' in moment ? nowMs - moment.agoMs : moment.atMs).toISOString()
}

async function showEvents(
  context: VerbContext,
  client: Client,
  selector: string,
  limit: number,
  format: Format | undefined,
): Promise<void> {
  const query: Record<string, string> = selector === '' ? {} : { fieldSelector: selector }
  const events = await client.list<AuditEvent>({ resource: resources.auditEvents }, { query, limit })
  if (format === 'json' || format === 'yaml') return printDocuments(context.stdout, format, events)
  if (events.items.length === 0) context.note('nothing is logged of that')
  printRows(context.stdout, format, events.items, printing)
  const last = events.items.at(-1)
  if (events.metadata?.continue && last?.time !== undefined) {
    context.note(`note: there may be older ones: --limit ${limit * 10}, or --until ${last.time}`)
  }
}

const printing: Printing<AuditEvent> = {
  name: ({ requestId }) => requestId ?? '',
  columns: [
    { header: 'TIME', value: ({ time }) => time ?? '' },
    { header: 'SUBJECT', value: ({ subject }) => (subject?.name ? subjectOfUser(subject.name) : '-') },
    { header: 'VERB', value: ({ verb }) => verb ?? '' },
    { header: 'OBJECT', value: objectText },
    { header: 'DECISION', value: ({ decision }) => decision ?? '' },
    { header: 'BY', value: grantText },
    { header: 'ADDRESS', value: ({ client }) => client?.address ?? '' },
    { header: 'STATUS', value: ({ status }) => String(status ?? ''), wide: true },
    { header: 'REASON', value: ({ reason }) => reason || '-', wide: true },
    { header: 'PROVIDER', value: ({ subject }) => subject?.provider || '-', wide: true },
    { header: 'CLIENT', value: ({ client }) => client?.userAgent || '-', wide: true },
    { header: 'REQUEST', value: ({ requestId }) => requestId ?? '', wide: true },
  ],
}

function objectText({ object, count }: AuditEvent): string {
  if (count !== undefined) return `${count} more`
  const { resource = '', project = '', name = '' } = object ?? {}
  const path = resource === 'tokens' ? name : [project, name].filter((part) => part !== '').join('/')
  return `${resource} ${path}`.trim() || '-'
}

function grantText({ grant }: AuditEvent): string {
  if (grant === undefined) return '-'
  const { kind = '', project, name = '' } = grant
  return `${kind} ${project ? `${project}/` : ''}${name}`.trim()
}
