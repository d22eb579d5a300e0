import { expect, test } from 'vitest'
import { failure, startFakeApi } from './fake-api.ts'
import { a, events, ledger, streamPath, weir } from './tag-api.ts'

const checks = '/apis/weir.dev/v1/namespaces/demo/tagchecks'
const stream = {
  kind: 'ImageStream',
  metadata: { name: 'app', namespace: 'demo', annotations: { 'weir.dev/follow': 'true' } },
  spec: { dockerImageRepository: 'quay.io/org/app' },
}

/** What is told of the stream. Tests run at 2026-01-31T00:00:00Z. */
async function described(lastCheck: object | undefined, more: object = {}): Promise<string> {
  const api = await startFakeApi()
  api.answer('GET', events, ledger())
  api.answer('GET', streamPath('app'), { body: stream })
  const check = {
    metadata: { name: 'app:*', namespace: 'demo' },
    stream: 'app',
    tag: '*',
    from: 'quay.io/org/app',
    interval: '6h',
    nextCheck: '2026-01-31T00:07:00Z',
    ...(lastCheck === undefined ? {} : { lastCheck: { time: '2026-01-30T23:52:00Z', failures: 0, ...lastCheck } }),
    ...more,
  }
  api.answer('GET', checks, { body: { kind: 'TagCheckList', items: [check] } })
  return (await weir(api, 'describe', 'demo/app')).stdout
}

test.each<[object | undefined, string]>([
  [undefined, 'quay.io/org/app, followed every 6h\n'],
  [{ result: 'New', tags: 12, newTags: 3, additionalTags: 0 }, ': 3 new, 12 tags\n'],
  [{ result: 'Unchanged', tags: 12, newTags: 0, additionalTags: 0 }, ': unchanged, 12 tags\n'],
  [
    { result: 'Unchanged', tags: 50, newTags: 0, additionalTags: 7 },
    ': unchanged, 50 tags, and 7 more that it does not get (weir.dev/max-tags)\n',
  ],
  [
    { result: 'Failed', reason: 'QuotaExceeded', message: 'exceeded quota: tags', tags: 12, newTags: 0 },
    ': failed: QuotaExceeded: exceeded quota: tags\n',
  ],
])('a stream that follows a repository, whose look came to %j, says so', async (lastCheck, line) => {
  const text = await described(lastCheck)
  expect(text).toContain(line)
  expect(text).toContain('next check ')
})

test('a stream that only names a repository, or of which nothing may be read, shows the name', async () => {
  const api = await startFakeApi()
  api.answer('GET', events, ledger())
  api.answer('GET', streamPath('app'), { body: { ...stream, status: { tags: [{ tag: 'x', items: [{ image: a }] }] } } })
  api.answer('GET', checks, failure(403, 'Forbidden', 'no'))
  const { code, stdout } = await weir(api, 'describe', 'demo/app')
  expect(code).toBe(0)
  expect(stdout).toMatch(/Imports: +quay\.io\/org\/app\n/)
})
