import type { Client, Grant, Subject } from '../access/access.ts'

/** What was done, or tried. Nothing of it is a secret: no body, no query, no token. */
export interface AuditEvent {
  /** Of a login that was refused the user name as it was sent; empty where nobody is known. */
  subject: Pick<Subject, 'name' | 'groups' | 'provider' | 'session'>
  client: Client
  requestId: string
  /** Where: the API, `/token`, or `/v2/` and `/hooks/`; `*` of a {@link suppressed} line about several. */
  surface: 'api' | 'token' | 'registry' | '*'
  /** `get`, `create`, ... on the API; `pull`, `list`, `ping` on `/v2/`; `login`, `refresh` at `/token`; `*` as above. */
  verb: string
  /** What it was done to; empty strings where there is none. `name` may be `stream:tag` or `stream@digest`. */
  object: { group: string; resource: string; project: string; name: string }
  decision: 'allowed' | 'denied'
  /** By what it was allowed. */
  grant?: Grant
  /** The answer's HTTP status; 0 of a {@link suppressed} line. */
  status: number
  /** Why it was denied or failed: an error's code or reason, never its message. */
  reason?: string
  /** Of a {@link suppressed} line: how many others it stands for. */
  count?: number
}

/** The reason of a line that stands for what strangers did, or were refused, without lines of their own. */
export const suppressed = 'Suppressed'

/** Whether nobody known did it: who was not identified, or is anonymous. */
export function isOfStranger({ subject }: Pick<AuditEvent, 'subject'>): boolean {
  return !subject.groups.includes('system:authenticated')
}

/** An event with its time, RFC 3339 with milliseconds. */
export type AuditLine = AuditEvent & { time: string }

/** What `weir audit` asks for; what is absent selects everything. */
export interface AuditQuery {
  subject?: string
  project?: string
  /** Name of the object or its stream. */
  name?: string
  resource?: string
  verb?: string
  decision?: 'allowed' | 'denied'
  /** Milliseconds since the epoch. */
  since?: number
  until?: number
  /** Default and most 1,000. */
  limit?: number
  /** Opaque, of the page before. */
  continue?: string
}

/** A part of what a query selects, newest first. It may be empty and yet have a `continue`: so much is read at once. */
export interface AuditPage {
  lines: AuditLine[]
  continue?: string
}
