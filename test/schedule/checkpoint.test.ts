import { pino } from 'pino'
import { expect, test } from 'vitest'
import { createCheckpoint } from '../../src/schedule/checkpoint.ts'
import type { Follower, Source } from '../../src/schedule/sources.ts'
import { commitLimits } from '../../src/store/store.ts'
import { world } from '../streams/world.ts'

const log = pino({ level: 'silent' })

/** A source whose failure and whose followers' choices are as long as a registry can make them. */
function longest(i: number): Source {
  const tag = 'ä'.repeat(100)
  const follower = (n: number): [string, Follower] => {
    const name = { project: 'p'.repeat(60), stream: `s${n}`.padEnd(100, 'x'), tag: `t${n}` }
    const chosen = { tag, digest: `sha256:${'a'.repeat(64)}` } as unknown as NonNullable<Follower['chosen']>
    return [`${name.project}/${name.stream}/${name.tag}`, { ...name, record: { uid: 'u', from: 'x' }, chosen }]
  }
  return {
    key: `registry.example.com/${'r'.repeat(200)}/${i}`,
    reference: { host: 'registry.example.com', repository: 'r' },
    phase: 0,
    followers: new Map(Array.from({ length: 150 }, (_, n) => follower(n))),
    nextAt: 1,
    last: { at: 1, failure: { reason: 'Invalid', message: 'ä'.repeat(10_000) }, failures: 1 },
  }
}

test('what registries make as long as they can still fits a commit, and is read again', async () => {
  const { store } = await world()
  const sources = Array.from({ length: 200 }, (_, i) => longest(i))
  const checkpoint = createCheckpoint(store, log)
  for (const source of sources) checkpoint.changed(source)
  await checkpoint.save(sources)
  const kept = await store.get('schedule/000')
  expect(Buffer.byteLength(kept?.value ?? '')).toBeLessThan(commitLimits.maxBytes)
  const found = new Map(sources.map((source) => [source.key, { ...longest(0), key: source.key, last: undefined }]))
  for (const source of found.values()) for (const follower of source.followers.values()) delete follower.chosen
  await checkpoint.load((key) => found.get(key) as Source | undefined)
  const [first] = found.values()
  expect(first?.last).toMatchObject({ failure: { reason: 'Invalid' }, failures: 1 })
  const chosen = [...(first?.followers.values() ?? [])].filter((each) => each.chosen !== undefined)
  expect(chosen).toHaveLength(100)
})
