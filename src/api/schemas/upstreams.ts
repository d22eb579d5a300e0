import { z } from 'zod'
import { atomicList, boolean, integer, object, string, time } from './fields.ts'
import { metadata } from './metadata.ts'

const group = 'dev.weir.v1'

const number = (description: string) => z.number().nullish().describe(description)

const quota = z
  .object({
    limit: integer('Requests in a window.'),
    remaining: integer('How many of them are left, less what was asked since the registry said so.'),
    reserved: integer('How many are left to who waits for an answer, as clients that pull.'),
    window: string('How long a window is, as 6h.'),
    at: time('When the registry said so.'),
  })
  .meta({ id: `${group}.UpstreamQuota`, description: 'What a registry says of its own limit.' })

const limits = z
  .object({
    concurrency: integer('Most requests of the background at the same time.'),
    requestsPerSecond: number('Most requests of the background a second.'),
    reserve: number("Part of the registry's own limit that the background leaves, from 0 to 1."),
  })
  .meta({
    id: `${group}.UpstreamLimits`,
    description: 'What asking a registry may cost: upstreams[].limits of the config.',
  })

const spender = z
  .object({
    namespace: string('The project.'),
    stream: string('The image stream.'),
    requests: integer('Requests for it.'),
  })
  .meta({ id: `${group}.UpstreamSpender`, description: 'A stream that a registry was asked for.' })

const refusal = z
  .object({
    status: integer('Of the answer: 401, or of a token endpoint 400.'),
    at: time('When.'),
  })
  .meta({ id: `${group}.UpstreamRefusal`, description: 'What a login was answered that is none.' })

export const upstreamSchema = z
  .object({
    metadata,
    host: string('The registry as image names have it, with its port.'),
    login: string(
      'With what it is asked: secrets/PROJECT/NAME, or upstreams[N] of the config. Absent: without a login.',
    ),
    reachable: boolean('Whether the newest request was answered.'),
    loginRefused: object(refusal, 'The newest request with the login was refused as that of nobody known.'),
    lastAnswer: time('When it last answered at all.'),
    quota: object(quota, 'What the registry says of its own limit; absent where it says nothing.'),
    limits: object(limits, 'What asking it may cost in the background.'),
    closedUntil: time('Until when the background leaves it alone; absent when it does not.'),
    closedBy: string('Why.'),
    requests: integer('Requests since the start of the server.'),
    spent: atomicList(spender, 'Requests by stream, of those that spent most.'),
    nextFree: time('When the background may ask next for what the registry counts.'),
    waiting: integer('Requests of the background that wait for their turn.'),
  })
  .meta({
    id: `${group}.Upstream`,
    description:
      'A registry as it is asked with one login: whether it answers, what it lets be asked, and who asked. Kept in memory alone. Read-only.',
  })
