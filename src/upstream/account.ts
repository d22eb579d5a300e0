import type { IncomingHttpHeaders } from 'node:http'
import type { RegistryError } from '../oci/errors.ts'
import type { BudgetLimits, BudgetState, Payer, Purpose, RequestKind, Slot } from './budget.ts'
import { budgetRefusal, repeated } from './budget-refusal.ts'
import { createCircuit } from './circuit.ts'
import { createQuota } from './quota.ts'
import { retryAfterMs } from './retry-after.ts'
import { createSpending } from './spending.ts'
import type { SteadyClock } from './steady-clock.ts'
import { createPace, createTurns } from './turns.ts'

/** What one payer may ask of a registry, as far as it is known. */
export interface Account {
  /** The error for who may not send such a request now; undefined where it may be sent. */
  refusal(purpose: Purpose, asked: RequestKind): RegistryError | undefined
  /** Begins a request that may be sent. */
  begin(purpose: Purpose, asked: RequestKind, ended?: () => void): Slot
  /** Waits for what the background waits for. @throws RegistryError */
  turn(purpose: Purpose, asked: RequestKind, signal: AbortSignal | undefined): Promise<Slot>
  failed(error: RegistryError): void
  throttled(askedMs: number | undefined): void
  loggedIn(refusedWith: number | undefined): void
  state(): BudgetState
}

export interface AccountOptions {
  payer: Payer
  limits: BudgetLimits
  clock: SteadyClock
  /** Hears of each request: `status` is 0 when nothing was answered. */
  onRequest(isBackground: boolean, status: number): void
  wait(ms: number, signal?: AbortSignal): Promise<void>
  random(): number
}

/** Longest time that the background waits for its turn; for more it comes again. */
const patienceMs = 5000
/** A registry that asks who waits to come back later is asked again after so long: it may mean less than it says. */
const longestQuietMs = 60_000
/** Of streams that are told of. */
const maxSpenders = 100

export function createAccount({ payer, limits, clock, onRequest, wait, random }: AccountOptions): Account {
  const { concurrency, requestsPerSecond, reserve } = limits
  const { host } = payer
  // Docker Hub says so, and that HEADs do not count (https://docs.docker.com/docker-hub/usage/pulls/).
  const quota = createQuota({ headsAreFree: host === 'docker.io' })
  const circuit = createCircuit(random)
  const turns = createTurns({ wait })
  const pace = createPace({ perSecond: requestsPerSecond, atOnce: concurrency })
  const spending = createSpending()
  /** Kinds of requests that the registry said it refuses until then. */
  const quiet = new Map<string, number>()
  let closedByKind = ''
  let requests = 0
  let answeredAt: number | undefined
  let refused: { status: number; at: number } | undefined

  /** While it is to be seen what a registry does, one request is enough. */
  function mostAtOnce(asked: RequestKind): number {
    const nowMs = clock.now()
    return circuit.isHalfOpen(nowMs) || quota.isUnsure(asked, reserve, nowMs) ? 1 : concurrency
  }

  function refusal(why: string, untilMs: number, nowMs: number, status?: number): RegistryError {
    const times = { untilMs: clock.shown(untilMs), nowMs: clock.shown(nowMs) }
    return budgetRefusal({ payer, why, ...times, ...(status === undefined ? {} : { status }) })
  }

  function quietRefusal(asked: RequestKind, nowMs: number): RegistryError | undefined {
    const kind = nameOf(asked)
    const untilMs = quiet.get(kind)
    if (untilMs === undefined) return undefined
    if (untilMs > nowMs) return refusal(`${host} answered 429, and asks to wait`, untilMs, nowMs, 429)
    quiet.delete(kind)
    return undefined
  }

  /** When the background may go on, and the error for it; undefined when nothing is in its way. */
  function obstacle(asked: RequestKind): { untilMs: number; error: RegistryError } | undefined {
    const nowMs = clock.now()
    const closed = circuit.closed(nowMs)
    if (closed !== undefined) {
      const { untilMs, error, by } = closed
      if (error !== undefined) return { untilMs, error: repeated(error, untilMs, nowMs) }
      return { untilMs, error: refusal(`${host} ${by}: only who waits for it asks it`, untilMs, nowMs) }
    }
    const untilMs = quota.usedUpUntil(asked, reserve, nowMs)
    if (untilMs === undefined) return undefined
    const { limit = 0, remaining = 0 } = quota.known ?? {}
    const what = `${host} has ${remaining} of ${limit} requests left, which are for who waits for them`
    return { untilMs, error: refusal(what, untilMs, nowMs) }
  }

  function begin({ isBackground, stream }: Purpose, asked: RequestKind, ended?: () => void): Slot {
    const mark = quota.begin(asked)
    const isProbe = isBackground && circuit.isHalfOpen(clock.now())
    const count = (status: number): void => {
      requests += 1
      onRequest(isBackground, status)
      if (stream !== undefined) spending.count(stream)
    }
    return {
      answered(status: number, headers: IncomingHttpHeaders) {
        const nowMs = clock.now()
        count(status)
        answeredAt = nowMs
        quota.answered(mark, status, headers, nowMs)
        if (status !== 429) return circuit.answered(isProbe || nameOf(asked) === closedByKind, nowMs)
        const askedMs = retryAfterMs(headers['retry-after'], clock.shown(nowMs))
        closedByKind = nameOf(asked)
        circuit.throttled('answered 429', askedMs, nowMs)
        if (askedMs) quiet.set(closedByKind, nowMs + Math.min(askedMs, longestQuietMs))
      },
      failed(error) {
        count(0)
        circuit.failed(error, clock.now())
      },
      release() {
        quota.ended(mark)
        ended?.()
      },
    }
  }

  async function waitFor(asked: RequestKind, signal: AbortSignal | undefined): Promise<void> {
    const first = obstacle(asked)
    if (first === undefined) return
    const waitMs = first.untilMs - clock.now()
    if (waitMs > patienceMs) throw first.error
    await wait(waitMs, signal)
    const second = obstacle(asked)
    if (second !== undefined) throw second.error
  }

  return {
    refusal(purpose, asked) {
      if (!purpose.isBackground) return quietRefusal(asked, clock.now())
      const found = obstacle(asked)
      return found !== undefined && found.untilMs - clock.now() > patienceMs ? found.error : undefined
    },
    begin,

    async turn(purpose, asked, signal) {
      const most = (): number => mostAtOnce(asked)
      if (!turns.take(most()) && !(await turns.wait(patienceMs, signal))) {
        const nowMs = clock.now()
        throw refusal(`${host} is being asked as much as it may be at the same time`, nowMs + patienceMs, nowMs)
      }
      const ended = (): void => turns.release(most())
      let slot: Slot | undefined
      try {
        await waitFor(asked, signal)
        const nowMs = clock.now()
        const paceMs = pace.peek(nowMs)
        if (paceMs > patienceMs) throw refusal(`${host} is being asked as often as it may be`, nowMs + paceMs, nowMs)
        slot = begin(purpose, asked, ended)
        if (pace.next(nowMs) === 0) return slot
        await wait(paceMs, signal)
        const closed = obstacle({ method: 'GET', kind: 'blob' })
        if (closed !== undefined) throw closed.error
        return slot
      } catch (error) {
        if (slot === undefined) ended()
        else slot.release()
        throw error
      }
    },

    failed(error) {
      circuit.failed(error, clock.now())
    },

    throttled(askedMs) {
      closedByKind = ''
      circuit.throttled('answered 429 when asked for a token', askedMs, clock.now())
    },

    loggedIn(status) {
      refused = status === undefined ? undefined : { status, at: clock.now() }
    },

    state() {
      const nowMs = clock.now()
      const { known } = quota
      const closed = circuit.closed(nowMs)
      const usedUpUntil = quota.usedUpUntil({ method: 'GET', kind: 'manifest' }, reserve, nowMs)
      const nextFreeAt = Math.max(closed?.untilMs ?? 0, usedUpUntil ?? 0, nowMs + pace.peek(nowMs))
      return {
        ...payer,
        limits,
        ...(known && {
          quota: {
            limit: known.limit,
            remaining: known.remaining,
            windowMs: known.windowMs,
            at: clock.shown(known.at),
          },
        }),
        ...(closed && { closedUntil: clock.shown(closed.untilMs), closedBy: closed.by }),
        ...(answeredAt === undefined ? {} : { answeredAt: clock.shown(answeredAt) }),
        isReachable: circuit.isReachable,
        ...(refused && { refused: { ...refused, at: clock.shown(refused.at) } }),
        requests,
        spent: spending.top(maxSpenders),
        nextFreeAt: clock.shown(nextFreeAt),
        waiting: turns.waiting,
      }
    },
  }
}

function nameOf({ method, kind }: RequestKind): string {
  return `${method} ${kind}`
}
