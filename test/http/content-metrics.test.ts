import { expect, test } from 'vitest'
import { createCounters } from '../../src/content/counters.ts'
import { startHttp } from './harness.ts'

/** The lines of `/metrics` about content and what is retained, without their comments. */
async function contentLines(options: Parameters<typeof startHttp>[0]): Promise<() => Promise<string[]>> {
  const { ask } = await startHttp(options)
  return async () => {
    const answer = await ask('/metrics')
    expect(answer.status).toBe(200)
    return answer.body
      .toString()
      .split('\n')
      .filter((line) => /^weir_(?:content|retention)_/.test(line))
  }
}

test('/metrics tells what is held, fetched and given out, each time as it stands', async () => {
  const counters = createCounters()
  const read = await contentLines({ counters })
  expect(await read()).toEqual([
    'weir_content_upstream_bytes_total 0',
    'weir_content_delivered_bytes_total 0',
    'weir_content_resumes_total 0',
    'weir_content_streamed_through_total 0',
    'weir_content_quarantined_total 0',
    'weir_content_held_bytes 0',
    'weir_content_upload_bytes 0',
    'weir_content_downloads 0',
    'weir_content_max_bytes 1073741824',
    'weir_content_problem{problem="disk full"} 0',
    'weir_content_problem{problem="maxBytes reached"} 0',
    'weir_content_problem{problem="disk failed"} 0',
  ])
  Object.assign(counters, { heldBytes: 7, uploadBytes: 6, upstreamBytes: 10, deliveredBytes: 320, downloads: 2 })
  Object.assign(counters, { resumes: 3, streamedThrough: 4, quarantined: 5 })
  await read()
  expect((await read()).slice(0, 8)).toEqual([
    'weir_content_upstream_bytes_total 10',
    'weir_content_delivered_bytes_total 320',
    'weir_content_resumes_total 3',
    'weir_content_streamed_through_total 4',
    'weir_content_quarantined_total 5',
    'weir_content_held_bytes 7',
    'weir_content_upload_bytes 6',
    'weir_content_downloads 2',
  ])
})

test.each(['disk full', 'maxBytes reached', 'disk failed'] as const)(
  '/metrics names "%s" while it lasts',
  async (problem) => {
    const counters = createCounters()
    const read = await contentLines({ counters })
    const named = async () =>
      (await read()).filter((line) => line.startsWith('weir_content_problem') && line.endsWith(' 1'))
    counters.problem = problem
    expect(await named()).toEqual([`weir_content_problem{problem="${problem}"} 1`])
    counters.problem = undefined
    expect(await named()).toEqual([])
  },
)

test('/metrics counts tags by how far their content is', async () => {
  const counts = { fetching: 2, failed: 1 }
  const read = await contentLines({ retention: { counts: () => counts } })
  const tags = async () => (await read()).filter((line) => line.startsWith('weir_retention'))
  expect(await tags()).toEqual(['weir_retention_tags{state="fetching"} 2', 'weir_retention_tags{state="failed"} 1'])
  Object.assign(counts, { fetching: 0 })
  expect(await tags()).toEqual(['weir_retention_tags{state="fetching"} 0', 'weir_retention_tags{state="failed"} 1'])
})

test('/metrics counts uploads that are not finished', async () => {
  let count = 3
  const read = await contentLines({ uploadCount: async () => count })
  expect(await read()).toContain('weir_content_uploads 3')
  count = 0
  expect(await read()).toContain('weir_content_uploads 0')
})
