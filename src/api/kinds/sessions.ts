import { z } from 'zod'
import type { Session, Sessions } from '../../access/access.ts'
import { RegistryError } from '../../oci/errors.ts'
import { sessionColumns } from '../columns/session-columns.ts'
import { decodeContinue, encodeContinue } from '../continue.ts'
import { weirGroup } from '../groups.ts'
import type { ApiObject, Call, DeleteOptions, Page, Resource } from '../resource.ts'
import { sessionSchema } from '../schemas/sessions.ts'
import { maxPageItems } from '../stored.ts'
import { formatSeconds } from '../time.ts'

export interface SessionsOptions {
  sessions: Pick<Sessions, 'list' | 'get' | 'revoke'>
}

const group = weirGroup
const resource = 'sessions'
const continueSchema = z.object({ after: z.string() })

/**
 * Logins that go on by refresh tokens. Everybody sees and ends his own; for those of others it takes the right. Nothing
 * shown opens anything.
 */
export function sessions(options: SessionsOptions): Resource {
  return {
    group,
    version: 'v1',
    resource,
    singular: 'session',
    kind: 'Session',
    namespaced: false,
    schema: sessionSchema,
    columns: sessionColumns,
    fieldSelectors: ['user.name', 'provider'],
    admission: { get: 'handler', list: 'handler', delete: 'handler', deletecollection: 'handler' },
    handlers: {
      get: async (call) => {
        const session = await find(options, call, 'get')
        return session && sessionObject(session)
      },
      list: (call) => list(options, call),
      delete: (call, preconditions) => end(options, call, preconditions),
    },
  }
}

async function list({ sessions }: SessionsOptions, call: Call): Promise<Page> {
  const { subject, options } = call
  const seesAll = call.can({ verb: 'list', group, resource, name: '', project: '' })
  if (!seesAll && subject.provider === undefined) call.require({ verb: 'list', group, resource, name: '', project: '' })
  const { 'user.name': name } = options.fields
  const owner = seesAll ? name !== undefined && { name } : subject
  const after = decodeContinue(continueSchema, options.continue)
  const limit = Math.min(options.limit ?? maxPageItems, maxPageItems)
  const found = await sessions.list({ ...(owner && { owner }), ...after, limit: limit + 1 })
  const page = found.slice(0, limit)
  const last = page.at(-1)
  const items = page.map(sessionObject)
  return found.length > limit && last ? { items, continue: encodeContinue({ after: last.id }) } : { items }
}

/** The refusal is the same for a session of another and for one that is not there. @throws RegistryError FORBIDDEN */
async function find({ sessions }: SessionsOptions, call: Call, verb: string): Promise<Session | undefined> {
  const session = await sessions.get(call.name)
  if (session === undefined || !isOwn(call, session)) {
    call.require({ verb, group, resource, name: call.name, project: '' })
  }
  return session
}

async function end(options: SessionsOptions, call: Call, { uid, resourceVersion }: DeleteOptions): Promise<ApiObject> {
  const session = await find(options, call, 'delete')
  const subject = { name: call.name, kind: resource, group }
  if (resourceVersion !== undefined) {
    throw new RegistryError('BAD_REQUEST', { message: 'preconditions.resourceVersion: sessions have none', subject })
  }
  if (session !== undefined && uid !== undefined && uid !== session.id) throw new RegistryError('CONFLICT', { subject })
  if (session === undefined || !(await options.sessions.revoke(session.id))) {
    throw new RegistryError('NOT_FOUND', { subject })
  }
  return sessionObject(session)
}

function isOwn({ subject }: Call, session: Session): boolean {
  const { name, provider } = session.subject
  return provider !== undefined && provider === subject.provider && name === subject.name
}

function sessionObject({ id, subject, clientId, client, createdAt, usedAt, endsAt }: Session): ApiObject {
  return {
    metadata: { name: id, uid: id, creationTimestamp: formatSeconds(createdAt / 1000) },
    user: { name: subject.name, groups: [...subject.groups] },
    provider: subject.provider,
    clientId,
    client: { address: client.address, userAgent: client.userAgent },
    usedAt: formatSeconds(usedAt / 1000),
    endsAt: formatSeconds(endsAt / 1000),
  }
}
