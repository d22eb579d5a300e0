import { expect, test } from 'vitest'
import { createCounters } from '../../src/content/counters.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { following, followingWorld } from '../following/world.ts'
import { makeImage } from '../support/images.ts'

test('/metrics tells how many tags follow those of other streams, and how many can not', async () => {
  const world = await followingWorld()
  const metrics = createMetrics({
    audit: { lost: 0 },
    content: { counters: createCounters() },
    maxContentBytes: 1,
    following: world.running,
  })
  const lines = async () =>
    (await metrics.render()).text.split('\n').filter((line) => line.startsWith('weir_following'))
  await world.importTo('demo/app:dev', makeImage('v1'))
  for (const tag of ['a', 'b']) await world.set(`prod/app:${tag}`, following('demo/app:dev'))
  await world.set('prod/app:later', following('demo/app:later'))
  await world.idle()
  expect(await lines()).toEqual(['weir_following_tags{state="following"} 2', 'weir_following_tags{state="failing"} 1'])
  await world.set('prod/app:a', null)
  await world.importTo('demo/app:later', makeImage('v2'))
  await world.idle()
  expect(await lines()).toEqual(['weir_following_tags{state="following"} 2', 'weir_following_tags{state="failing"} 0'])
})
