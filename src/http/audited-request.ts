import type { Grant, Subject } from '../access/access.ts'
import type { AuditEvent } from '../audit/event.ts'
import { claimantOf, nobody } from '../audit/subject-of.ts'
import type { Audit } from '../audit.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Exchange } from './exchange.ts'
import type { ChallengeDetail } from './respond.ts'

/** What the work learns of its request on the way. */
export interface Learned {
  subject?: Subject
  grant?: Grant
  /** What it was done to, where the request itself does not say. */
  name?: string
}

export interface AskedOfRegistry {
  verb: string
  object: AuditEvent['object']
  /** Whether what is allowed has a line too; a function is asked by the answer's status. */
  always: boolean | ((status: number) => boolean)
}

/** Does the work of a request of `/v2/`, and writes the line that is due. */
export type AuditedRequest = (
  exchange: Pick<Exchange, 'client' | 'requestId'>,
  asked: AskedOfRegistry,
  work: (learn: (learned: Learned) => void) => Promise<Response>,
) => Promise<Response>

export function createAuditedRequest({ audit }: { audit: Pick<Audit, 'write'> }): AuditedRequest {
  return async ({ client, requestId }, { verb, object, always }, work) => {
    let learned: Learned = {}
    const write = (status: number, reason?: string, claimant = nobody): void => {
      const { subject, grant, name = object.name } = learned
      // Who had the right was not refused, be it that an upstream refused Weir.
      const isDenied = status >= 400 && (subject === undefined || (grant === undefined && isRefusal(status)))
      const decision = isDenied ? 'denied' : 'allowed'
      const hasLine = typeof always === 'boolean' ? always : always(status)
      if (decision === 'allowed' && !hasLine) return
      const by = { ...(grant && decision === 'allowed' && { grant }), ...(reason !== undefined && { reason }) }
      audit.write({
        subject: subject ?? claimant,
        client,
        requestId,
        surface: 'registry',
        verb,
        object: { ...object, name },
        decision,
        status,
        ...by,
      })
    }
    try {
      const response = await work((more) => {
        learned = { ...learned, ...more }
      })
      write(response.status)
      return response
    } catch (error) {
      if (!(error instanceof RegistryError)) write(500, 'UNKNOWN')
      else if (!isInvitation(error)) write(error.status, error.auditReason, claimantOf(error))
      throw error
    }
  }
}

function isRefusal(status: number): boolean {
  return status === 401 || status === 403
}

/** The answer to who sent no token yet: no refusal, but where to get one. */
function isInvitation(error: RegistryError): boolean {
  return error.code === 'UNAUTHORIZED' && (error.detail as ChallengeDetail | undefined)?.error === undefined
}

/** A stream, or with a tag or digest an image of it. */
export function streamObject({ project, stream }: StreamName, reference?: string): AuditEvent['object'] {
  const name = reference === undefined ? stream : `${stream}${reference.includes(':') ? '@' : ':'}${reference}`
  return { group: 'image.openshift.io', resource: 'imagestreams/layers', project, name }
}
