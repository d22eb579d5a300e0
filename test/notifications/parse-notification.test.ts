import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseNotification } from '../../src/notifications/parse-notification.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import {
  azurePayload,
  distributionPayload,
  dockerHubPayload,
  ecrPayload,
  gitHubPayload,
  harborCloudEvent,
  harborData,
  harborPayload,
  quayPayload,
  zotData,
  zotHeaders,
} from './payloads.ts'

const json = { 'content-type': 'application/json' }
const host = 'registry.example.com'
const wrongDigest = `sha256:${'1'.repeat(64)}`
const told = { hosts: [host], isReachedOtherwise: false, repository: 'lib/app', tag: 'stable' }

function parse(body: unknown, headers: Record<string, string> = json) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return parseNotification({ header: (name) => headers[name], body: Buffer.from(text) })
}

/** What parsing refuses with. */
function refusal(body: unknown, headers?: Record<string, string>): { code: string; message: string } {
  try {
    parse(body, headers)
  } catch (error) {
    if (error instanceof RegistryError) return error
    throw error
  }
  throw new Error('it was taken')
}

describe('a push is read of', () => {
  const hinted = { ...told, isReachedOtherwise: true }
  const rows: [string, unknown, Record<string, string>, object][] = [
    [
      'distribution',
      distributionPayload({ host }),
      { 'content-type': 'application/vnd.docker.distribution.events.v1+json' },
      hinted,
    ],
    [
      'distribution 3',
      distributionPayload({ host }),
      { 'content-type': 'application/vnd.docker.distribution.events.v2+json' },
      hinted,
    ],
    ['Azure', azurePayload({ host }), { 'content-type': 'application/json; charset=utf-8' }, hinted],
    ['Harbor', harborPayload({ host }), json, told],
    ['Harbor 1', harborPayload({ host }, 'pushImage'), json, told],
    ['Harbor in CloudEvents', harborCloudEvent({ host }), { 'content-type': 'application/cloudevents+json' }, told],
    ['Harbor in CloudEvents that say it is JSON', harborCloudEvent({ host }), json, told],
    ['Quay', quayPayload({ host }), json, told],
    ['Quay with tags by name', quayPayload({ host }, { stable: 'abc' }), json, told],
    ['zot', zotData(), zotHeaders(), { ...hinted, hosts: [] }],
    ['zot with a source of its own', zotData(), zotHeaders(`https://${host}`, 'com.example.image.updated'), hinted],
    [
      'zot in one piece',
      { specversion: '1.0', id: '1', source: 'zotregistry.dev', type: 'zotregistry.image.updated', data: zotData() },
      { 'content-type': 'application/cloudevents+json' },
      { ...hinted, hosts: [] },
    ],
    ['Docker Hub', dockerHubPayload(), json, { ...told, hosts: ['docker.io'] }],
    [
      'Docker Hub, of an official image',
      dockerHubPayload('nginx'),
      json,
      { ...told, hosts: ['docker.io'], repository: 'library/nginx' },
    ],
    ['ECR', ecrPayload(), json, { ...told, hosts: ['123456789012.dkr.ecr.us-west-2.amazonaws.com'] }],
    [
      'ECR in China',
      { ...ecrPayload(), region: 'cn-north-1' },
      json,
      { ...told, hosts: ['123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn'] },
    ],
    ['GitHub', gitHubPayload(), json, { ...told, hosts: ['ghcr.io'] }],
    [
      'GitHub by its other event',
      gitHubPayload('registry_package', 'ghcr.io/lib/app:'),
      json,
      { ...told, hosts: ['ghcr.io'] },
    ],
    [
      'what a CloudEvent of any type holds',
      { ...harborCloudEvent({ host }), type: 'Microsoft.ContainerRegistry.ImagePushed', data: azurePayload({ host }) },
      json,
      hinted,
    ],
    [
      'base64 in a CloudEvent',
      {
        ...harborCloudEvent({ host }),
        data: undefined,
        data_base64: Buffer.from(JSON.stringify(harborData({ host }))).toString('base64'),
      },
      json,
      told,
    ],
    ['a body without a media type', harborPayload({ host }), {}, told],
  ]
  test.each(rows)('%s', (_name, body, headers, push) => {
    expect(parse(body, headers)).toEqual([push])
  })

  test('a body that says things twice, as it says them last', () => {
    const event = '"action":"push","target":{"repository":"lib/app","tag":"other","tag":"stable"}'
    const body = `{"events":[{"action":"push","target":{"repository":"a","tag":"b"}}],"events":[{${event}}]}`
    expect(parse(body)).toEqual([{ ...told, hosts: [], isReachedOtherwise: true }])
  })

  test('a batch of CloudEvents, each push once', () => {
    const batch = [harborCloudEvent({ host }), harborCloudEvent({ host }), harborCloudEvent({ host, tag: 'next' })]
    const headers = { 'content-type': 'application/cloudevents-batch+json' }
    expect(parse(batch, headers)).toEqual([told, { ...told, tag: 'next' }])
  })
})

describe('nothing is read of', () => {
  const rows: [string, unknown, Record<string, string>?][] = [
    [
      'pulls and deletions in distribution',
      { events: [{ action: 'pull' }, { action: 'delete' }, { action: 'mount' }] },
    ],
    ['an envelope without events', { events: [] }],
    ['a push by digest', distributionPayload({ host, tag: '' })],
    ['Azure trying its hook', { id: '1', timestamp: '2026-01-01T00:00:00Z', action: 'ping' }],
    ['other events of Harbor', { type: 'SCANNING_COMPLETED', occur_at: 1, event_data: { scan: {} } }],
    ['an artifact of Harbor without a tag', harborPayload({ host, tag: `sha256:${'1'.repeat(64)}` })],
    ['other CloudEvents of Harbor', harborCloudEvent({ host }, 'harbor.artifact.pulled')],
    ['other events of zot', zotData(), zotHeaders('zot', 'zotregistry.image.deleted')],
    ['a manifest by digest in zot', zotData({ tag: `sha256:${'1'.repeat(64)}` }), zotHeaders()],
    ['other events of Quay', { ...quayPayload({ host }), updated_tags: undefined, build_id: 'x' }],
    ['failed pushes to ECR', ecrPayload({ result: 'FAILURE' })],
    ['deletions in ECR', ecrPayload({ 'action-type': 'DELETE' })],
    ['scans in ECR', { ...ecrPayload(), 'detail-type': 'ECR Image Scan' }],
    ['GitHub trying its hook', { zen: 'Keep it logically awesome.', hook_id: 1, hook: {} }],
    ['packages of GitHub that are no images', { action: 'published', package: { package_type: 'npm', name: 'x' } }],
    ['images of GitHub without a tag', gitHubPayload('package', 'ghcr.io/lib/app', '')],
    [
      'CloudEvents about anything else',
      { specversion: '1.0', id: '1', source: '/x', type: 'com.example.door.opened', data: [1] },
    ],
    ['what no image is called', distributionPayload({ host, repository: '../etc/passwd' })],
    ['a tag that is none', distributionPayload({ host, tag: '../../v2' })],
    ['a repository with a tag in its name', distributionPayload({ host, repository: 'lib/app:stable' })],
    ['a repository with a digest in its name', distributionPayload({ host, repository: `lib/app@${wrongDigest}` })],
    [
      'keys that are written otherwise',
      { events: [{ Action: 'push', action: 'pull', Target: { repository: 'a', tag: 'b' } }] },
    ],
  ]
  test.each(rows)('%s', (_name, body, headers) => {
    expect(parse(body, headers)).toEqual([])
  })
})

describe('a host is taken for a name alone', () => {
  test.each([['evil.example/x'], ['a b'], ['user:pass@host'], ['[::1'], ['host:99999'], ['-'], ['']])(
    '%j is none',
    (bad) => {
      expect(
        parse({ events: [{ action: 'push', target: { repository: 'lib/app', tag: 'v1' }, request: { host: bad } }] }),
      ).toEqual([{ hosts: [], isReachedOtherwise: true, repository: 'lib/app', tag: 'v1' }])
    },
  )

  test('and written as users write it', () => {
    expect(parse(distributionPayload({ host: 'Index.Docker.io' }))).toMatchObject([{ hosts: ['docker.io'] }])
  })
})

describe('refused in words is', () => {
  const rows: [string, unknown, RegExp, Record<string, string>?][] = [
    ['no JSON', '{"events":', /no JSON/],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1'), /no form that is known/],
    ['an empty body', '', /no JSON/],
    ['JSON that is no object', '"events"', /no form that is known here: distribution/],
    ['an object of no known form', { hello: 'world' }, /no form that is known here/],
    ['a list of no CloudEvents', [{ eventType: 'x' }], /no form that is known here/],
    ['a list of nothing', [], /no form that is known here/],
    ['events that are no list', { events: {} }, /^events: must be a list of at most 100/],
    ['too many events', { events: Array(101).fill({ action: 'pull' }) }, /^events: must be a list of at most 100/],
    ['an event that is no object', { events: [null] }, /^events\[0\]\.action: must be a text/],
    [
      'a push without a repository',
      { events: [{ action: 'push', target: { tag: 'v1' } }] },
      /^events\[0\]\.target\.repository/,
    ],
    [
      'a tag that is no text',
      { events: [{ action: 'push', target: { repository: 'a', tag: 1 } }] },
      /^events\[0\]\.target\.tag/,
    ],
    [
      'Harbor without resources',
      { type: 'PUSH_ARTIFACT', event_data: { repository: { repo_full_name: 'a' } } },
      /^event_data\.resources/,
    ],
    [
      'too many tags of Quay',
      quayPayload({ host }, Array(101).fill('x')),
      /^updated_tags: must be a list of at most 100/,
    ],
    ['Quay without an image', { docker_url: 'https://quay.io/x', updated_tags: ['v1'] }, /^docker_url/],
    ['ECR with another account', { ...ecrPayload(), account: 'evil.example/' }, /^account: must be twelve digits/],
    ['ECR with another region', { ...ecrPayload(), region: 'x.evil.example/' }, /^region/],
    [
      'a CloudEvent of another version',
      { ...harborCloudEvent({ host }), specversion: '0.3' },
      /^specversion: must be 1\.0/,
    ],
    ['a CloudEvent without a type', zotData(), /^ce-type/, { ...zotHeaders(), 'ce-type': '' }],
    [
      'too many pushes in all',
      Array.from({ length: 2 }, (_, i) => ({
        ...harborCloudEvent({ host }),
        data: { ...harborData({ host }), resources: Array.from({ length: 60 }, (_, j) => ({ tag: `t${i}-${j}` })) },
      })),
      /100 pushes at most/,
    ],
    ['60,000 lists in one another', `${'['.repeat(30_000)}${']'.repeat(30_000)}`, /no form that is known here/],
    ['60,000 objects in one another', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, /no form that is known here/],
    ['a form of the prototype', '{"__proto__":{"events":[]}}', /no form that is known here/],
  ]
  test.each(rows)('%s', (_name, body, message, headers) => {
    expect(refusal(body, headers)).toMatchObject({ code: 'BAD_REQUEST', message: expect.stringMatching(message) })
  })

  test('bytes that are no UTF-8', () => {
    const body = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])
    expect(() => parseNotification({ header: () => 'application/json', body })).toThrow(/no JSON/)
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'text/json'])('%s', (type) => {
    expect(refusal('{}', { 'content-type': type })).toMatchObject({ code: 'UNSUPPORTED_MEDIA_TYPE' })
  })
})

/** Takes parts of what somebody sends away, or puts others there. */
function broken(value: unknown, path: readonly number[], by: unknown): unknown {
  const [first, ...rest] = path
  if (typeof value !== 'object' || value === null || first === undefined) return by
  const keys = Object.keys(value)
  const key = keys[first % Math.max(1, keys.length)]
  if (key === undefined) return by
  const inner = broken((value as Record<string, unknown>)[key], rest, by)
  return Array.isArray(value) ? value.with(Number(key), inner) : { ...value, [key]: inner }
}

describe('whatever is sent', () => {
  const check = (body: unknown, headers: Record<string, string> = json) => {
    try {
      const pushes = parse(body, headers)
      expect(pushes.length).toBeLessThanOrEqual(100)
      for (const { hosts, repository, tag } of pushes) {
        expect(repository).toMatch(/^[a-z0-9._/-]+$/)
        expect(tag).toMatch(/^\w[\w.-]{0,127}$/)
        for (const each of hosts) expect(URL.canParse(`https://${each}/`)).toBe(true)
      }
    } catch (error) {
      expect(error).toBeInstanceOf(RegistryError)
      expect((error as RegistryError).code).toBe('BAD_REQUEST')
    }
  }

  test('it is pushes, or a refusal', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.boolean(), (body, isBinary) =>
        check(body, isBinary ? zotHeaders() : json),
      ),
      { numRuns: 500 },
    )
  })

  test('also of a known form that is broken somewhere', () => {
    const payloads = [
      distributionPayload({ host }),
      azurePayload({ host }),
      harborPayload({ host }),
      harborCloudEvent({ host }),
      quayPayload({ host }),
      dockerHubPayload(),
      ecrPayload(),
      gitHubPayload(),
      zotData(),
    ]
    const path = fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(
        fc.constantFrom(...payloads),
        path,
        fc.jsonValue({ maxDepth: 3 }),
        fc.boolean(),
        (body, at, by, isZot) => check(broken(body, at, by), isZot ? zotHeaders() : json),
      ),
      { numRuns: 2000 },
    )
  })
})
