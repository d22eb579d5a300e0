import type { Command } from 'commander'
import type { AccessReview, SelfSubjectRulesReview } from './access-api.ts'
import { apiVersion, type PolicyRule, resources } from './api.ts'
import type { Client } from './client.ts'
import { misuse, SaidNo } from './failures.ts'
import { type Format, formatOption, type Printing, printable, printObject, printRows } from './output.ts'
import { parseProject } from './references.ts'
import { parseRight, type Right, type RightOptions, rightWords, subresourceOption } from './rights.ts'
import { addVerb, type VerbContext } from './verbs.ts'

interface CanIOptions extends RightOptions {
  list?: boolean
  verbose?: boolean
  output?: Format
}

/** Adds `can-i`. */
export function addCanIVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'can-i [verb] [resource/name]', {
    does: 'Says whether you may do something: yes, or no with exit code 1.',
    example: 'weir can-i pull demo/app',
    more: ['weir can-i create imagestreams -n demo -v', 'weir can-i --list -n demo'],
    words: rightWords,
  })
    .option('-n, --namespace <project>', 'in this project')
    .addOption(subresourceOption())
    .option('--list', 'everything that you may do in the project')
    .option('-v, --verbose', 'by what, too')
    .addOption(formatOption())
    .action(async (verb: string | undefined, target: string | undefined, options: CanIOptions) => {
      if (options.list === true) {
        if (verb !== undefined) throw misuse('--list is of everything: leave out the rest')
        if (options.namespace === undefined) throw misuse('--list needs -n PROJECT')
        const project = parseProject(options.namespace)
        return listRights(context, await context.connect(), project, options.output)
      }
      if (verb === undefined) throw misuse('can you do what? weir can-i pull PROJECT/STREAM, or weir can-i --list')
      const read = parseRight(verb, target, options)
      const client = await context.connect()
      await answer(context, client, await read(client, context), options)
    })
}

async function answer(
  context: VerbContext,
  client: Client,
  { project, ...attributes }: Right,
  { output, verbose = false }: CanIOptions,
): Promise<void> {
  const resource = resources.selfSubjectAccessReviews
  const body = {
    kind: 'SelfSubjectAccessReview',
    apiVersion: apiVersion(resource),
    spec: { resourceAttributes: { namespace: project, ...attributes } },
  }
  const review = await client.request<AccessReview>('POST', { resource }, { body })
  const { allowed = false, reason, evaluationError } = review.status ?? {}
  const word = allowed ? 'yes' : 'no'
  const why = reason || evaluationError || (allowed ? '' : 'no binding allows it')
  const text = (verbose || output === 'wide') && why !== '' ? `${word}: ${printable(why)}` : word
  printObject(context.stdout, output, review, { name: word, text })
  if (!allowed) throw new SaidNo()
}

async function listRights(
  context: VerbContext,
  client: Client,
  project: string,
  format: Format | undefined,
): Promise<void> {
  const resource = resources.selfSubjectRulesReviews
  const body = { kind: 'SelfSubjectRulesReview', apiVersion: apiVersion(resource), spec: { namespace: project } }
  const review = await client.request<SelfSubjectRulesReview>('POST', { resource }, { body })
  const { resourceRules, incomplete, evaluationError } = review.status ?? {}
  if (incomplete === true) context.note(`note: the list is not whole${evaluationError ? `: ${evaluationError}` : ''}`)
  if (format === 'json' || format === 'yaml') return printObject(context.stdout, format, review, { name: '', text: '' })
  printRows(context.stdout, format, rowsOf(resourceRules ?? []), rulePrinting)
}

/** What may be done to one resource, whatever rules say so. */
interface RuleRow {
  /** With its group. */
  resource: string
  names: string
  verbs: Set<string>
}

const rulePrinting: Printing<RuleRow> = {
  name: ({ resource }) => resource,
  columns: [
    { header: 'RESOURCE', value: ({ resource }) => resource },
    { header: 'NAMES', value: ({ names }) => names },
    { header: 'VERBS', value: ({ verbs }) => [...verbs].join(',') },
  ],
}

/** A row for each resource, and for each list of names of it, by their names. */
function rowsOf(rules: readonly PolicyRule[]): RuleRow[] {
  const rows = new Map<string, RuleRow>()
  for (const rule of rules) {
    const names = rule.resourceNames?.join(',') || '*'
    for (const resource of resourcesOf(rule)) {
      const key = `${resource} ${names}`
      const row = rows.get(key) ?? { resource, names, verbs: new Set() }
      rows.set(key, row)
      for (const verb of rule.verbs ?? []) row.verbs.add(verb)
    }
  }
  return [...rows.values()].toSorted((a, b) => (a.resource < b.resource ? -1 : Number(a.resource > b.resource)))
}

/** What is of the core group, also where a rule names it together with OpenShift's. */
const coreKinds: ReadonlySet<string> = new Set(['namespaces', 'serviceaccounts', 'secrets', 'configmaps', 'events'])

/** Each with its group. OpenShift's roles name theirs in the core group too, where they once were: that is left out. */
function resourcesOf({ resources: plurals = [], apiGroups = [] }: PolicyRule): string[] {
  const named = apiGroups.filter((group) => group !== '')
  if (named.length === 0) return plurals
  const isCore = (plural: string) => named.length < apiGroups.length && coreKinds.has(plural.split('/')[0] ?? '')
  return plurals.flatMap((plural) => (isCore(plural) ? plural : named.map((group) => `${plural}.${group}`)))
}
