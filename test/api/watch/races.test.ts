import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Call, Page } from '../../../src/api/resource.ts'
import { type Event, watchWorld } from './world.ts'

const step = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
  does: fc.constantFrom('set', 'set', 'unset'),
  labelled: fc.boolean(),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const scenario = fc.record({
  before: fc.array(step, { maxLength: 8 }),
  /** What happens around each page of the list, and between the watch's beginning and its first reading. */
  between: fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 6 }),
  after: fc.array(step, { maxLength: 4 }),
  pageSize: fc.integer({ min: 1, max: 3 }),
  selector: fc.boolean(),
})

/**
 * A client keeps what it is told as an informer does. Told in any order of pages and changes, it must come to what is
 * there, be told of no deletion of what it does not know and of no creation of what it knows, and never go back in time.
 */
test('a list and the changes meanwhile make one consistent story', async () => {
  const pending: Step[][] = []
  const world = await watchWorld({
    row: ({ list }) => ({
      handlers: {
        list: async (call: Call): Promise<Page> => {
          await takeAll(pending.shift() ?? [])
          const page = await list({ ...call, options: { ...call.options, limit: pageSize } })
          await takeAll(pending.shift() ?? [])
          return page
        },
      },
    }),
  })
  let pageSize = 1
  const takeAll = async (steps: readonly Step[]) => {
    for (const { name, does, labelled } of steps) {
      if (does === 'set')
        await world.set(name, { data: { n: String(Math.random()) }, ...(labelled && { labels: { x: '1' } }) })
      else await world.unset(name)
    }
  }
  await fc.assert(
    fc.asyncProperty(scenario, async ({ before, between, after, pageSize: size, selector }) => {
      pageSize = size
      await takeAll(before)
      pending.push(...between)
      const client = await world.open({ query: selector ? 'labelSelector=x' : '' })
      const known = new Map<string, number>()
      const seen: string[] = []
      // Told a second time after the list is over, when it may have been in the list itself.
      const end = `z-${Math.random()}`
      const setEnd = () => world.set(end, { labels: { x: '1' } })
      const reading = (async () => {
        let last: number | undefined
        for (;;) {
          const event = await client.next()
          if (event === undefined) throw new Error('the watch ended')
          const { name, resourceVersion } = event.object.metadata
          seen.push(`${event.type} ${name}@${resourceVersion}`)
          if (name !== end) take(known, event, seen)
          else if (last === undefined) last = await setEnd()
          else if (Number(resourceVersion) === last) return
        }
      })()
      await takeAll(after)
      while (pending.length > 0) await takeAll(pending.shift() ?? [])
      await setEnd()
      await reading
      await client.leave()
      await world.unset(end)
      const { items } = await world.objects.list('configmaps', undefined)
      const there = items.filter(({ metadata }) => !selector || metadata.labels?.x !== undefined)
      expect(Object.fromEntries(known)).toEqual(
        Object.fromEntries(there.map(({ metadata }) => [metadata.name, Number(metadata.resourceVersion)])),
      )
    }),
    { numRuns: 300 },
  )
}, 60_000)

function take(known: Map<string, number>, { type, object: { metadata } }: Event, story: readonly string[]): void {
  const at = known.get(metadata.name)
  const revision = Number(metadata.resourceVersion)
  const label = story.join(', ')
  expect(type === 'ADDED', label).toBe(at === undefined)
  if (at !== undefined) expect(revision, label).toBeGreaterThan(at)
  if (type === 'DELETED') known.delete(metadata.name)
  else known.set(metadata.name, revision)
}
