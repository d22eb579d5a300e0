import { z } from 'zod'
import { type Collector, leastKeptMs } from '../../collector.ts'
import { parseDigest } from '../../oci/digest.ts'
import { parseDurationMs } from '../../oci/duration.ts'
import { parseObject } from '../body.ts'
import { invalid, requireValid } from '../fields.ts'
import { weirGroup } from '../groups.ts'
import type { Resource } from '../resource.ts'
import { contentPruneSchema, contentVerificationSchema } from '../schemas/collector.ts'

/** Commands to the collector: what is sent is done, answered, and not stored. */

export interface CollectorCommandsOptions {
  collector: Pick<Collector, 'prune' | 'verify'>
}

/** A pass reads everything and may ask upstreams: neither waits for the other requests of whoever sends it. */
const command = { group: weirGroup, version: 'v1', namespaced: false, asksOthers: true } as const
const created = { metadata: { creationTimestamp: null } }

const prune = z.object({
  spec: z.object({ dryRun: z.boolean().nullish(), keepYoungerThan: z.string().nullish() }).nullish(),
})

const verification = z.object({
  spec: z.object({ after: z.string().nullish(), maxBytes: z.number().nullish() }).nullish(),
})

/** `POST contentprunes`: one pass of the collector. */
export function contentPrunes({ collector }: CollectorCommandsOptions): Resource {
  const resource = 'contentprunes'
  return {
    ...command,
    resource,
    singular: 'contentprune',
    kind: 'ContentPrune',
    schema: contentPruneSchema,
    dryRun: true,
    handlers: {
      async create({ options }, body) {
        const { dryRun: asked, keepYoungerThan } = parseObject(prune, body).spec ?? {}
        const keepYoungerThanMs = keepYoungerThan ? parseDurationMs(keepYoungerThan) : undefined
        const isWrong = keepYoungerThan && (keepYoungerThanMs === undefined || keepYoungerThanMs < leastKeptMs)
        const detail =
          'must be a duration of at least 10m, such as 24h, 90m or 7d: what was used since then is being used'
        const cause = invalid('spec.keepYoungerThan', keepYoungerThan, detail)
        requireValid(isWrong ? [cause] : [], { name: '', kind: resource, group: weirGroup })
        const dryRun = options.dryRun || asked === true
        const kept = keepYoungerThanMs === undefined ? {} : { keepYoungerThanMs }
        const status = await collector.prune({ dryRun, ...kept })
        return { ...created, spec: { dryRun, ...(keepYoungerThan && { keepYoungerThan }) }, status }
      },
    },
  }
}

/** `POST contentverifications`: one page of what is held. */
export function contentVerifications({ collector }: CollectorCommandsOptions): Resource {
  const resource = 'contentverifications'
  return {
    ...command,
    resource,
    singular: 'contentverification',
    kind: 'ContentVerification',
    schema: contentVerificationSchema,
    handlers: {
      async create(_call, body) {
        const { after: written, maxBytes } = parseObject(verification, body).spec ?? {}
        const after = written ? parseDigest(written) : undefined
        const isDigest = !written || after !== undefined
        const isNumber = typeof maxBytes !== 'number' || (Number.isSafeInteger(maxBytes) && maxBytes > 0)
        const causes = [
          ...(isDigest ? [] : [invalid('spec.after', written, 'must be a digest: sha256:...')]),
          ...(isNumber ? [] : [invalid('spec.maxBytes', maxBytes, 'must be a whole number from 1')]),
        ]
        requireValid(causes, { name: '', kind: resource, group: weirGroup })
        const spec = { ...(after && { after }), ...(typeof maxBytes === 'number' && { maxBytes }) }
        return { ...created, spec, status: await collector.verify(spec) }
      },
    },
  }
}
