import { expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { fakeAnswer } from '../support/fake-upstream-answers.ts'
import { makeImage } from '../support/images.ts'
import { app, scheduleWorld } from './world.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const tags = 24
const intervalMs = 6 * hourMs

/** The same numbers in each run: what failed can be run again. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Ways in which a repository is not as it was, and what a tag's condition calls it. */
const troubles = {
  Unreachable: () => fakeAnswer(503),
  TooManyRequests: () => fakeAnswer(429, '', { 'retry-after': '3600' }),
  Unauthorized: () => fakeAnswer(401),
  NotFound: () => fakeAnswer(404),
  Invalid: () => fakeAnswer(418),
} as const
const names = Object.keys(troubles) as (keyof typeof troubles)[]

test('thirty days of upstreams that fail and return leave each tag with its image xor a reasoned condition, and no schedule stalled', async () => {
  const random = seeded(7)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const w = await scheduleWorld({ intervalMs, schedule: { random, maxPauseMs: dayMs } })
  const images = Array.from({ length: 6 }, (_, i) => makeImage(`v${i}`))
  const trouble = new Map<string, keyof typeof troubles>()
  const upstream = new Map<string, Digest>()
  w.registry.intercept((req, _res, next) => {
    const repository = /^\/v2\/(lib\/app-\d+)\//.exec(req.url ?? '')?.[1]
    const name = repository === undefined ? undefined : trouble.get(repository)
    return name === undefined ? next() : troubles[name]()
  })
  const repositoryOf = (tag: number) => `lib/app-${tag}`
  const move = (tag: number) => {
    const image = pick(images)
    w.registry.put(repositoryOf(tag), image, { tag: 'stable' })
    upstream.set(repositoryOf(tag), image.manifest.digest)
  }
  for (let tag = 0; tag < tags; tag++) {
    move(tag)
    // Some fail from the first import on.
    if (tag % 8 === 0) trouble.set(repositoryOf(tag), pick(names))
    await w.follow(`t${tag}`, `${w.registry.host}/${repositoryOf(tag)}:stable`)
  }

  for (let day = 0; day < 30; day++) {
    for (let change = 0; change < 12; change++) {
      const tag = Math.floor(random() * tags)
      const roll = random()
      if (roll < 0.4) move(tag)
      else if (roll < 0.7) trouble.set(repositoryOf(tag), pick(names))
      else trouble.delete(repositoryOf(tag))
    }
    if (day % 10 === 9) {
      await w.stop()
      w.clock.advance(hourMs)
      await w.start()
    }
    await w.pass(dayMs)
    for (const { nextAt, last } of w.schedule.checks(app)) {
      expect(nextAt).toBeGreaterThan(w.clock.now() - 1)
      expect(nextAt).toBeLessThan(w.clock.now() + 1.2 * dayMs)
      expect(last?.at).toBeGreaterThan(w.clock.now() - 2.4 * dayMs)
    }
  }

  // What is gone for good, and what comes back.
  const lost = new Set(['lib/app-3', 'lib/app-8'])
  trouble.clear()
  for (const repository of lost) trouble.set(repository, 'NotFound')
  await w.pass(3 * dayMs)
  expect(w.schedule.checks(app)).toHaveLength(tags)
  for (let tag = 0; tag < tags; tag++) {
    const record = (await w.reader.tag(app, `t${tag}`))?.record
    const isLost = lost.has(repositoryOf(tag))
    expect(record?.condition?.reason).toBe(isLost ? 'NotFound' : undefined)
    if (!isLost) expect(record?.items[0]?.image).toBe(upstream.get(repositoryOf(tag)))
  }
  const polls = w.registry.matching(/^HEAD .*\/manifests\/stable/).length
  const perTag = polls / tags
  // Four checks a day, a few more where something failed: no storm, and nobody forgotten.
  expect(perTag).toBeGreaterThan(60)
  expect(perTag).toBeLessThan(4 * 33 * 4)
}, 300_000)
