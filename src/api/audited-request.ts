import type { Grant, Subject } from '../access/access.ts'
import type { AuditEvent } from '../audit/event.ts'
import { claimantOf, nobody } from '../audit/subject-of.ts'
import type { Audit } from '../audit.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Answer } from './answer.ts'
import type { Origin } from './asked.ts'
import { textAt, valueAt } from './columns/columns.ts'
import { type Matched, verbOf } from './match.ts'
import { parseDryRun } from './query.ts'
import type { ObjectTarget } from './target.ts'

/** What the work learns of its request on the way. */
export interface Learned {
  subject?: Subject
  matched?: Matched
  /** By what the first right was had that was asked for. */
  grant?: Grant
  /** That its body asks to change nothing. */
  isTrial?: true
}

/** Does the work of a request of the API, and writes the line that is due. */
export type AuditedRequest = (
  request: Request,
  target: ObjectTarget,
  origin: Origin,
  work: (learn: (learned: Learned) => void) => Promise<Answer>,
) => Promise<Answer>

export interface AuditedRequestOptions {
  audit: Pick<Audit, 'write'>
  /** Whether reads have lines too; those of secrets always have. */
  reads: boolean
}

/** Refusals, changes and reads of secrets have a line; what only asks about rights, and what tries without effect, has none. */
export function createAuditedRequest({ audit, reads }: AuditedRequestOptions): AuditedRequest {
  return async (request, target, { client, requestId = '' }, work) => {
    let learned: Learned = {}
    const write = (status: number, name: string, error?: RegistryError): void => {
      const { subject, grant } = learned
      // Who could not be identified was refused, be it that whoever knows him does not answer. An upstream's refusal is none of
      // the caller.
      const isRefused = (status === 401 || status === 403) && error?.upstream === undefined
      const decision = subject === undefined || isRefused ? 'denied' : 'allowed'
      if (decision === 'allowed' && !isDue(request, learned, reads)) return
      const query = new URL(request.url).searchParams
      const verb = learned.matched?.verb ?? verbOf(request.method, target, query) ?? request.method.toLowerCase()
      const by = {
        ...(grant && decision === 'allowed' && { grant }),
        ...(error !== undefined && { reason: error.auditReason }),
      }
      const object = objectOf(target, name)
      audit.write({
        subject: subject ?? (error && claimantOf(error)) ?? nobody,
        client,
        requestId,
        surface: 'api',
        verb,
        object,
        decision,
        status,
        ...by,
      })
    }
    try {
      const answered = await work((more) => {
        learned = { ...more, ...learned }
      })
      write(answered.status, target.name || nameOf(answered))
      return answered
    } catch (error) {
      const known = error instanceof RegistryError ? error : new RegistryError('UNKNOWN', { cause: error })
      write(known.status, target.name || (known.subject?.name ?? ''), known)
      throw error
    }
  }
}

function isDue(request: Request, { matched, isTrial }: Learned, reads: boolean): boolean {
  if (matched === undefined) return false
  const { verb, target } = matched
  if (verb === 'get' || verb === 'list' || verb === 'watch') return reads || isSecret(target)
  const changesNothing = isTrial ?? parseDryRun(new URL(request.url).searchParams.getAll('dryRun'))
  return !changesNothing && !target.resource.endsWith('reviews')
}

function isSecret({ resource, subresource }: ObjectTarget): boolean {
  return resource === 'secrets' || subresource === 'secrets'
}

function objectOf({ group, resource, subresource, project }: ObjectTarget, name: string): AuditEvent['object'] {
  return { group, resource: subresource === '' ? resource : `${resource}/${subresource}`, project, name }
}

/** The name that an object was given; an event of a tag is about the tag. */
function nameOf(answered: Answer): string {
  if (answered instanceof Response || answered.status !== 201) return ''
  const { body } = answered
  const [stream, tag] = [textAt(body, 'stream'), textAt(body, 'tag')]
  if (stream !== '' && tag !== '') return `${stream}:${tag}`
  // What kubectl prints as a table has the object in its row.
  const object = valueAt(body, 'rows', 0, 'object') ?? body
  return textAt(object, 'metadata', 'name')
}
