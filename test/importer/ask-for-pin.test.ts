import { expect, test } from 'vitest'
import type { Location } from '../../src/content/content.ts'
import { createAskForPin } from '../../src/importer/ask-for-pin.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { RegistryError, type UpstreamReason } from '../../src/oci/errors.ts'
import type { StreamLink } from '../../src/streams/streams.ts'
import type { Upstream } from '../../src/upstream/upstream.ts'

const app = { project: 'demo', stream: 'app' }
const image = digestOf('image')

type Answer = 'there' | UpstreamReason | 'silence'

function locationAt(host: string): Location {
  return { kind: 'upstream', host, repository: 'lib/app', project: 'demo' }
}

/** Asks for an image that came from these hosts, each of which answers so. */
async function asked(answers: Record<string, Answer>, more: readonly Location[] = [], left?: AbortSignal) {
  const hosts: string[] = []
  const upstream: Pick<Upstream, 'resolve' | 'onBehalf'> = {
    onBehalf: () => upstream as Upstream,
    async resolve({ host }, reference, signal) {
      hosts.push(`${host} ${reference}`)
      const answer = answers[host] ?? 'silence'
      if (answer === 'there') return { digest: image, mediaType: 'application/vnd.oci.image.manifest.v1+json' }
      if (answer !== 'silence') {
        throw new RegistryError('MANIFEST_UNKNOWN', { upstream: { host, reason: answer } })
      }
      return new Promise((_resolve, reject) => {
        const abort = (): void => reject(signal?.reason)
        if (signal?.aborted) abort()
        signal?.addEventListener('abort', abort)
      })
    },
  }
  const link = { digest: image, locations: [...Object.keys(answers).map(locationAt), ...more] } as unknown as StreamLink
  const links = { get: async (_name: unknown, digest: Digest) => (digest === image ? link : undefined) }
  return { result: await createAskForPin({ links, upstream, timeoutMs: 50 })(app, image, { signal: left }), hosts }
}

const table: [string, Record<string, Answer>, unknown][] = [
  ['is gone where its one location does not have it', { 'a.io': 'NotFound' }, { image, host: 'a.io' }],
  ['is gone where none has it', { 'a.io': 'NotFound', 'b.io': 'NotFound' }, { image, host: 'a.io' }],
  ['is there where one has it', { 'a.io': 'NotFound', 'b.io': 'there' }, null],
  ['is there where one has it and another is down', { 'a.io': 'Unreachable', 'b.io': 'there' }, null],
  ['may be where Weir may not look', { 'a.io': 'NotFound', 'b.io': 'Unauthorized' }, undefined],
  ['may be where nobody answers', { 'a.io': 'NotFound', 'b.io': 'silence' }, undefined],
  ['may be where the upstream is down', { 'a.io': 'Unreachable' }, undefined],
  ['may be where the upstream has no time', { 'a.io': 'TooManyRequests' }, undefined],
  ['may be where other bytes are', { 'a.io': 'BadDigest' }, undefined],
]

test.each(table)('an image %s', async (_name, answers, expected) => {
  const { result, hosts } = await asked(answers)
  expect(result).toEqual(expected)
  expect(hosts).toEqual(Object.keys(answers).map((host) => `${host} ${image}`))
})

test('nobody is asked about what Weir was given, and what is nowhere', async () => {
  for (const answers of [{}, { 'a.io': 'NotFound' } as const]) {
    expect(await asked(answers, [{ kind: 'here' }])).toEqual({ result: undefined, hosts: [] })
  }
  expect(await asked({})).toEqual({ result: undefined, hosts: [] })
})

test('an image of very many locations is not looked for', async () => {
  const answers = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`r${i}.io`, 'NotFound' as const]))
  expect(await asked(answers)).toEqual({ result: undefined, hosts: [] })
})

test('an import that ends ends the asking', async () => {
  const { result } = await asked({ 'a.io': 'silence' }, [], AbortSignal.abort())
  expect(result).toBeUndefined()
})
