import { setImmediate as tick } from 'node:timers/promises'
import { RegistryError } from '../../src/oci/errors.ts'
import { type Budgets, defaultLimits, type Payer, type RequestKind, type Slot } from '../../src/upstream/budget.ts'
import { createBudgets } from '../../src/upstream/create-budgets.ts'
import { upstreamFailure } from '../../src/upstream/failure.ts'

export const hub: Payer = { host: 'docker.io', credential: undefined }
export const getManifest: RequestKind = { method: 'GET', kind: 'manifest' }
export const headManifest: RequestKind = { method: 'HEAD', kind: 'manifest' }
export const background = { isBackground: true }
export const interactive = { isBackground: false }

export interface VirtualTime {
  now(): number
  wait(ms: number, signal?: AbortSignal): Promise<void>
  /** Lets time pass, each wait that is over at its time. */
  pass(ms: number): Promise<void>
  /** Sets the clock by so much, while what is waited for goes on as it does. */
  jump(ms: number): void
}

export function virtualTime(startMs = Date.UTC(2026, 0, 1)): VirtualTime {
  let passedMs = 0
  let clockMs = startMs
  const waits = new Set<{ atMs: number; end: () => void }>()
  return {
    now: () => clockMs + passedMs,
    wait: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted()
        const waiting = { atMs: passedMs + ms, end: resolve }
        waits.add(waiting)
        signal?.addEventListener('abort', () => {
          waits.delete(waiting)
          reject(signal.reason)
        })
      }),
    async pass(ms) {
      const endMs = passedMs + ms
      for (;;) {
        for (let i = 0; i < 3; i++) await tick()
        const next = [...waits].sort((a, b) => a.atMs - b.atMs)[0]
        if (next === undefined || next.atMs > endMs) break
        passedMs = Math.max(passedMs, next.atMs)
        waits.delete(next)
        next.end()
      }
      passedMs = endMs
      for (let i = 0; i < 3; i++) await tick()
    },
    jump(ms) {
      clockMs += ms
    },
  }
}

export function budgetWorld(limits: Partial<typeof defaultLimits> = {}) {
  const time = virtualTime()
  const budgets = createBudgets({
    limitsOf: () => ({ ...defaultLimits, ...limits }),
    now: time.now,
    wait: time.wait,
    random: () => 0,
  })
  return { time, budgets, ...asking(budgets) }
}

/** Asks and answers at once. */
export function asking(budgets: Budgets) {
  async function ask(
    purpose: { isBackground: boolean; stream?: { project: string; stream: string } },
    options: { payer?: Payer; asked?: RequestKind; status?: number; headers?: Record<string, string> } = {},
  ): Promise<'sent' | RegistryError> {
    const { payer = hub, asked = getManifest, status = 200, headers = {} } = options
    try {
      const slot = await budgets.enter(payer, purpose, asked)
      slot.answered(status, headers)
      slot.release()
      return 'sent'
    } catch (error) {
      if (error instanceof RegistryError) return error
      throw error
    }
  }

  /** Requests that are sent and not answered. */
  async function open(purpose: { isBackground: boolean }, payer = hub, asked = getManifest): Promise<Slot> {
    return budgets.enter(payer, purpose, asked)
  }

  return { ask, open }
}

export function hubHeaders(remaining: number, limit = 100): Record<string, string> {
  return { 'ratelimit-limit': `${limit};w=21600`, 'ratelimit-remaining': `${remaining};w=21600` }
}

export function unreachable(host = hub.host): RegistryError {
  return upstreamFailure(host, 'Unreachable', `${host} could not be reached: connect ECONNREFUSED`)
}
