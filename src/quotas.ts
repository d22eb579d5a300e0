/** What a project may use: ResourceQuota objects (`kubectl create quota`), `hard` by resource name. */
import { RegistryError } from './oci/errors.ts'
import { createAccounts } from './quotas/accounts.ts'
import { formatBinary, parseQuantity } from './quotas/quantity.ts'
import { createMirror } from './store/mirror.ts'
import type { Objects, StoredObject } from './store/objects.ts'
import type { Store } from './store/store.ts'
import { lifePrefix, streamOfKey } from './streams/keys.ts'
import type { ProjectUse } from './streams/project-use.ts'

/** Resources that count: bytes of what was pushed, each digest of a project once; tags of image streams. */
export const quotaResources = { bytes: 'requests.storage', tags: 'count/imagestreamtags.image.openshift.io' } as const

export interface Usage {
  bytes: number
  tags: number
}

export interface Quotas {
  /**
   * Lets `more` come where every quota of the project has room for it beside what is used and what others have reserved. What
   * `isThere` already is reserved whatever the quotas are, and before this returns to the event loop.
   *
   * @returns what gives the reservation back, once the bytes or tags are counted as used, or do not come
   * @throws RegistryError DENIED saying which quota, what is used, asked and allowed
   */
  reserve(project: string, more: Partial<Usage>, options?: { isThere?: boolean }): Promise<() => void>
  /** What a project uses, with the bytes that are reserved: those of unfinished uploads, and those that are coming. */
  usage(project: string): Promise<Usage>
}

export interface QuotasOptions {
  /** Must log the lives of streams. */
  store: Store
  objects: Pick<Objects, 'list'>
  now: () => number
  /** Reserves what was there before the start; asked before anything is counted. Default: nothing was. */
  restore?: () => Promise<void>
  /** Ends the following of changes. */
  signal: AbortSignal
}

/** What a ResourceQuota allows of what counts. */
interface Limits {
  name: string
  hard: Partial<Usage>
}

const kinds = ['bytes', 'tags'] as const

/** Creates the quotas of projects; `use` is to be told of what is written to streams. */
export function createQuotas({ store, objects, now, restore, signal }: QuotasOptions): Quotas & { use: ProjectUse } {
  const accounts = createAccounts({ store, now })
  const reserved = new Map<string, Usage>()
  // What a stream had is not the project's any more.
  createMirror(store, {
    prefix: lifePrefix,
    preload: false,
    apply(changes) {
      for (const { key, previous } of changes) if (previous !== undefined) accounts.recount(streamOfKey(key).project)
    },
    reset: () => accounts.recount(),
    signal,
  })

  async function limitsOf(project: string, more: Partial<Usage>): Promise<Limits[]> {
    const { items } = await objects.list('resourcequotas', project)
    const limits = items.map((object) => ({ name: object.metadata.name, hard: hardOf(object) }))
    return limits.filter(({ hard }) => kinds.some((kind) => (more[kind] ?? 0) > 0 && hard[kind] !== undefined))
  }

  function take(project: string, more: Partial<Usage>): () => void {
    const total = reserved.get(project) ?? { bytes: 0, tags: 0 }
    reserved.set(project, total)
    for (const kind of kinds) total[kind] += more[kind] ?? 0
    let isTaken = true
    return () => {
      if (!isTaken) return
      isTaken = false
      for (const kind of kinds) total[kind] -= more[kind] ?? 0
      if (total.bytes === 0 && total.tags === 0 && reserved.get(project) === total) reserved.delete(project)
    }
  }

  async function reserve(project: string, more: Partial<Usage>, { isThere = false } = {}): Promise<() => void> {
    if (isThere) return take(project, more)
    const limits = await limitsOf(project, more)
    if (limits.length === 0) return take(project, more)
    await restore?.()
    const used = await accounts.of(project)
    // Nobody else comes between this look and the reservation.
    const others = reserved.get(project)
    for (const { name, hard } of limits) {
      const full = kinds.filter((kind) => {
        const asked = more[kind] ?? 0
        const most = hard[kind] ?? Number.POSITIVE_INFINITY
        return asked > 0 && used[kind] + (others?.[kind] ?? 0) + asked > most
      })
      if (full.length > 0) {
        const told = (of: Partial<Usage>) =>
          full.map((kind) => `${quotaResources[kind]}=${shown(kind, of[kind])}`).join()
        const inUse = { bytes: used.bytes + (others?.bytes ?? 0), tags: used.tags + (others?.tags ?? 0) }
        const coming =
          full.includes('bytes') && others?.bytes
            ? `; unfinished uploads have ${shown('bytes', others.bytes)} of what is used`
            : ''
        throw new RegistryError('DENIED', {
          message: `exceeded quota: ${name}, requested: ${told(more)}, used: ${told(inUse)}, limited: ${told(hard)}${coming}`,
          auditReason: 'QuotaExceeded',
        })
      }
    }
    return take(project, more)
  }

  return {
    reserve,
    async usage(project) {
      await restore?.()
      const { bytes, tags } = await accounts.of(project)
      return { bytes: bytes + (reserved.get(project)?.bytes ?? 0), tags }
    },
    use: {
      ...accounts,
      reserveTags: (project, tags) => reserve(project, { tags }),
      async reserveLinks(project, links) {
        if ((await limitsOf(project, { bytes: 1 })).length === 0) return () => undefined
        return reserve(project, { bytes: (await accounts.of(project)).lacks(links) })
      },
    },
  }
}

/** What a ResourceQuota shows as its status: what counts of its `hard`, and what of that is used. */
export function quotaStatus(
  hard: Readonly<Record<string, unknown>>,
  usage: Usage,
): { hard: Record<string, unknown>; used: Record<string, string> } {
  const counted = kinds.filter((kind) => Object.hasOwn(hard, quotaResources[kind]))
  return {
    hard: Object.fromEntries(counted.map((kind) => [quotaResources[kind], hard[quotaResources[kind]]])),
    used: Object.fromEntries(counted.map((kind) => [quotaResources[kind], shown(kind, usage[kind])])),
  }
}

function hardOf({ spec }: StoredObject): Partial<Usage> {
  const hard = (spec as { hard?: Record<string, unknown> } | undefined)?.hard ?? {}
  const limits: Partial<Usage> = {}
  for (const kind of kinds) {
    const most = parseQuantity(hard[quotaResources[kind]])
    if (most !== undefined) limits[kind] = most
  }
  return limits
}

function shown(kind: keyof Usage, amount = 0): string {
  return kind === 'bytes' ? formatBinary(amount) : String(amount)
}
