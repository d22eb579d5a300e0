import type { AuditLine, AuditQuery } from '../../audit/event.ts'
import type { Audit } from '../../audit.ts'
import { RegistryError } from '../../oci/errors.ts'
import { auditColumns } from '../columns/audit-columns.ts'
import { weirGroup } from '../groups.ts'
import type { ApiObject, Call, Page, RequestOptions, Resource } from '../resource.ts'
import { auditEventSchema } from '../schemas/audit-events.ts'

const group = weirGroup
const resource = 'auditevents'

const selectors = ['subject', 'project', 'name', 'resource', 'verb', 'decision', 'since', 'until']

/**
 * The audit log, newest first, in pages that may be empty and yet go on. Who may `list auditevents` of the whole cluster
 * reads all of it; with the right in a project, what is selected by that project.
 */
export function auditEvents({ audit }: { audit: Pick<Audit, 'list'> }): Resource {
  return {
    group,
    version: 'v1',
    resource,
    singular: 'auditevent',
    kind: 'AuditEvent',
    schema: auditEventSchema,
    namespaced: false,
    fieldSelectors: selectors,
    ownSelectors: selectors,
    pageSize: 500,
    columns: auditColumns,
    admission: { list: 'handler' },
    handlers: { list: (call) => listEvents(audit, call) },
  }
}

async function listEvents(audit: Pick<Audit, 'list'>, call: Call): Promise<Page> {
  const { project = '' } = call.options.fields
  // A right in the whole cluster is one in each project.
  call.require({ verb: 'list', group, resource, name: '', project })
  const { lines, continue: next } = await audit.list(queryOf(call.options))
  return { items: lines.map(auditEventObject), ...(next === undefined ? {} : { continue: next }) }
}

/** @throws RegistryError BAD_REQUEST */
function queryOf({ fields, limit, continue: next }: RequestOptions): AuditQuery {
  const { subject, project, name, resource, verb, decision, since, until } = fields
  const asked = { subject, project, name, resource, verb, decision: parseDecision(decision), limit, continue: next }
  const times = { since: parseTime('since', since), until: parseTime('until', until) }
  return Object.fromEntries(Object.entries({ ...asked, ...times }).filter(([, value]) => value !== undefined))
}

function parseDecision(text: string | undefined): AuditQuery['decision'] {
  if (text === undefined || text === 'allowed' || text === 'denied') return text
  throw badRequest('decision: write allowed or denied')
}

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i

function parseTime(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const timeMs = rfc3339.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(timeMs)) throw badRequest(`${field}: write a time as 2026-01-31T08:00:00Z`)
  return timeMs
}

function badRequest(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message: `fieldSelector: ${message}` })
}

function auditEventObject(line: AuditLine): ApiObject {
  return { metadata: { name: line.requestId, creationTimestamp: line.time }, ...line }
}
