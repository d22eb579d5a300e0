import type { IncomingHttpHeaders } from 'node:http'
import type { RequestKind } from './budget.ts'
import { toldQuota } from './quota-headers.ts'

/** What a registry's own limit leaves of requests, as it says and as was asked since. Times are those of one steady clock. */
export interface Quota {
  /** A request of this kind goes out; what is given back is handed in with its answers, and when it has ended. */
  begin(asked: RequestKind): QuotaMark
  /** The registry's word wins over what was counted here. */
  answered(mark: QuotaMark, status: number, headers: IncomingHttpHeaders, nowMs: number): void
  ended(mark: QuotaMark): void
  /** Until when no request of this kind may be sent if `reserve` of the limit is to be left; undefined: one may be sent. */
  usedUpUntil(asked: RequestKind, reserve: number, nowMs: number): number | undefined
  /** The window is thought to be over, and the registry did not say so yet: one request is to ask. */
  isUnsure(asked: RequestKind, reserve: number, nowMs: number): boolean
  readonly known: { limit: number; remaining: number; windowMs: number; at: number; endsAt: number } | undefined
}

/** A request under way. */
export interface QuotaMark {
  readonly asked: RequestKind
  readonly counts: boolean
  /** What the registry had said of what is left, and how many requests that count had been begun, when it was sent. */
  remaining: number | undefined
  begun: number
  isTold: boolean
}

interface Known {
  limit: number
  remaining: number
  windowMs: number
  at: number
  /** When the window is over at the latest, as far as can be known. */
  endsAt: number
}

/** Of registries that do not tell how long their window is. */
const defaultWindowMs = 3600 * 1000
/** A window that was not over when it should have been: the least time before the next look. */
const leastLookMs = 60_000
/** HEADs in a row after which as much was left as before: from then on they count as free. */
const proofs = 3

/** `headsAreFree`: whether HEADs of manifests are known not to count; else that is learned from what the registry says. */
export function createQuota({ headsAreFree = false } = {}): Quota {
  let told: Known | undefined
  /** Requests that count: under way, and ended without a word about what is left since the last one. */
  let flying = 0
  let unsettled = 0
  let begun = 0
  let freeHeads = headsAreFree ? proofs : 0

  function counts({ method, kind }: RequestKind): boolean {
    if (kind === 'blob' || method === 'POST' || method === 'PUT') return false
    return method === 'GET' || freeHeads < proofs
  }

  function left({ remaining }: Known): number {
    return Math.max(0, remaining - flying - unsettled)
  }

  function isUsedUp(asked: RequestKind, reserve: number): boolean {
    return told !== undefined && counts(asked) && left(told) <= Math.floor(told.limit * reserve)
  }

  /** As much left as when the HEAD was sent: it did not count, nor did anything meanwhile. */
  function learn(mark: QuotaMark, remaining: number): void {
    if (headsAreFree || mark.asked.method !== 'HEAD' || !mark.remaining) return
    if (remaining === mark.remaining) freeHeads = Math.min(freeHeads + 1, proofs)
    else if (remaining < mark.remaining && mark.begun === begun) freeHeads = 0
  }

  return {
    begin(asked) {
      const mark = { asked, counts: counts(asked), remaining: told?.remaining, begun, isTold: false }
      if (!mark.counts) return mark
      flying += 1
      // A HEAD that may count is none of what speaks against its being free.
      if (asked.method === 'GET') begun += 1
      mark.begun = begun
      return mark
    },

    answered(mark, status, headers, nowMs) {
      const quota = toldQuota(headers)
      if (quota === undefined) {
        // Without a word about a limit there is none (peers of Docker Hub leave the headers out then).
        const isOver = told !== undefined && nowMs >= told.endsAt
        if (isOver && mark.counts && status < 300) told = undefined
        return
      }
      const { limit, remaining, windowMs = told?.windowMs ?? defaultWindowMs, resetMs } = quota
      if (status < 300) learn(mark, remaining)
      if (mark.counts && !mark.isTold) flying -= 1
      mark.isTold = true
      const isNew = told === undefined || told.limit !== limit || remaining > told.remaining + flying + unsettled
      let endsAt = told?.endsAt ?? 0
      if (resetMs !== undefined) endsAt = nowMs + resetMs
      else if (isNew) endsAt = nowMs + windowMs
      else if (nowMs >= endsAt) endsAt = nowMs + Math.min(windowMs, Math.max(leastLookMs, windowMs / 10))
      told = { limit, remaining, windowMs, at: nowMs, endsAt }
      unsettled = 0
    },

    ended(mark) {
      if (!mark.counts || mark.isTold) return
      flying -= 1
      unsettled += 1
    },

    usedUpUntil(asked, reserve, nowMs) {
      if (told === undefined || !isUsedUp(asked, reserve) || nowMs >= told.endsAt) return undefined
      return told.endsAt
    },
    isUnsure: (asked, reserve, nowMs) => told !== undefined && nowMs >= told.endsAt && isUsedUp(asked, reserve),
    get known() {
      return told && { ...told, remaining: left(told) }
    },
  }
}
