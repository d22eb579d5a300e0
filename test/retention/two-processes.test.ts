import { expect, test, vi } from 'vitest'
import type { Lease, Store } from '../../src/store/store.ts'
import { makeImage } from '../support/images.ts'
import { over, type RetentionWorld, retentionWorld } from './world.ts'

const v1 = makeImage('v1', { layers: ['one', 'two', 'three'].map((text) => Buffer.from(`layer ${text}`)) })

/** A store whose leases one has at a time, and others wait for, as a cluster's does. */
function exclusive(store: Store): Store & { revoke(): void } {
  let free: Promise<void> = Promise.resolve()
  let revoke = (): void => undefined
  return {
    ...store,
    revoke: () => revoke(),
    async lease(_name, signal): Promise<Lease> {
      while (true) {
        const before = free
        await Promise.race([before, aborted(signal)])
        signal?.throwIfAborted()
        if (free !== before) continue
        const { promise, resolve } = Promise.withResolvers<void>()
        const lost = new AbortController()
        free = promise
        revoke = () => {
          lost.abort()
          resolve()
        }
        return { lost: lost.signal, release: async () => resolve() }
      }
    },
  }
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }))
}

/** Two processes over one store, both of which would fetch what `demo/app:prod` needs: its blobs do not come yet. */
async function two() {
  const there = await retentionWorld()
  there.registry.put('lib/app', v1, { tag: 'v1' })
  await there.importImage('app', 'prod', `${there.repository}:v1`)
  const blobs = there.registry.hold(/\/blobs\//)
  const store = exclusive(there.store)
  const first = process(there, store)
  await blobs.arrived()
  const second = process(there, store)
  return { there, blobs, store, first, second }
}

function process(there: RetentionWorld, store: Store) {
  const fetched: string[] = []
  const fetch: RetentionWorld['content']['fetch'] = (link, options) => {
    fetched.push(link.digest)
    return there.content.fetch(link, options)
  }
  return { ...over(there, { fetch }, { store }), fetched }
}

/** Long enough for whoever may to begin. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

test('of two processes one fetches, and the other when that has ended', async () => {
  const { there, blobs, first, second } = await two()
  await turns()
  expect(first.fetched.length).toBeGreaterThan(0)
  expect(first.retention.counts()).toEqual({ fetching: 1, failed: 0 })
  expect(second.fetched).toEqual([])
  expect(second.retention.counts()).toEqual({ fetching: 0, failed: 0 })
  await first.stop()
  await vi.waitFor(() => expect(second.fetched.length).toBeGreaterThan(0))
  blobs.release()
  await there.settled()
  expect(await there.isHeld(v1)).toBe(true)
})

test('a process that loses the lease ends what it fetches, and another goes on', async () => {
  const { there, blobs, store, first, second } = await two()
  store.revoke()
  await vi.waitFor(() => expect(second.fetched.length).toBeGreaterThan(0))
  await vi.waitFor(() => expect(first.retention.counts()).toEqual({ fetching: 0, failed: 0 }))
  const before = first.fetched.length
  blobs.release()
  await there.settled()
  expect(first.fetched).toHaveLength(before)
  expect(await there.isHeld(v1)).toBe(true)
})

test('a process that works gives the lease back at its end, also when it had nothing to do', async () => {
  const there = await retentionWorld()
  const store = exclusive(there.store)
  const first = process(there, store)
  await turns()
  await first.stop()
  const { release } = await store.lease('retention', AbortSignal.timeout(5000))
  await release()
})
