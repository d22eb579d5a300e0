import type { IncomingHttpHeaders } from 'node:http'
import type { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { RequestCount } from './request-counts.ts'

/** What asking registries may cost: how fast, how many at once, and what they say is left. */

/** For whom a request is: somebody waits for it, or it can be made later. */
export interface Purpose {
  isBackground: boolean
  /** The stream that it is for, for the account of who spent what. */
  stream?: StreamName
}

/** Who pays: a registry counts by login, or by address for who has none. */
export interface Payer {
  /** As users name it, with its port. */
  host: string
  /** `Credential.id`; undefined: nobody logged in. */
  credential: string | undefined
}

/** What is asked for: registries count some kinds of requests and not others. */
export interface RequestKind {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT'
  kind: 'manifest' | 'blob' | 'tags' | 'referrers'
}

/** A request that may be sent now, and sent again while its failures look like passing ones. */
export interface Slot {
  /** What the registry answered: its limits, and whether it wants to be left alone. */
  answered(status: number, headers: IncomingHttpHeaders): void
  /** Nothing was answered. */
  failed(error: RegistryError): void
  /** To be called once, when the answer is there or the request failed for good. */
  release(): void
}

export interface BudgetLimits {
  /** Most requests of the background at the same time. */
  concurrency: number
  /** Most requests of the background a second. */
  requestsPerSecond: number
  /** Part of a registry's own limit that the background leaves to those who wait, from 0 to 1. */
  reserve: number
}

export const defaultLimits: BudgetLimits = { concurrency: 8, requestsPerSecond: 20, reserve: 0.3 }

/** What is known of a payer; times are milliseconds since the epoch. */
export interface BudgetState extends Payer {
  limits: BudgetLimits
  /** What the registry last said of its limit (`ratelimit-limit`, `ratelimit-remaining`), less what was asked since. */
  quota?: { limit: number; remaining: number; windowMs: number; at: number }
  /** It answered 429, or failed again and again: the background leaves it alone until then. */
  closedUntil?: number
  /** Why: its status, or what failed. */
  closedBy?: string
  /** When it last answered at all, and whether the newest request got an answer. */
  answeredAt?: number
  isReachable: boolean
  /** The newest request with the login was refused, with this status (401; of an identity token 400), and when. */
  refused?: { status: number; at: number }
  /** Requests since the start. */
  requests: number
  /** Of them by streams: those that spent most, 100 at most. */
  spent: readonly { stream: StreamName; requests: number }[]
  /** When the background may ask next. */
  nextFreeAt: number
  /** Requests that wait. */
  waiting: number
}

export interface Budgets {
  /**
   * Gives a slot when a request may be sent. Who waits for an answer goes at once, unless the registry said that it would refuse;
   * the background takes turns, and leaves the reserve. A promise only where something has to be waited for.
   *
   * @throws RegistryError TOOMANYREQUESTS with `retryAfterSeconds` when that is not soon: without a status when only the budget
   *   says so (`isBudgetRefusal`); for the background the last failure of a registry that can not be reached, with the same
   */
  enter(payer: Payer, purpose: Purpose, asked: RequestKind, signal?: AbortSignal): Slot | Promise<Slot>
  /** What `enter` would refuse at once. @throws RegistryError as `enter` */
  require(payer: Payer, purpose: Purpose, asked: RequestKind): void
  /** It can not be found out where the registry is, with whatever login. */
  failed(payer: Payer, error: RegistryError): void
  /** The registry's token endpoint wants to be left alone. */
  throttled(payer: Payer, error: RegistryError): void
  /** Whether a login was taken: `refusedWith` is the status of who said that it is none. */
  loggedIn(payer: Payer, refusedWith: number | undefined): void
  states(): readonly BudgetState[]
  /** What came of all requests, of whoever they were. */
  requests(): readonly RequestCount[]
}
