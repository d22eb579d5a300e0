import { z } from 'zod'
import { formatDurationMs } from '../../oci/duration.ts'
import type { BudgetState, Budgets } from '../../upstream/budget.ts'
import { upstreamColumns } from '../columns/upstream-columns.ts'
import { decodeContinue, encodeContinue } from '../continue.ts'
import { weirGroup } from '../groups.ts'
import type { ApiObject, Call, Page, Resource } from '../resource.ts'
import { upstreamSchema } from '../schemas/upstreams.ts'
import { maxPageItems } from '../stored.ts'
import { formatSeconds } from '../time.ts'

export interface UpstreamsOptions {
  budgets: Pick<Budgets, 'states'>
}

const continueSchema = z.object({ after: z.string() })

/**
 * The registries that were asked, each with each login it was asked with, named `HOST` or `HOST~LOGIN`. They tell of streams of all
 * projects: only who may read all of it may read any.
 */
export function upstreams({ budgets }: UpstreamsOptions): Resource {
  return {
    group: weirGroup,
    version: 'v1',
    resource: 'upstreams',
    singular: 'upstream',
    kind: 'Upstream',
    schema: upstreamSchema,
    namespaced: false,
    fieldSelectors: ['host'],
    columns: upstreamColumns,
    handlers: {
      async get({ name }) {
        const state = budgets.states().find((each) => nameOf(each) === name)
        return state && upstreamObject(state)
      },
      list: async (call) => list(budgets, call),
    },
  }
}

function list(budgets: UpstreamsOptions['budgets'], { options }: Call): Page {
  const { after = '' } = decodeContinue(continueSchema, options.continue) ?? {}
  const limit = Math.min(options.limit ?? maxPageItems, maxPageItems)
  const selected = budgets
    .states()
    .map(upstreamObject)
    .filter((object) => (object.metadata.name ?? '') > after && options.selects(object))
    .sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))
  const items = selected.slice(0, limit)
  const last = items.at(-1)?.metadata.name
  return selected.length > limit && last !== undefined
    ? { items, continue: encodeContinue({ after: last }) }
    : { items }
}

/** A name has no slash, and a host no tilde. */
function nameOf({ host, credential }: BudgetState): string {
  return credential === undefined ? host : `${host}~${credential.replaceAll('/', '~')}`
}

function upstreamObject(state: BudgetState): ApiObject {
  const { host, credential, limits, quota, closedUntil, closedBy, answeredAt, isReachable } = state
  const { refused, requests, spent, nextFreeAt, waiting } = state
  return {
    metadata: { name: nameOf(state), creationTimestamp: null },
    host,
    ...(credential === undefined ? {} : { login: credential }),
    reachable: isReachable,
    ...(refused && { loginRefused: { status: refused.status, at: formatSeconds(refused.at / 1000) } }),
    ...(answeredAt === undefined ? {} : { lastAnswer: formatSeconds(answeredAt / 1000) }),
    ...(quota && {
      quota: {
        limit: quota.limit,
        remaining: quota.remaining,
        reserved: Math.floor(quota.limit * limits.reserve),
        window: formatDurationMs(quota.windowMs),
        at: formatSeconds(quota.at / 1000),
      },
    }),
    limits: { ...limits },
    ...(closedUntil === undefined ? {} : { closedUntil: formatSeconds(Math.ceil(closedUntil / 1000)) }),
    ...(closedBy === undefined ? {} : { closedBy }),
    requests,
    spent: spent.map(({ stream: { project, stream }, requests: count }) => ({
      namespace: project,
      stream,
      requests: count,
    })),
    nextFree: formatSeconds(Math.ceil(nextFreeAt / 1000)),
    waiting,
  }
}
