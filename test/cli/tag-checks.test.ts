import { describe, expect, test } from 'vitest'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { story } from './story-world.ts'
import { a, b, events, imageTag, itag, ledger, streamPath, weir } from './tag-api.ts'

const from = { kind: 'DockerImage', name: 'quay.io/org/app:v1' }
const checks = '/apis/weir.dev/v1/namespaces/demo/tagchecks'
const scheduled = { from, importPolicy: { scheduled: true } }
const short = (digest: string) => digest.slice(0, 19)
/** Tests run at 2026-01-31T00:00:00Z. */
const check = (more: object = {}) => ({
  metadata: { name: 'app:prod', namespace: 'demo' },
  stream: 'app',
  tag: 'prod',
  from: 'quay.io/org/app:v1',
  interval: '15m',
  lastCheck: { time: '2026-01-30T23:52:00Z', result: 'Unchanged', image: a, failures: 0 },
  nextCheck: '2026-01-31T00:07:00Z',
  ...more,
})

/** The stream `demo/app`, whose tag `prod` has this spec and status. */
function streamOf(spec: object, status: object = {}): { body: object } {
  const items = [{ image: a, created: '2026-01-20T00:00:00Z', generation: 1 }]
  return {
    body: {
      kind: 'ImageStream',
      metadata: { name: 'app', namespace: 'demo' },
      spec: { tags: [{ name: 'prod', ...spec }] },
      status: { tags: [{ tag: 'prod', items, ...status }] },
    },
  }
}

async function world(spec: object, told: object | undefined, status: object = {}): Promise<FakeApi> {
  const api = await startFakeApi()
  api.answer('GET', events, ledger())
  api.answer('GET', streamPath('app'), streamOf(spec, status))
  api.answer('GET', streamPath(''), { body: { items: [streamOf(spec, status).body] } })
  api.answer('GET', itag('app:prod'), imageTag('app:prod', spec, [a], status))
  if (told !== undefined) {
    api.answer('GET', `${checks}/app:prod`, { body: { kind: 'TagCheck', ...told } })
    api.answer('GET', checks, { body: { kind: 'TagCheckList', items: [told] } })
  }
  return api
}

/** What is told of the tag where its stream is described, and where it is described itself. */
async function described(...of: Parameters<typeof world>): Promise<string[]> {
  const api = await world(...of)
  return Promise.all(['demo/app', 'demo/app:prod'].map(async (name) => (await weir(api, 'describe', name)).stdout))
}

describe('describe of a scheduled tag', () => {
  test('tells of the last check and the next', async () => {
    for (const text of await described(scheduled, check())) {
      expect(text).toContain(
        'follows quay.io/org/app:v1, looked at every 15m; at once: weir import-image demo/app:prod\n',
      )
      expect(text).toContain('last check 8 minutes ago (2026-01-30T23:52:00Z): unchanged\n')
      expect(text).toContain('next check in 7 minutes (2026-01-31T00:07:00Z)\n')
    }
  })

  test.each<[object, string]>([
    [{ lastCheck: undefined }, 'next check in 7 minutes (2026-01-31T00:07:00Z)\n'],
    [{ lastCheck: { time: '2026-01-30T23:52:00Z', result: 'Moved', chosen: '1.27.3' } }, ': moved, chosen 1.27.3\n'],
    [
      { lastCheck: { time: '2026-01-30T23:52:00Z', result: 'Candidate' } },
      ': found another image, and the tag stays\n',
    ],
    [{ lastCheck: { time: '2026-01-30T23:52:00Z', result: 'Later' } }, ': Later\n'],
    [
      {
        lastCheck: {
          time: '2026-01-30T23:52:00Z',
          result: 'Failed',
          reason: 'Unreachable',
          message: 'quay.io: 503',
          failures: 3,
        },
        delayedBy: 'Backoff',
      },
      ': failed for the 3rd time: Unreachable: quay.io: 503\n',
    ],
    [{ nextCheck: '2026-01-31T00:00:30Z' }, 'next check within a minute (2026-01-31T00:00:30Z)\n'],
    [{ nextCheck: '2026-01-30T23:59:00Z' }, 'waits for its turn since 2026-01-30T23:59:00Z\n'],
    [{ delayedBy: 'Backoff' }, ': later each time that it fails\n'],
    [{ delayedBy: 'TooManyRequests' }, ': its registry asked to be left alone until then\n'],
    [
      { delayedBy: 'Budget' },
      ': put off, since its registry could be asked no more in the background (administrators: weir upstreams)\n',
    ],
    [
      { importWaits: { reason: 'TooManyRequests', message: 'quay.io is spent until 2026-01-31T06:00:00Z' } },
      'its import waits: quay.io is spent until 2026-01-31T06:00:00Z\n',
    ],
    [{ delayedBy: 'Other' }, '(2026-01-31T00:07:00Z): Other\n'],
  ])('whose check says %j says so', async (more, line) => {
    for (const text of await described(scheduled, check(more))) expect(text).toContain(line)
  })

  test('says which tag of a repository it follows, and which that is now', async () => {
    const spec = { ...scheduled, annotations: { 'weir.dev/track': 'semver:~1.27' } }
    const lastCheck = { time: '2026-01-30T23:52:00Z', result: 'Unchanged', chosen: '1.27.3' }
    for (const text of await described(spec, check({ lastCheck }))) {
      expect(text).toContain('follows the tag of quay.io/org/app that semver:~1.27 chooses, looked at every 15m')
      expect(text).toContain(': unchanged, chosen 1.27.3\n')
    }
  })

  test('says once what fails', async () => {
    const failed = { reason: 'NotFound', message: 'no such tag' }
    const status = { conditions: [{ type: 'ImportSuccess', status: 'False', generation: 1, ...failed }] }
    const lastCheck = { time: '2026-01-30T23:52:00Z', result: 'Failed', failures: 11, ...failed }
    for (const text of await described(scheduled, check({ lastCheck }), status)) {
      expect(text).toContain('failed for the 11th time: NotFound\n')
      expect(text.match(/no such tag/g)).toHaveLength(1)
    }
  })

  const candidate = { image: b, seenAt: '2026-01-30T00:00:00Z' }
  const waiting = {
    ...scheduled,
    annotations: { 'weir.dev/min-age': '72h', 'weir.dev/candidate': JSON.stringify(candidate) },
  }

  test('tells of what waits to be old enough, and when it is', async () => {
    const told = check({ candidate: { ...candidate, dueAt: '2026-02-02T00:00:00Z' } })
    for (const text of await described(waiting, told)) {
      expect(text).toContain(`~ its upstream points to ${short(b)}, first seen 24 hours ago (2026-01-30T00:00:00Z)\n`)
      expect(text).toContain(
        'it moves there in 2 days (2026-02-02T00:00:00Z), if its upstream still points there (weir.dev/min-age: 72h)\n',
      )
      expect(text).toContain('to move it now: weir import-image demo/app:prod\n')
      expect(text).not.toContain('immutable')
    }
  })

  test.each<[object | undefined, string]>([
    [{ candidate: { ...candidate, dueAt: '2026-01-30T12:00:00Z' } }, 'it moves there at the next check, '],
    [
      { candidate: { ...candidate, dueAt: '2026-01-31T00:00:20Z' } },
      'it moves there within a minute (2026-01-31T00:00:20Z), ',
    ],
    [undefined, 'it moves there when that is 72h old, '],
  ])('of which %j is told says that', async (more, line) => {
    for (const text of await described(waiting, more && check(more))) expect(text).toContain(line)
  })

  test('that is immutable waits for no age', async () => {
    const spec = { ...waiting, annotations: { ...waiting.annotations, 'weir.dev/immutable': 'true' } }
    const told = check({ candidate: { ...candidate, dueAt: '2026-02-02T00:00:00Z' } })
    for (const text of await described(spec, told)) {
      expect(text).toContain('! is immutable: it would have moved to')
      expect(text).not.toContain('moves there')
    }
  })

  test.each([403, 404])('says that it is looked at where the server answers %d', async (code) => {
    const api = await world(scheduled, undefined)
    for (const at of [checks, `${checks}/app:prod`])
      api.answer('GET', at, failure(code, code === 403 ? 'Forbidden' : 'NotFound', 'no'))
    for (const name of ['demo/app', 'demo/app:prod']) {
      const { code: exit, stdout } = await weir(api, 'describe', name)
      expect(exit).toBe(0)
      expect(stdout).toContain('looked at by itself; at once: weir import-image demo/app:prod\n')
    }
  })

  test('of one that is not, nobody is asked, and it is told how', async () => {
    const api = await world({ from }, check())
    for (const name of ['demo/app', 'demo/app:prod']) {
      const { stdout } = await weir(api, 'describe', name)
      expect(stdout).toContain('looked at by hand: weir import-image demo/app:prod; by itself with --scheduled\n')
    }
    expect(api.asked().filter((request) => request.includes('tagchecks'))).toEqual([])
  })
})

describe('get tags -o wide', () => {
  const list = '/apis/image.openshift.io/v1/namespaces/demo/imagestreams'

  test('tells when each was checked and is next, by one request for all', async () => {
    const api = await world(scheduled, check())
    api.answer('GET', list, { body: { items: [streamOf(scheduled).body] } })
    const { stdout } = await weir(api, 'get', 'tags', '-n', 'demo', '-o', 'wide')
    expect(stdout).toMatch(/ LAST CHECK +NEXT CHECK +STATE\n/)
    expect(stdout).toMatch(/demo\/app:prod .* 2026-01-30T23:52:00Z {2}2026-01-31T00:07:00Z\n/)
    expect(api.asked().filter((request) => request.includes('tagchecks'))).toHaveLength(1)
    expect((await weir(api, 'get', 'tags', '-n', 'demo')).stdout).not.toContain('CHECK')
  })

  test('shows what a policy chooses from, and what waits', async () => {
    const annotations = {
      'weir.dev/track': 'semver:~1.27',
      'weir.dev/candidate': JSON.stringify({ image: b, seenAt: '2026-01-30T00:00:00Z' }),
    }
    for (const wide of [[], ['-o', 'wide']]) {
      const api = await world({ ...scheduled, annotations }, check())
      api.answer('GET', list, { body: { items: [streamOf({ ...scheduled, annotations }).body] } })
      const { stdout } = await weir(api, 'get', 'tags', '-n', 'demo', ...wide)
      expect(stdout).toMatch(/ quay\.io\/org\/app \(semver:~1\.27\) .* has a candidate\n/)
    }
  })

  test('shows the rest to who may not read checks', async () => {
    const api = await world(scheduled, undefined)
    api.answer('GET', list, { body: { items: [streamOf(scheduled).body] } })
    api.answer('GET', checks, failure(403, 'Forbidden', 'no'))
    const { code, stdout } = await weir(api, 'get', 'tags', '-n', 'demo', '-o', 'wide')
    expect(code).toBe(0)
    expect(stdout).toMatch(/demo\/app:prod .* - +-\n/)
  })
})

describe('--interval and --min-age', () => {
  const spec = async (w: Awaited<ReturnType<typeof story>>, tag = 'prod') =>
    (await w.reader.tag({ project: 'demo', stream: 'app' }, tag))?.record

  test('of an import are written beside what the tag has, and move nothing', async () => {
    const w = await story()
    w.publish('one')
    await w.weir(['import-image', 'demo/app:prod', '--from', w.from])
    const kept = { 'content-type': 'application/merge-patch+json' }
    const at = '/apis/image.openshift.io/v1/namespaces/demo/imagestreamtags/app:prod'
    const body = { metadata: { annotations: { team: 'shop' } } }
    await w.send('PATCH', at, { token: w.adminToken, headers: kept, body })
    const { code, stderr } = await w.weir(['import-image', 'demo/app:prod', '--interval', '1h', '--min-age', '3d'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const record = await spec(w)
    expect(record?.spec).toMatchObject({
      annotations: { team: 'shop', 'weir.dev/import-interval': '1h', 'weir.dev/min-age': '3d' },
      importPolicy: { scheduled: true },
    })
    expect(record?.items).toHaveLength(1)
    const index = await w.store.get('index/scheduled/demo/app/prod')
    expect(JSON.parse(index?.value ?? '{}')).toMatchObject({ from: w.from, intervalMs: 3_600_000 })
    await w.weir(['import-image', 'demo/app:prod', '--no-scheduled'])
    expect((await spec(w))?.spec?.importPolicy.scheduled).toBeUndefined()
  })

  test('of a new tag are written too, also where the first import fails', async () => {
    const w = await story()
    const { code } = await w.weir(['import-image', 'demo/app:prod', '--from', w.from, '--interval', '2h'])
    expect(code).toBe(1)
    expect((await spec(w))?.spec).toMatchObject({
      annotations: { 'weir.dev/import-interval': '2h' },
      importPolicy: { scheduled: true },
    })
  })

  test('that are too short are refused in the words of the server', async () => {
    const w = await story()
    w.publish('one')
    const { code, stderr } = await w.weir(['import-image', 'demo/app:prod', '--from', w.from, '--interval', '10s'])
    expect(code).toBe(1)
    expect(stderr).toContain('from 1m to 30d')
  })

  test('of a tag are written with it', async () => {
    const w = await story()
    w.publish('one')
    w.importPending()
    const { code } = await w.weir(['tag', w.from, 'demo/app:prod', '--interval', '45m'])
    expect(code).toBe(0)
    expect((await spec(w))?.spec).toMatchObject({
      annotations: { 'weir.dev/import-interval': '45m' },
      importPolicy: { scheduled: true },
    })
  })
})
