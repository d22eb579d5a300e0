import { LRUCache } from 'lru-cache'
import { atMost } from '../oci/at-most.ts'
import { type Account, createAccount } from './account.ts'
import type { BudgetLimits, Budgets, Payer } from './budget.ts'
import { registryName } from './hosts.ts'
import { createRequestCounts } from './request-counts.ts'
import { createSteadyClock } from './steady-clock.ts'

export interface BudgetsOptions {
  /** Of each payer at a registry. */
  limitsOf(host: string): BudgetLimits
  /** Registries whose requests are counted apart, whatever others are asked. */
  named?: readonly string[]
  now: () => number
  wait(ms: number, signal?: AbortSignal): Promise<void>
  /** From 0 to 1. */
  random(): number
}

/** Payers that are remembered; what is forgotten is learned anew. */
const maxPayers = 1000

/** Creates the budgets of all payers at all registries. Everything is in memory. */
export function createBudgets({ limitsOf, named = [], now, wait, random }: BudgetsOptions): Budgets {
  const clock = createSteadyClock(now)
  const counts = createRequestCounts(named.map(registryName))
  const accounts = new LRUCache<string, Account>(atMost(maxPayers))

  function accountOf({ host: written, credential }: Payer): Account {
    const host = registryName(written)
    const key = credential === undefined ? host : `${host} ${credential}`
    const known = accounts.get(key)
    if (known !== undefined) return known
    const payer = { host, credential }
    const onRequest = (isBackground: boolean, status: number): void => counts.add(host, isBackground, status)
    const account = createAccount({ payer, limits: limitsOf(host), clock, onRequest, wait, random })
    accounts.set(key, account)
    return account
  }

  return {
    enter(payer, purpose, asked, signal) {
      const account = accountOf(payer)
      const refusal = account.refusal(purpose, asked)
      if (refusal !== undefined) throw refusal
      return purpose.isBackground ? account.turn(purpose, asked, signal) : account.begin(purpose, asked)
    },
    require(payer, purpose, asked) {
      const refusal = accountOf(payer).refusal(purpose, asked)
      if (refusal !== undefined) throw refusal
    },
    failed: (payer, error) => accountOf(payer).failed(error),
    throttled(payer, { retryAfterSeconds }) {
      accountOf(payer).throttled(retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000)
    },
    loggedIn: (payer, refusedWith) => accountOf(payer).loggedIn(refusedWith),
    requests: counts.list,
    states: () => [...accounts.values()].map((account) => account.state()),
  }
}
