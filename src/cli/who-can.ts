import type { Command } from 'commander'
import type { AccessReview, ResourceAccessReviewResponse } from './access-api.ts'
import { apiVersion, type RbacSubject, resources } from './api.ts'
import type { Client } from './client.ts'
import { mapFew } from './concurrent.ts'
import { unlessForbidden } from './failures.ts'
import { type Format, formatOption, type Printing, printObject, printRows } from './output.ts'
import { parseRight, type Right, type RightOptions, rightWords, subresourceOption } from './rights.ts'
import { formatSubject, subjectOfUser } from './subjects.ts'
import { addVerb, type VerbContext } from './verbs.ts'

interface WhoCanOptions extends RightOptions {
  output?: Format
}

/** Somebody, as `weir grant` names him, and as a review asks about him. */
interface Allowed {
  subject: string
  spec: { user: string } | { groups: string[] }
  /** By what he is allowed; known in a wide table alone. */
  by?: string
}

/** Adds `who-can`. */
export function addWhoCanVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'who-can <verb> [resource/name]', {
    does: 'Lists who may do something, as weir grant and weir revoke name them.',
    example: 'weir who-can pull demo/app',
    more: ['weir who-can delete imagestreamtags -n demo -o wide'],
    words: `${rightWords} -o wide tells by which binding.`,
  })
    .option('-n, --namespace <project>', 'in this project')
    .addOption(subresourceOption())
    .addOption(formatOption())
    .action(async (verb: string, target: string | undefined, options: WhoCanOptions) => {
      const read = parseRight(verb, target, options)
      const client = await context.connect()
      await listAllowed(context, client, await read(client, context), options.output)
    })
}

async function listAllowed(
  context: VerbContext,
  client: Client,
  right: Right,
  format: Format | undefined,
): Promise<void> {
  const isLocal = right.project !== ''
  const resource = isLocal ? resources.localResourceAccessReviews : resources.resourceAccessReviews
  const body = {
    kind: isLocal ? 'LocalResourceAccessReview' : 'ResourceAccessReview',
    apiVersion: apiVersion(resource),
    namespace: right.project,
    verb: right.verb,
    resourceAPIGroup: right.group,
    resource: wholeResource(right),
    resourceName: right.name,
  }
  const target = isLocal ? { resource, project: right.project } : { resource }
  const answer = await client.request<ResourceAccessReviewResponse>('POST', target, { body })
  // Spelled as OpenShift spells it.
  if (answer.evalutionError) context.note(`note: the list is not whole: ${answer.evalutionError}`)
  if (format === 'json' || format === 'yaml') return printObject(context.stdout, format, answer, { name: '', text: '' })
  const allowed = [...(answer.users ?? []).map(ofUser), ...(answer.groups ?? []).map(ofGroup)]
  if (allowed.length === 0) context.note('nobody')
  const rows = format === 'wide' ? await withReasons(client, right, allowed) : allowed
  printRows(context.stdout, format, rows, printing)
}

function ofUser(user: string): Allowed {
  return { subject: subjectOfUser(user), spec: { user } }
}

function ofGroup(name: string): Allowed {
  const group: RbacSubject = { kind: 'Group', name }
  return { subject: formatSubject(group), spec: { groups: [name] } }
}

/** Asks about each by what he is allowed; who may not ask is told nothing. */
async function withReasons(client: Client, right: Right, allowed: readonly Allowed[]): Promise<Allowed[]> {
  const isLocal = right.project !== ''
  const resource = isLocal ? resources.localSubjectAccessReviews : resources.subjectAccessReviews
  const { project, ...attributes } = right
  return mapFew(allowed, 4, async (each) => {
    const body = {
      kind: isLocal ? 'LocalSubjectAccessReview' : 'SubjectAccessReview',
      apiVersion: apiVersion(resource),
      ...(isLocal ? { metadata: { namespace: project } } : {}),
      spec: { resourceAttributes: { namespace: project, ...attributes }, ...each.spec },
    }
    const target = isLocal ? { resource, project } : { resource }
    const review = await unlessForbidden(client.request<AccessReview>('POST', target, { body }), undefined)
    return { ...each, by: review?.status?.reason?.replace(/^RBAC: allowed by /, '') ?? '' }
  })
}

function wholeResource({ resource, subresource }: Right): string {
  return subresource === '' ? resource : `${resource}/${subresource}`
}

const printing: Printing<Allowed> = {
  name: ({ subject }) => subject,
  columns: [
    { header: 'SUBJECT', value: ({ subject }) => subject },
    { header: 'BY', value: ({ by }) => by || '-', wide: true },
  ],
}
