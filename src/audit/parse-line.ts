import { z } from 'zod'
import type { AuditLine } from './event.ts'
import { maxLineBytes } from './format-line.ts'

const text = z.string()

const line = z.object({
  time: z.iso.datetime(),
  surface: z.enum(['api', 'token', 'registry', '*']),
  subject: z.object({
    name: text,
    groups: z.array(text),
    provider: text.exactOptional(),
    session: text.exactOptional(),
  }),
  verb: text,
  object: z.object({ group: text, resource: text, project: text, name: text }),
  decision: z.enum(['allowed', 'denied']),
  grant: z
    .object({
      kind: z.enum(['RoleBinding', 'ClusterRoleBinding', 'Group']),
      name: text,
      project: text,
      role: z.object({ apiGroup: text, kind: z.enum(['ClusterRole', 'Role']), name: text }).exactOptional(),
    })
    .exactOptional(),
  status: z.int(),
  reason: text.exactOptional(),
  count: z.int().exactOptional(),
  client: z.object({ address: text, userAgent: text }),
  requestId: text,
})

/** Reads a line without its end; undefined for what no writer left whole. */
export function parseLine(bytes: Buffer): AuditLine | undefined {
  if (bytes.length === 0 || bytes.length > maxLineBytes) return undefined
  try {
    return line.safeParse(JSON.parse(bytes.toString('utf8'))).data
  } catch {
    return undefined
  }
}
