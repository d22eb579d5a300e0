import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { live } from '../content/upload-bodies.ts'
import { ann, app, begun, blobWorld, bob, limits, other, sent, unknown } from './blob-world.ts'

const bytes = randomBytes(100_000)
const digest = digestOf(bytes)
const first = bytes.subarray(0, 60_000)
const rest = bytes.subarray(first.length)
const wholeRange = { start: first.length, length: rest.length }

describe('an upload', () => {
  test.each(['sha256', 'sha512'] as const)('that came in pieces is a blob of its stream, by %s', async (algorithm) => {
    const { push, blob, uploads } = await blobWorld()
    const id = await begun(push, app)
    expect(await push.status(app, id, ann)).toEqual({ id, offset: 0 })
    expect(await push.append(app, id, ann, sent(first))).toEqual({ id, offset: first.length })
    expect(await push.status(app, id, ann)).toEqual({ id, offset: first.length })
    const named = digestOf(bytes, algorithm)
    await push.finish(app, id, ann, named, { body: sent(rest), range: wholeRange })
    expect((await blob(app, named))?.equals(bytes)).toBe(true)
    expect(await uploads()).toEqual({ records: [], files: [] })
    await expect(push.status(app, id, ann)).rejects.toMatchObject(unknown)
  })

  test('makes its stream when it is whole, and not before', async () => {
    const { push, reader, pins } = await blobWorld()
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(bytes))
    expect(await reader.stream(app)).toBeUndefined()
    await push.finish(app, id, ann, digest)
    const stream = await reader.stream(app)
    expect(stream).toBeDefined()
    expect(pins.peekUid('demo', 'app') ?? (await pins.uid(app))).toBe(stream?.uid)
  })

  test('of another is the blob of its stream alone', async () => {
    const { push, links, writer, pushBlob } = await blobWorld()
    await writer.create(other)
    await pushBlob(app, bytes)
    expect(await links.get(app, digest)).toMatchObject({
      size: bytes.length,
      locations: [{ kind: 'here' }],
      isBlob: true,
    })
    expect(await links.get(other, digest)).toBeUndefined()
    const id = await begun(push, other)
    await expect(push.finish(other, id, ann, digest)).rejects.toMatchObject({ code: 'DIGEST_INVALID' })
    expect(await links.get(other, digest)).toBeUndefined()
  })

  test('goes on after a restart', async () => {
    const { push, pushWith, blob } = await blobWorld()
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(first))
    const again = pushWith()
    expect(await again.status(app, id, ann)).toEqual({ id, offset: first.length })
    await again.append(app, id, ann, sent(rest), wholeRange)
    await again.finish(app, id, ann, digest)
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
  })

  const strangers = [
    ['another user', app, bob],
    ['another stream', other, ann],
    ['another project', { project: 'elsewhere', stream: 'app' }, ann],
  ] as const
  test.each(strangers)('is unknown to %s, and goes on untouched', async (_who, name, by) => {
    const { push, blob } = await blobWorld()
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(first))
    const untouched = live()
    await expect(push.status(name, id, by)).rejects.toMatchObject(unknown)
    await expect(push.append(name, id, by, untouched.body)).rejects.toMatchObject(unknown)
    await expect(push.finish(name, id, by, digest, { body: untouched.body })).rejects.toMatchObject(unknown)
    await expect(push.cancel(name, id, by)).rejects.toMatchObject(unknown)
    expect(untouched.isAsked).toBe(false)
    await push.finish(app, id, ann, digest, { body: sent(rest) })
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
  })

  const ids = [
    ['nobody’s', randomUUID()],
    ['nothing', ''],
    ['a path', '../../store'],
    ['far too long', 'a'.repeat(10_000)],
    ['a NUL', '\0'],
    ['capitals', randomUUID().toUpperCase()],
    ['more behind it', `${randomUUID()}/x`],
  ] as const
  test.each(ids)('of an id that is %s is unknown', async (_what, id) => {
    const { push, observed } = await blobWorld()
    await expect(push.status(app, id, ann)).rejects.toMatchObject(unknown)
    await expect(push.append(app, id, ann, sent('x'))).rejects.toMatchObject(unknown)
    await expect(push.finish(app, id, ann, digest)).rejects.toMatchObject(unknown)
    await expect(push.cancel(app, id, ann)).rejects.toMatchObject(unknown)
    const read = observed.reads.filter((key) => key.startsWith('upload/'))
    expect(read.every((key) => key.length === 'upload/'.length + 36)).toBe(true)
  })

  test('takes no piece that does not go on where it ends, and goes on', async () => {
    const { push, blob } = await blobWorld()
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(first))
    for (const start of [0, first.length + 1]) {
      const refused = push.append(app, id, ann, sent(rest), { start, length: rest.length })
      await expect(refused).rejects.toMatchObject({ code: 'UPLOAD_OFFSET_INVALID', detail: { offset: first.length } })
      const last = { body: sent(rest), range: { start, length: rest.length } }
      await expect(push.finish(app, id, ann, digest, last)).rejects.toMatchObject({ code: 'UPLOAD_OFFSET_INVALID' })
    }
    await push.finish(app, id, ann, digest, { body: sent(rest), range: wholeRange })
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
  })

  test('has one writer: whoever comes second is told so, and the first goes on', async () => {
    const { push, blob } = await blobWorld()
    const id = await begun(push, app)
    const slow = live()
    const writing = push.append(app, id, ann, slow.body)
    slow.send(first)
    await slow.awaited(2)
    const busy = { code: 'UPLOAD_OFFSET_INVALID', status: 416 }
    await expect(push.append(app, id, ann, sent(bytes))).rejects.toMatchObject(busy)
    await expect(push.finish(app, id, ann, digest, { body: sent(bytes) })).rejects.toMatchObject(busy)
    await expect(push.cancel(app, id, ann)).rejects.toMatchObject(busy)
    slow.end()
    expect(await writing).toEqual({ id, offset: first.length })
    await push.finish(app, id, ann, digest, { body: sent(rest) })
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
  })

  test('is finished by one of two requests', async () => {
    const { push, blob } = await blobWorld()
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(bytes))
    const both = await Promise.allSettled([push.finish(app, id, ann, digest), push.finish(app, id, ann, digest)])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const [refusal] = both.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []))
    expect(refusal).toMatchObject({ code: 'UPLOAD_OFFSET_INVALID' })
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
  })

  test('is left alone by other requests from its last byte until its stream has it', async () => {
    const { push, observed, blob, uploads } = await blobWorld()
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(bytes))
    const { promise: held, resolve: isHeld } = Promise.withResolvers<void>()
    const { promise: others, resolve: goOn } = Promise.withResolvers<void>()
    observed.onCommit = async () => {
      isHeld()
      await others
      return undefined
    }
    const finishing = push.finish(app, id, ann, digest)
    await held
    const busy = { code: 'UPLOAD_OFFSET_INVALID', status: 416 }
    await expect(push.finish(app, id, ann, digest)).rejects.toMatchObject(busy)
    await expect(push.append(app, id, ann, sent(bytes))).rejects.toMatchObject(busy)
    await expect(push.cancel(app, id, ann)).rejects.toMatchObject(busy)
    goOn()
    await finishing
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
    expect(await uploads()).toEqual({ records: [], files: [] })
  })

  test('of other bytes than its digest ends, and its stream is not made', async () => {
    const { push, reader, uploads } = await blobWorld()
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(first))
    await expect(push.finish(app, id, ann, digest)).rejects.toMatchObject({ code: 'DIGEST_INVALID' })
    await expect(push.status(app, id, ann)).rejects.toMatchObject(unknown)
    expect(await uploads()).toEqual({ records: [], files: [] })
    expect(await reader.stream(app)).toBeUndefined()
  })

  test('that was cancelled is gone', async () => {
    const { push, uploads } = await blobWorld()
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(first))
    await push.cancel(app, id, ann)
    await expect(push.append(app, id, ann, sent(rest))).rejects.toMatchObject(unknown)
    expect(await uploads()).toEqual({ records: [], files: [] })
  })

  test('may have so many bytes and no more, said or not', async () => {
    const { push, blob } = await blobWorld({ limits: { ...limits, maxBytes: bytes.length } })
    const tooLarge = { code: 'TOO_LARGE', status: 413 }
    await expect(push.begin(app, ann, { expectedBytes: bytes.length + 1 })).rejects.toMatchObject(tooLarge)
    const id = await begun(push, app)
    await expect(push.append(app, id, ann, sent(bytes, 'x'))).rejects.toMatchObject(tooLarge)
    const untouched = live()
    for (const said of [{ start: 0 }, {}]) {
      const range = { ...said, length: bytes.length + 1 }
      await expect(push.append(app, id, ann, untouched.body, range)).rejects.toMatchObject(tooLarge)
    }
    expect(untouched.isAsked).toBe(false)
    await push.finish(app, id, ann, digest, { body: sent(bytes) })
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
  })
})

describe('the stream of a push', () => {
  const stranger = { ...ann, mayCreate: false }
  const denied = { code: 'DENIED', status: 403 }

  test('is made by those alone who may, and others push to one that is there', async () => {
    const { push, writer, blob } = await blobWorld()
    await expect(push.begin(app, stranger)).rejects.toMatchObject(denied)
    await writer.create(app)
    const id = await begun(push, app, stranger)
    await push.finish(app, id, stranger, digest, { body: sent(bytes) })
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
  })

  test('is not made by whoever may not any more; who may again has sent the bytes already', async () => {
    const { push, reader, blob } = await blobWorld()
    const id = await begun(push, app)
    await expect(push.finish(app, id, stranger, digest, { body: sent(bytes) })).rejects.toMatchObject(denied)
    expect(await reader.stream(app)).toBeUndefined()
    expect(await push.status(app, id, ann)).toEqual({ id, offset: bytes.length })
    await push.finish(app, id, ann, digest)
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
  })

  test('is in a project that is there; those who may create nothing hear the same of any', async () => {
    const { push } = await blobWorld()
    const nowhere = { project: 'nowhere', stream: 'app' }
    const refusal = push.begin(nowhere, ann)
    await expect(refusal).rejects.toMatchObject({ code: 'NAME_UNKNOWN', status: 404 })
    await expect(refusal).rejects.toThrow('weir new-project nowhere')
    const told = await Promise.all(
      [app, nowhere].map((name) => push.begin(name, stranger).catch((error: RegistryError) => error)),
    )
    const [there, absent] = told.map((error) => (error instanceof RegistryError ? error : expect.fail()))
    expect(absent?.code).toBe(there?.code)
    expect(absent?.message.replace('nowhere', 'demo')).toBe(there?.message)
  })

  test('is not made in a project that is being removed', async () => {
    const { push, objects, reader } = await blobWorld()
    const id = await begun(push, app)
    await objects.update('namespaces', '', 'demo', (current) => ({
      ...current,
      metadata: { ...current.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
    }))
    await expect(push.begin(app, ann)).rejects.toMatchObject(denied)
    await expect(push.finish(app, id, ann, digest, { body: sent(bytes) })).rejects.toMatchObject(denied)
    expect(await reader.stream(app)).toBeUndefined()
  })

  test('is made once by many first blobs at the same time', async () => {
    const { pushBlob, blob } = await blobWorld()
    const blobs = Array.from({ length: 20 }, () => randomBytes(1000))
    const digests = await Promise.all(blobs.map((each) => pushBlob(app, each)))
    for (const [i, each] of digests.entries()) expect((await blob(app, each))?.equals(blobs[i] ?? first)).toBe(true)
  })

  test('is known to pulls before the push is acknowledged', async () => {
    const { pushWith, reader } = await blobWorld()
    const { promise: reached, resolve } = Promise.withResolvers<void>()
    const awaited: number[] = []
    const pins = {
      async reached(revision: number) {
        awaited.push(revision)
        await reached
      },
    }
    const push = pushWith({ pins })
    const id = await begun(push, app)
    let isAcknowledged = false
    const finished = push.finish(app, id, ann, digest, { body: sent(bytes) }).then(() => {
      isAcknowledged = true
    })
    await expect.poll(() => awaited.length).toBe(1)
    expect(isAcknowledged).toBe(false)
    expect(awaited).toEqual([(await reader.stream(app))?.resourceVersion])
    resolve()
    await finished
  })

  test('that was deleted while bytes came is made anew', async () => {
    const { push, pushBlob, writer, links, blob } = await blobWorld()
    const before = await pushBlob(app, randomBytes(10))
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(first))
    await writer.delete(app)
    await push.finish(app, id, ann, digest, { body: sent(rest) })
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
    expect(await links.get(app, before)).toBeUndefined()
  })
})

describe('what was kept and has not reached its stream', () => {
  /** A push that ends between the bytes and the link, as a crash does. */
  async function crashed() {
    const world = await blobWorld()
    const { pushWith, links } = world
    const add = () => Promise.reject(new Error('the power failed'))
    const before = pushWith({ links: { ...links, add } })
    const id = await begun(before, app)
    await expect(before.finish(app, id, ann, digest, { body: sent(bytes) })).rejects.toThrow('the power failed')
    return { ...world, id, push: pushWith() }
  }

  test.each([
    ['alone', () => undefined],
    ['with its bytes again', () => ({ body: sent(bytes) })],
    ['with its last piece again', () => ({ body: sent(rest), range: wholeRange })],
  ])('is linked when it is finished again, %s', async (_how, last) => {
    const { push, id, blob, links, uploads } = await crashed()
    expect(await links.get(app, digest)).toBeUndefined()
    expect(await push.status(app, id, ann)).toEqual({ id, offset: bytes.length })
    await push.finish(app, id, ann, digest, last())
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
    expect(await uploads()).toEqual({ records: [], files: [] })
  })

  test('is nothing else than what came', async () => {
    const { push, pushBlob, id, links } = await crashed()
    const secret = await pushBlob(other, randomBytes(10))
    await expect(push.finish(app, id, ann, secret)).rejects.toMatchObject({ code: 'DIGEST_INVALID' })
    await expect(push.append(app, id, ann, sent('x'))).rejects.toMatchObject({
      code: 'UPLOAD_OFFSET_INVALID',
      detail: { offset: bytes.length },
    })
    expect(await links.get(app, secret)).toBeUndefined()
    await push.finish(app, id, ann, digest)
    expect(await links.get(app, digest)).toBeDefined()
  })

  test('is sent again once its bytes were freed', async () => {
    const { push, id, content, pushBlob, blob, links } = await crashed()
    const freed = await content.remove(digest, { unusedSince: Number.POSITIVE_INFINITY })
    expect(freed).toBe(bytes.length)
    await expect(push.finish(app, id, ann, digest)).rejects.toMatchObject(unknown)
    expect(await links.get(app, digest)).toBeUndefined()
    await pushBlob(app, bytes)
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
  })

  test('counts as just used once it is finished', async () => {
    const { push, id, content, blob } = await crashed()
    const unusedSince = Date.now()
    await expect.poll(() => Date.now()).toBeGreaterThan(unusedSince)
    await push.finish(app, id, ann, digest)
    expect(await content.remove(digest, { unusedSince })).toBe(0)
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
  })

  test('though nobody wrote that it is whole gives nobody a digest, and is sent again', async () => {
    const { push, pushWith, content, pushBlob, blob, links, uploads } = await blobWorld()
    const id = await begun(push, app)
    await push.append(app, id, ann, sent(bytes))
    // The process ended right after the bytes were held.
    await content.uploads.finish(id, digest)
    const again = pushWith()
    expect(await again.status(app, id, ann)).toEqual({ id, offset: 0 })
    await expect(again.finish(app, id, ann, digest)).rejects.toMatchObject({ code: 'DIGEST_INVALID' })
    expect(await links.get(app, digest)).toBeUndefined()
    await pushBlob(app, bytes)
    expect((await blob(app, digest))?.equals(bytes)).toBe(true)
    expect(await uploads()).toEqual({ records: [], files: [] })
  })
})

test('bytes that come to an upload while it is cancelled are gone with it', async () => {
  const world = await blobWorld()
  const { content, uploads } = world
  const begins = Promise.withResolvers<void>()
  const goesOn = Promise.withResolvers<void>()
  const slow: typeof content.uploads = {
    ...content.uploads,
    async append(...asked) {
      begins.resolve()
      await goesOn.promise
      return content.uploads.append(...asked)
    },
  }
  const push = world.pushWith({ content: { ...content, uploads: slow } })
  const id = await begun(push, app)
  const appending = push.append(app, id, ann, sent('late'))
  await begins.promise
  await push.cancel(app, id, ann)
  goesOn.resolve()
  await expect(appending).rejects.toMatchObject(unknown)
  expect(await uploads()).toEqual({ records: [], files: [] })
})

test('bytes that are freed before their link is there are no blob that was pushed', async () => {
  const world = await blobWorld()
  const { content, clock, links } = world
  const bytes = Buffer.from('freed too early')
  const digest = digestOf(bytes)
  let freed = 0
  const push = world.pushWith({
    links: {
      ...links,
      async add(...added) {
        clock.advance(3650 * 86_400_000)
        if (freed === 0) freed = await content.remove(digest, { unusedSince: clock.now() - 600_000 })
        await links.add(...added)
      },
    },
  })
  const finished = async (id: string) => push.finish(app, id, ann, digest, { body: sent(bytes) })
  await expect(finished(await begun(push, app))).rejects.toMatchObject(unknown)
  expect(freed).toBe(bytes.length)
  expect((await world.uploads()).records).toEqual([])
  await finished(await begun(push, app))
  expect(await world.blob(app, digest)).toEqual(bytes)
})
