import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { fallbackTagOf, parseFallbackTag } from '../../src/oci/fallback-tag.ts'
import { fakeError } from '../support/fake-upstream-answers.ts'
import { answering, failing } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { app, image, type ReferrersWorld, referrersWorld } from './world.ts'

const tag = `${fallbackTagOf(image.manifest.digest)}.sig`
const other = { project: 'demo', stream: 'other' }
const signature = makeImage('cosign keeps a signature as an image')
const newer = makeImage('one more signature')
const byTag = /manifests\/sha256-/

/** An imported image, whose registry has a signature under cosign's tag. */
async function signed(): Promise<ReferrersWorld> {
  const w = await referrersWorld()
  w.registry.put('lib/app', signature, { tag })
  await w.imported()
  return w
}

async function pushed(w: ReferrersWorld, to = signature): Promise<boolean> {
  await w.receive(to)
  return w.pushByTag(tag, to.manifest)
}

const get = (w: ReferrersWorld, written = tag) => w.pullThrough.manifest(app, written, { head: false })

describe('a tag that is derived from a digest', () => {
  test('is read back from every digest, and from nothing else', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('sha256', 'sha512'), (seed, algorithm) => {
        const digest = digestOf(seed, algorithm as 'sha256')
        expect(parseFallbackTag(fallbackTagOf(digest))).toEqual({
          algorithm,
          hex: digest.slice(7, 71),
          suffix: '',
        })
      }),
      { numRuns: 200 },
    )
    const hex = 'a'.repeat(64)
    for (const wrong of [
      'v1',
      `sha256-${hex}a`,
      `sha256-${hex.slice(1)}`,
      `md5-${hex}`,
      `sha256-${hex}.sigs`,
      `sha256-${hex.toUpperCase()}`,
      `sha256-${hex}.sig\n`,
    ])
      expect(parseFallbackTag(wrong)).toBeUndefined()
  })
})

describe('the signature of an imported image', () => {
  test('is pulled by its tag, with all that it names, and is none of the tags of the stream', async () => {
    const w = await signed()
    const pulled = await get(w)
    expect(pulled).toMatchObject({ digest: signature.manifest.digest, bytes: signature.manifest.bytes })
    expect((await w.pullThrough.blobSize(app, signature.layers[0]?.digest ?? '')).size).toBeGreaterThan(0)
    expect(await w.pullThrough.tags(app, {})).toEqual(['prod'])
    expect((await w.pullThrough.manifest(app, tag, { head: true })).size).toBe(signature.manifest.bytes.length)
  })

  test('is asked for once a minute, whether there is one or not', async () => {
    const w = await signed()
    await Promise.all([get(w), get(w)])
    expect(w.registry.matching(byTag)).toHaveLength(1)
    const none = tag.replace('.sig', '.att')
    for (let i = 0; i < 3; i++) await expect(get(w, none)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    expect(w.registry.matching(/\.att/)).toHaveLength(1)
    w.clock.advance(61_000)
    await get(w)
    expect(w.registry.matching(byTag)).toHaveLength(3)
  })

  test('I8: is served as it was last seen while the registry fails, and when it no longer has it', async () => {
    const w = await signed()
    await get(w)
    w.clock.advance(61_000)
    const heal = w.registry.intercept(failing(/./, 503))
    expect((await get(w)).digest).toBe(signature.manifest.digest)
    heal()
    w.registry.untag('lib/app', tag)
    w.clock.advance(61_000)
    expect((await get(w)).digest).toBe(signature.manifest.digest)
  })

  test('follows the registry', async () => {
    const w = await signed()
    await get(w)
    w.registry.put('lib/app', newer, { tag })
    w.clock.advance(61_000)
    expect((await get(w)).digest).toBe(newer.manifest.digest)
  })

  test('is not "unknown" while nobody can know', async () => {
    const w = await signed()
    w.registry.intercept(failing(byTag, 500))
    await expect(get(w)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('I4: is not served from a registry that gives other bytes', async () => {
    const w = await signed()
    w.registry.intercept(answering(new RegExp(`GET .*manifests/${signature.manifest.digest}`), fakeError(404, 'X')))
    await expect(get(w)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
  })

  test('I5: is asked for of images alone that the stream has', async () => {
    const w = await signed()
    const asked = w.registry.requests.length
    const stranger = `${fallbackTagOf(digestOf('of another project'))}.sig`
    await expect(get(w, stranger)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    const layer = `${fallbackTagOf(image.layers[0]?.digest ?? image.manifest.digest)}.sig`
    await expect(get(w, layer)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    await w.receive(makeImage('own'), other)
    expect(await w.referrers.resolve(other, tag)).toBeUndefined()
    expect(await w.referrers.resolve({ project: 'demo', stream: 'none' }, tag)).toBeUndefined()
    expect(w.registry.requests).toHaveLength(asked)
  })

  test('I1: a tag of the stream is never asked for at the registry, whatever it looks like', async () => {
    const w = await signed()
    await w.importImage('app', tag, `${w.registry.host}/lib/app:v1`)
    const asked = w.registry.requests.length
    expect((await get(w)).digest).toBe(image.manifest.digest)
    expect(w.registry.requests).toHaveLength(asked)
    expect(await pushed(w, newer)).toBe(false)
    expect((await get(w)).digest).toBe(image.manifest.digest)
  })
})

describe('a push by such a tag', () => {
  test('goes before what the registry has, and is listed', async () => {
    const w = await signed()
    await get(w)
    expect(await pushed(w, newer)).toBe(true)
    expect((await get(w)).digest).toBe(newer.manifest.digest)
    expect(await w.pullThrough.tags(app, {})).toEqual(['prod', tag])
    expect(await w.pullThrough.tags(app, { after: 'prod', limit: 1 })).toEqual([tag])
    expect(await w.pullThrough.tags(app, { limit: 1 })).toEqual(['prod'])
    expect(await w.referrers.tags(app, { after: tag })).toEqual([])
  })

  test('is seen after it was said that there is none', async () => {
    const w = await referrersWorld()
    await w.imported()
    await expect(get(w)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    await pushed(w)
    expect((await get(w)).digest).toBe(signature.manifest.digest)
  })

  test('is one of an ordinary tag where the stream has no such image, or it is of another form', async () => {
    const w = await referrersWorld()
    expect(await pushed(w)).toBe(false)
    await w.imported()
    expect(await w.pushByTag('v1', signature.manifest)).toBe(false)
    expect(await w.referrerRecords.fallbacks(app)).toEqual([])
  })

  test('ends when it is removed: then the registry is asked again', async () => {
    const w = await signed()
    await pushed(w, newer)
    expect(await w.referrerRecords.removeFallback(app, tag)).toBe(true)
    expect(await w.referrerRecords.removeFallback(app, tag)).toBe(false)
    expect((await get(w)).digest).toBe(signature.manifest.digest)
  })

  test('is nothing where what it stands at is gone from the stream', async () => {
    const w = await referrersWorld()
    await w.receive(image)
    await pushed(w)
    const key = `link/demo/app/${signature.manifest.digest}`
    await w.store.commit({ operations: [{ type: 'delete', key }] })
    await expect(get(w)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
  })

  test('goes to another stream with its image, and stays there', async () => {
    const w = await signed()
    await pushed(w, newer)
    const { uid } = await w.writer.create(other)
    await w.links.copy(app, { ...other, uid }, image.manifest.digest)
    expect(await w.referrers.resolve(other, tag)).toBe(newer.manifest.digest)
    await pushed(w, signature)
    await w.links.copy(app, { ...other, uid }, image.manifest.digest)
    expect(await w.referrers.resolve(other, tag)).toBe(newer.manifest.digest)
  })

  test('of a digest of sha512 is told by its first 64 digits', async () => {
    const w = await referrersWorld()
    const digest = digestOf(image.manifest.bytes, 'sha512')
    await w.receive({ ...image, manifest: { ...image.manifest, digest } })
    await w.receive(signature)
    const long = fallbackTagOf(digest)
    expect(await w.pushByTag(long, signature.manifest)).toBe(true)
    expect(await w.referrers.resolve(app, long)).toBe(signature.manifest.digest)
  })
})
