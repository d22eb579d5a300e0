import { z } from 'zod'
import type { Session } from './access.ts'

/** A session in the store, `session/<id>`. Times in milliseconds since the epoch. */
export interface SessionRecord {
  subject: { name: string; groups: string[]; provider: string; uid?: string | undefined }
  /** The session by which its login came; it ends with that. */
  parent?: string | undefined
  clientId: string
  client: { address: string; userAgent: string }
  createdAt: number
  usedAt: number
  endsAt: number
  /** SHA-256 of the family of its refresh tokens, hexadecimal. */
  family: string
  /** SHA-256 of the turn of the present one, hexadecimal. */
  turn: string
  /** When the present token took its place. */
  turnedAt: number
  /** The token before it: its turn as a hash, and the nonce that makes the present one of it. */
  before?: { turn: string; nonce: string } | undefined
}

export const sessionPrefix = 'session/'

const hash = z.string().regex(/^[0-9a-f]{64}$/)
const schema: z.ZodType<SessionRecord> = z.object({
  subject: z.object({
    name: z.string().min(1),
    groups: z.array(z.string()),
    provider: z.string().min(1),
    uid: z.string().optional(),
  }),
  parent: z.string().optional(),
  clientId: z.string(),
  client: z.object({ address: z.string(), userAgent: z.string() }),
  createdAt: z.number(),
  usedAt: z.number(),
  endsAt: z.number(),
  family: hash,
  turn: hash,
  turnedAt: z.number(),
  before: z.object({ turn: hash, nonce: z.string() }).optional(),
})

const idPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The key of a session; undefined for what is no id. */
export function sessionKey(id: string): string | undefined {
  return idPattern.test(id) ? `${sessionPrefix}${id}` : undefined
}

/** Reads a record; undefined when it is none, which leaves no session. */
export function parseSessionRecord(value: string): SessionRecord | undefined {
  try {
    return schema.parse(JSON.parse(value))
  } catch {
    return undefined
  }
}

/** The session as it may be shown. */
export function sessionOf(id: string, record: SessionRecord): Session {
  const { subject, clientId, client, createdAt, usedAt, endsAt } = record
  const { name, groups, provider, uid } = subject
  return {
    id,
    subject: {
      name,
      groups,
      provider,
      ...(uid !== undefined && { uid }),
      endsAt: Math.floor(endsAt / 1000),
      session: id,
    },
    clientId,
    client,
    createdAt,
    usedAt,
    endsAt,
  }
}
