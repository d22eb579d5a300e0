import { describe, expect, test, vi } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { fallbackTagOf } from '../../src/oci/fallback-tag.ts'
import { listPage } from '../../src/referrers/page.ts'
import type { Upstream } from '../../src/upstream/upstream.ts'
import { fakeError } from '../support/fake-upstream-answers.ts'
import { answering, failing } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import {
  app,
  artifact,
  byDigest,
  described,
  image,
  indexOf,
  listed,
  page,
  type ReferrersWorld,
  referrersWorld,
  sbomType,
  signatureType,
} from './world.ts'

const subject = image.manifest.digest
const api = /GET \/v2\/lib\/app\/referrers\//
const signature = artifact(image.manifest, 'signature', { annotations: { by: 'alice' } })
const sbom = artifact(image.manifest, 'sbom', { artifactType: sbomType })
const both = [listed(signature, signatureType, { by: 'alice' }), listed(sbom, sbomType)].sort(byDigest)

async function pushed(): Promise<ReferrersWorld> {
  const w = await referrersWorld()
  for (const each of [image, signature, sbom]) await w.receive(each)
  return w
}

/** A registry that has the API, and what it lists. */
async function telling(): Promise<ReferrersWorld> {
  const w = await referrersWorld()
  for (const each of [signature, sbom]) w.registry.put('lib/app', each)
  w.registry.intercept(answering(api, page(both)))
  await w.imported()
  return w
}

/** Annotations of so many bytes. */
function filler(bytes: number): Record<string, string> {
  return bytes === 0 ? {} : { filler: 'y'.repeat(bytes) }
}

describe("a stream's own referrers", () => {
  test('are listed as their manifests say, in the order of digests, and nobody is asked', async () => {
    const w = await pushed()
    expect(await w.referrers.list(app, subject)).toEqual({ referrers: both })
    expect(w.registry.requests).toEqual([])
  })

  test('are listed though the stream does not have the image', async () => {
    const w = await referrersWorld()
    await w.receive(signature)
    expect(await w.digests()).toEqual([signature.manifest.digest])
  })

  test('have the media type of their config as type where they have none, and an index none', async () => {
    const w = await referrersWorld()
    await w.receive(artifact(image.manifest, 'untyped', { artifactType: '' }))
    const { referrers } = await w.referrers.list(app, subject)
    expect(referrers.map(({ artifactType }) => artifactType)).toEqual(['application/vnd.oci.empty.v1+json'])
  })

  test('are filtered by their type', async () => {
    const w = await pushed()
    expect(await w.referrers.list(app, subject, { artifactType: sbomType })).toEqual({
      referrers: [listed(sbom, sbomType)],
    })
    expect(await w.referrers.list(app, subject, { artifactType: 'text/none' })).toEqual({ referrers: [] })
  })

  test('come in pages that leave nothing out, with a filter too', async () => {
    const w = await referrersWorld()
    const many = Array.from({ length: 7 }, (_, i) =>
      artifact(image.manifest, `${i}`, { artifactType: i % 2 ? sbomType : signatureType }),
    )
    for (const each of many) await w.receive(each)
    for (const artifactType of [undefined, sbomType]) {
      const seen = []
      for (let after = undefined, more = true; more; ) {
        const options = { limit: 2, ...(artifactType && { artifactType }), ...(after && { after }) }
        const { referrers, next } = await w.referrers.list(app, subject, options)
        expect(referrers.length).toBeLessThanOrEqual(2)
        seen.push(...referrers.map(({ digest }) => digest))
        after = next
        more = next !== undefined
      }
      const all = await w.referrers.list(app, subject, artifactType ? { artifactType } : {})
      expect(seen).toEqual(all.referrers.map(({ digest }) => digest))
    }
  })

  test('with annotations of megabytes are told whole, on pages that a manifest may have', async () => {
    const w = await referrersWorld()
    const large = (seed: string) =>
      artifact(image.manifest, seed, { annotations: { seed, large: 'x'.repeat(3_000_000) } })
    for (const each of [large('a'), large('b')]) await w.receive(each)
    const first = await w.referrers.list(app, subject)
    expect(first.referrers).toHaveLength(1)
    expect(first.referrers[0]?.annotations?.large).toHaveLength(3_000_000)
    const second = await w.referrers.list(app, subject, { after: first.next ?? subject })
    expect(second.referrers).toHaveLength(1)
    expect(second.next).toBeUndefined()
    const records = await w.referrerRecords.list(app, subject)
    expect(JSON.stringify(records).length).toBeLessThan(10_000)
  })

  test('that are read for their annotations are few on a page: their bytes and their number are bounded', async () => {
    const w = await referrersWorld()
    const cut = (seed: string, padding: number) =>
      artifact(image.manifest, seed, { annotations: { seed, large: 'x'.repeat(17_000), ...filler(padding) } })
    const many = Array.from({ length: 70 }, (_, i) => cut(`${i}`, 0))
    const large = Array.from({ length: 4 }, (_, i) => cut(`large ${i}`, 1_500_000))
    for (const each of [...many, ...large]) await w.receive(each)
    const reads: number[] = []
    const obtain = async (_: unknown, digest: Digest) => {
      const found = await w.pullThrough.manifest(app, digest, { head: false })
      reads.push(found.size)
      return found
    }
    const seen: string[] = []
    for (let after: Digest | undefined, more = true; more; ) {
      reads.length = 0
      const asked = { others: [], ...(after && { after }) }
      const { referrers, next } = await listPage({ ...w, obtain }, app, subject, asked)
      expect(reads.length).toBeLessThanOrEqual(64)
      expect(reads.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(4 * 1024 * 1024)
      for (const { annotations } of referrers) seen.push(annotations?.seed ?? '')
      after = next
      more = next !== undefined
    }
    expect(seen.toSorted()).toEqual(
      [...many.keys(), ...large.keys()].map((_, i) => (i < 70 ? `${i}` : `large ${i - 70}`)).toSorted(),
    )
  })

  test('that came before there were records of them are listed once they are read', async () => {
    const w = await pushed()
    const key = `link/demo/app/${signature.manifest.digest}`
    const entry = await w.store.get(key)
    const { subject: _, ...older } = JSON.parse(String(entry?.value))
    await w.store.commit({
      operations: [
        { type: 'put', key, value: JSON.stringify(older) },
        { type: 'delete', key: `index/referrers/demo/app/${subject}/${signature.manifest.digest}` },
      ],
    })
    expect(await w.digests()).toEqual([sbom.manifest.digest])
    await w.pullThrough.manifest(app, signature.manifest.digest, { head: false })
    expect(await w.referrers.list(app, subject)).toEqual({ referrers: both })
    expect((await w.links.get(app, signature.manifest.digest))?.subject).toBe(subject)
  })

  test('I5: of another stream are not told', async () => {
    const w = await pushed()
    await w.receive(image, { project: 'demo', stream: 'other' })
    expect(await w.digests({ project: 'demo', stream: 'other' })).toEqual([])
    expect(await w.digests({ project: 'demo', stream: 'none' })).toEqual([])
  })

  test('of an earlier stream of the name are not told', async () => {
    const w = await pushed()
    await w.writer.delete(app)
    await w.receive(image)
    expect(await w.digests()).toEqual([])
  })

  test('go to another stream with their image, and those of that stay where they are', async () => {
    const w = await pushed()
    const other = { project: 'demo', stream: 'other' }
    const { uid } = await w.writer.create(other)
    await w.links.copy(app, { ...other, uid }, subject)
    expect(await w.digests(other)).toEqual(await w.digests())
    const deep = artifact(signature.manifest, 'signature of the signature')
    await w.receive(deep)
    expect(await w.digests(other, signature.manifest.digest)).toEqual([])
    await w.links.copy(app, { ...other, uid }, subject)
    expect(await w.digests(other, signature.manifest.digest)).toEqual([deep.manifest.digest])
  })

  test('are recorded when they are pulled through', async () => {
    const w = await telling()
    await w.digests()
    expect(await w.referrerRecords.list(app, subject)).toEqual([])
    await w.pullThrough.manifest(app, signature.manifest.digest, { head: false })
    expect(await w.referrerRecords.list(app, subject)).toMatchObject([{ digest: signature.manifest.digest }])
    expect(await w.referrers.list(app, subject)).toEqual({ referrers: both })
  })
})

describe('what an upstream tells of referrers', () => {
  test('is listed, and can be pulled', async () => {
    const w = await telling()
    expect(await w.referrers.list(app, subject)).toEqual({ referrers: both })
    const pulled = await w.pullThrough.manifest(app, sbom.manifest.digest, { head: false })
    expect(pulled.bytes).toEqual(sbom.manifest.bytes)
    expect((await w.pullThrough.blobSize(app, sbom.layers[0]?.digest ?? '')).size).toBeGreaterThan(0)
  })

  test('is merged with what was pushed, each once', async () => {
    const w = await telling()
    const own = artifact(image.manifest, 'own')
    await w.receive(own)
    await w.receive(sbom)
    expect((await w.referrers.list(app, subject)).referrers).toEqual([...both, listed(own)].sort(byDigest))
  })

  test('is asked for once a minute by however many, and anew after something was pushed', async () => {
    const w = await telling()
    await Promise.all(Array.from({ length: 10 }, () => w.digests()))
    w.clock.advance(59_000)
    await w.digests()
    expect(w.registry.matching(api)).toHaveLength(1)
    w.clock.advance(2_000)
    await w.digests()
    expect(w.registry.matching(api)).toHaveLength(2)
    w.referrers.forget(app)
    await w.digests()
    expect(w.registry.matching(api)).toHaveLength(3)
  })

  test('is read from the tag of the schema where there is no API', async () => {
    const w = await referrersWorld()
    w.registry.put('lib/app', indexOf(both), { tag: fallbackTagOf(subject) })
    await w.imported()
    expect(await w.referrers.list(app, subject)).toEqual({ referrers: both })
  })

  test('is nothing where there is neither, and that is remembered', async () => {
    const w = await referrersWorld()
    await w.imported()
    expect(await w.referrers.list(app, subject)).toEqual({ referrers: [] })
    const asked = w.registry.requests.length
    expect(await w.referrers.list(app, subject)).toEqual({ referrers: [] })
    expect(w.registry.requests).toHaveLength(asked)
  })

  test('that fails takes nothing from the own ones, says so, and is asked again soon', async () => {
    const w = await telling()
    await w.receive(sbom)
    const heal = w.registry.intercept(failing(api, 500))
    const found = await w.referrers.list(app, subject)
    expect(found).toMatchObject({ referrers: [listed(sbom, sbomType)], failure: { upstream: { status: 500 } } })
    heal()
    w.clock.advance(11_000)
    expect(await w.referrers.list(app, subject)).toEqual({ referrers: both })
  })

  test('that fails later leaves what it told before', async () => {
    const w = await telling()
    await w.digests()
    w.registry.intercept(failing(api, 503))
    w.clock.advance(61_000)
    expect(await w.referrers.list(app, subject)).toMatchObject({ referrers: both, failure: { code: 'UNAVAILABLE' } })
  })

  test('I5: is not asked for of an image that the stream does not have', async () => {
    const w = await telling()
    w.registry.requests.length = 0
    expect(await w.digests(app, digestOf('of another project'))).toEqual([])
    await w.receive(makeImage('own'), { project: 'demo', stream: 'other' })
    expect(await w.digests({ project: 'demo', stream: 'other' })).toEqual([])
    expect(w.registry.requests).toEqual([])
  })

  test('I5: opens nothing that its registry does not have', async () => {
    const w = await referrersWorld()
    const secret = makeImage('secret of another')
    await w.receive(secret, { project: 'demo', stream: 'other' })
    w.registry.intercept(answering(api, page([{ ...listed({ ...secret }), size: secret.manifest.bytes.length }])))
    await w.imported()
    await w.digests()
    const pull = (digest: string) => w.pullThrough.manifest(app, digest, { head: false })
    await expect(pull(secret.manifest.digest)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    await expect(pull(digestOf('nowhere'))).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
  })

  test('I4: with a size that is a lie does not change what is pulled', async () => {
    const w = await referrersWorld()
    w.registry.put('lib/app', signature)
    w.registry.intercept(answering(api, page([{ ...listed(signature), size: 1 }])))
    await w.imported()
    expect((await w.referrers.list(app, subject)).referrers[0]?.size).toBe(1)
    const head = await w.pullThrough.manifest(app, signature.manifest.digest, { head: true })
    expect(head.size).toBe(signature.manifest.bytes.length)
    await w.pullThrough.manifest(app, signature.manifest.digest, { head: false })
    expect((await w.referrers.list(app, subject)).referrers).toEqual([
      listed(signature, signatureType, { by: 'alice' }),
    ])
  })

  test('I5: is kept apart for each stream', async () => {
    const w = await telling()
    await w.imported('other')
    await w.digests()
    const other = { project: 'demo', stream: 'other' }
    expect(await w.links.get(other, sbom.manifest.digest)).toBeUndefined()
    await w.digests(other)
    expect(await w.links.get(other, sbom.manifest.digest)).toBeDefined()
  })
})

describe('many questions at the same time', () => {
  /** A stream that has so many images of a registry, which answers nothing until it is let. */
  async function waiting(count: number) {
    const asked: Digest[] = []
    let let_: () => void = () => undefined
    const answered = new Promise<void>((resolve) => {
      let_ = resolve
    })
    let underWay = 0
    let most = 0
    const observe = (upstream: Upstream): Upstream => ({
      ...upstream,
      async referrers(_, digest) {
        asked.push(digest)
        underWay += 1
        most = Math.max(most, underWay)
        await answered
        underWay -= 1
        return { referrers: [] }
      },
    })
    const w = await referrersWorld({ observe })
    const { uid } = await w.writer.create(app)
    const digests = Array.from({ length: count }, (_, i) => digestOf(`image ${i}`))
    const { mediaType } = image.manifest
    const location = (i: number) =>
      ({ kind: 'upstream', host: `registry-${i % 8}.test`, repository: 'lib/app', project: 'demo' }) as const
    const links = digests.map((digest, i) => ({ digest, mediaType, size: 1, locations: [location(i)] }))
    await w.links.add(app, uid, links)
    return { w, digests, asked, answer: () => let_(), most: () => most }
  }

  test('reach no registry more than 8 at once, nor all more than 32, and none is left out', async () => {
    const { w, digests, asked, answer, most } = await waiting(200)
    const listings = digests.map((digest) => w.referrers.list(app, digest))
    await vi.waitFor(() => expect(asked).toHaveLength(32))
    const perHost = Map.groupBy(asked, (digest) => digests.indexOf(digest) % 8)
    for (const [, questions] of perHost) expect(questions.length).toBeLessThanOrEqual(8)
    answer()
    expect(await Promise.all(listings)).toEqual(digests.map(() => ({ referrers: [] })))
    expect(most()).toBe(32)
    expect(new Set(asked).size).toBe(200)
  })

  test('that find no room to wait say so, and the own ones are listed all the same', async () => {
    const { w, digests, answer, asked } = await waiting(3000)
    const own = artifact({ ...image.manifest, digest: digests.at(-1) as Digest }, 'own')
    await w.receive(own)
    const listings = digests.map((digest) => w.referrers.list(app, digest))
    const last = await listings.at(-1)
    expect(last).toMatchObject({ referrers: [listed(own)], failure: { code: 'TOOMANYREQUESTS' } })
    answer()
    await Promise.all(listings)
    expect(asked.length).toBeLessThanOrEqual(8 * (8 + 256))
    expect((await w.referrers.list(app, digests[0] as Digest)).failure).toBeUndefined()
  })
})

describe('an index pushed under the tag of the referrers tag schema', () => {
  const tag = fallbackTagOf(subject)

  test('is listed, as far as the stream has what it names', async () => {
    const w = await pushed()
    const loose = makeImage('listed by the index alone')
    await w.receive(loose)
    const entries = [
      { ...described(loose.manifest), artifactType: 'text/loose', annotations: { a: 'b' } },
      { ...described(makeImage('absent').manifest), artifactType: 'text/absent' },
    ]
    const index = indexOf(entries)
    await w.receive({ manifest: index, config: index, layers: [] })
    // Links to what an index names come with it.
    await w.store.commit({
      operations: [{ type: 'delete', key: `link/demo/app/${entries[1]?.digest}` }],
    })
    await w.pushByTag(tag, index)
    const { referrers } = await w.referrers.list(app, subject)
    expect(referrers).toEqual([...both, entries[0]].sort(byDigest as never))
  })

  test('that is none is left out', async () => {
    const w = await pushed()
    await w.pushByTag(tag, image.manifest)
    expect(await w.referrers.list(app, subject)).toEqual({ referrers: both })
  })
})

test('an upstream that refuses the API is asked by tag', async () => {
  const w = await referrersWorld()
  w.registry.put('lib/app', indexOf(both), { tag: fallbackTagOf(subject) })
  await w.imported()
  for (const status of [400, 401, 403, 404, 405, 501]) {
    const heal = w.registry.intercept(answering(api, fakeError(status, 'UNSUPPORTED')))
    w.referrers.forget(app)
    expect(await w.referrers.list(app, subject)).toEqual({ referrers: both })
    heal()
  }
})
