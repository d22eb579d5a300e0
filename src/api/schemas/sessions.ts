import { z } from 'zod'
import { atomicList, object, string, time } from './fields.ts'
import { metadata } from './metadata.ts'

const group = 'dev.weir.v1'

const sessionUser = z
  .object({
    name: string('The user name.'),
    groups: atomicList(z.string(), 'The groups that the login had when it began.'),
  })
  .meta({ id: `${group}.SessionUser`, description: 'Who logged in.' })

const sessionClient = z
  .object({ address: string('The IP address.'), userAgent: string('What the client called itself.') })
  .meta({ id: `${group}.SessionClient`, description: 'Where a session was used.' })

export const sessionSchema = z
  .object({
    metadata,
    user: object(sessionUser, 'Who logged in.'),
    provider: string('Who knows the user: an issuer of the configuration, or htpasswd.'),
    clientId: string('What the client said it is, as docker or weir.'),
    client: object(sessionClient, 'Where the session was last used.'),
    usedAt: time('When the session was last used, to the hour.'),
    endsAt: time('When the session ends, and with it all its tokens.'),
  })
  .meta({
    id: `${group}.Session`,
    description: 'A login that goes on by refresh tokens. Deleting it ends it, and all tokens that were made with it.',
  })
