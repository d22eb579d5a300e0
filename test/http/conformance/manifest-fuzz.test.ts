/** Whatever is sent as a manifest is taken as it is, or refused: never a failure of Weir. */
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { mediaTypes } from '../../../src/oci/media-types.ts'
import { dataSets, type Manifest, types } from './content.ts'
import { told, useRegistry } from './registry.ts'

const registry = useRegistry()
const root = '/v2/demo/fuzzed'
const seeds = ['image', 'index', 'artifacts-with-subject', 'data-field', 'custom-fields', 'index-with-subject'].flatMap(
  (name) => dataSets[name]?.manifests ?? [],
)

beforeAll(async () => {
  for (const { blobs } of Object.values(dataSets).filter(({ manifests }) =>
    manifests.some((each) => seeds.includes(each)),
  )) {
    for (const { bytes, digest } of blobs) await registry().putBlob('demo/fuzzed', bytes, digest)
  }
})

interface Edit {
  at: number
  remove: number
  insert: Buffer
}

const pieces = [
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '\\',
  '\\u0000',
  '\0',
  '\ufeff',
  'null',
  '1e99',
  '-1',
  '"size":',
  '"layers":[],',
  '"manifests":[],',
  '"__proto__":{},',
  '"subject":',
]
const insert = fc.oneof(
  fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(...pieces).map((text) => Buffer.from(text)),
)
const edit: fc.Arbitrary<Edit> = fc.record({ at: fc.nat(), remove: fc.nat({ max: 3 }), insert })
const edited = fc
  .tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 4 }))
  .map(([{ bytes }, edits]) => applied(bytes, edits))
/** Documents of the right shape with any value somewhere. */
const replaced = fc
  .tuple(
    fc.constantFrom(...seeds),
    fc.constantFrom(
      'schemaVersion',
      'mediaType',
      'config',
      'layers',
      'manifests',
      'subject',
      'annotations',
      'artifactType',
    ),
    fc.jsonValue(),
  )
  .map(([{ bytes }, key, value]) => Buffer.from(JSON.stringify({ ...JSON.parse(bytes.toString()), [key]: value })))
const anything = fc.oneof(
  { weight: 6, arbitrary: edited },
  { weight: 4, arbitrary: replaced },
  { weight: 1, arbitrary: fc.json().map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
)

function applied(bytes: Buffer, edits: readonly Edit[]): Buffer {
  return edits.reduce((before, { at, remove, insert: more }) => {
    const from = at % (before.length + 1)
    return Buffer.concat([before.subarray(0, from), more, before.subarray(from + remove)])
  }, bytes)
}

const mediaType = fc.constantFrom<string>(...Object.values(mediaTypes), 'application/json', '', 'x')

test('seeds are manifests that are taken', async () => {
  for (const manifest of seeds as readonly Manifest[]) {
    const answer = await registry().putManifest('demo/fuzzed', manifest.digest, manifest)
    expect(answer.status, told(answer)).toBe(201)
  }
})

test('any bytes as any type under any reference are taken as they are, or refused with a reason', {
  timeout: 120_000,
}, async () => {
  const { ask } = registry()
  const type = (bytes: Buffer) => (bytes.includes('"manifests"') ? types.index : types.image)
  const sent = fc.tuple(anything, fc.option(mediaType, { nil: undefined, freq: 3 }), fc.boolean(), fc.boolean())
  await fc.assert(
    fc.asyncProperty(sent, async ([bytes, contentType = type(bytes), byDigest, chunked]) => {
      const reference = byDigest ? digestOf(bytes) : 'fuzzed'
      const headers = { 'content-type': contentType }
      const answer = await ask('PUT', `${root}/manifests/${reference}`, { headers, body: bytes, chunked })
      expect([201, 400, 415], told(answer)).toContain(answer.status)
      if (answer.status !== 201) {
        expect(JSON.parse(answer.body.toString())).toMatchObject({
          errors: [{ code: expect.any(String), message: expect.any(String) }],
        })
        return
      }
      const got = await ask('GET', `${root}/manifests/${reference}`)
      expect(got.body.equals(bytes)).toBe(true)
      expect(got.headers['docker-content-digest']).toBe(digestOf(bytes))
    }),
    { numRuns: 400 },
  )
  expect((await ask('GET', '/v2/')).status).toBe(200)
})
