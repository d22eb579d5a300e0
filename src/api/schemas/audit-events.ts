import { z } from 'zod'
import { atomicList, integer, object, string, time } from './fields.ts'
import { metadata } from './metadata.ts'

const group = 'dev.weir.v1'

const subject = z
  .object({
    name: string('User name; of a refused login the one that was tried, empty where nobody is known.'),
    groups: atomicList(z.string(), 'The groups of the identity.'),
    provider: string('Of the config: what proved the identity.'),
    session: string('The session by which the login went on.'),
  })
  .meta({ id: `${group}.AuditSubject`, description: 'Who asked.' })

const client = z
  .object({ address: string('IP address.'), userAgent: string('The program, as it calls itself.') })
  .meta({ id: `${group}.AuditClient`, description: 'Where it was asked from.' })

const asked = z
  .object({
    group: string('API group.'),
    resource: string('Resource, with its subresource.'),
    project: string('Project.'),
    name: string('Name: stream:tag or stream@digest of images, scopes of tokens.'),
  })
  .meta({ id: `${group}.AuditObject`, description: 'What was asked for, whether it is there or not.' })

const role = z
  .object({ apiGroup: string('API group.'), kind: string('ClusterRole or Role.'), name: string('Name.') })
  .meta({ id: `${group}.AuditRole`, description: 'The role of a binding.' })

const grant = z
  .object({
    kind: string('RoleBinding, ClusterRoleBinding or Group.'),
    name: string('Name.'),
    project: string('The project of a RoleBinding.'),
    role: object(role, 'The role that the binding gives.'),
  })
  .meta({ id: `${group}.AuditGrant`, description: 'By what something is allowed.' })

export const auditEventSchema = z
  .object({
    metadata,
    time: time('When it was answered.'),
    surface: string('api, token or registry; * of a line that counts several.'),
    subject: object(subject, 'Who asked.'),
    verb: string(
      'get, create, ... on the API; pull, list, ping of the registry; login and refresh of tokens; * of several.',
    ),
    object: object(asked, 'What it was asked of.'),
    decision: string('allowed or denied.'),
    grant: object(grant, 'By what it was allowed.'),
    status: integer("The answer's HTTP status."),
    reason: string('Why it was denied or failed; Suppressed of a line that counts what has no lines.'),
    count: integer('For how much that nobody known did or was refused, from this address, the line stands.'),
    client: object(client, 'Where it was asked from.'),
    requestId: string('The X-Request-Id of the answer.'),
  })
  .meta({
    id: `${group}.AuditEvent`,
    description: 'A line of the audit log: who did what, to which object, allowed or denied and by what.',
  })
