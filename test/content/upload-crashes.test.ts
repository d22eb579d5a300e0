/** Processes that end while they work on uploads, and two that work on the same. */
import { randomBytes, randomUUID } from 'node:crypto'
import { appendFile, link, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { HeldRecords } from '../../src/content/content.ts'
import { readAll } from '../../src/content/reader.ts'
import { digestHex, digestOf } from '../../src/oci/digest.ts'
import { type HeldWorld, heldWorld } from './held-world.ts'
import { body, live } from './upload-bodies.ts'
import { fileOf, linkTo } from './world.ts'

const bytes = randomBytes(3 * 1024 * 1024 + 12_345)
const digest = digestOf(bytes)
const half = bytes.subarray(0, 1_600_000)
const rest = bytes.subarray(half.length)
const here = linkTo(bytes, { kind: 'here' })

/** What the process after a crash makes of an upload that was being finished: it can be finished, and nothing else is left. */
async function finishedAgain(w: HeldWorld, id: string): Promise<void> {
  const { files, counters } = await w.open()
  await files.sweep()
  w.clock.ahead = 11 * 60_000
  await files.sweep()
  expect(await files.uploads.offset(id)).toBe(bytes.length)
  expect(await files.uploads.finish(id, digest)).toBe(bytes.length)
  expect((await readAll((await files.open(here)) ?? expect.fail())).equals(bytes)).toBe(true)
  expect((await stat(fileOf(w.directory, digest))).nlink).toBe(1)
  for (const name of ['uploads', 'partial']) expect(await readdir(join(w.directory, name))).toEqual([])
  expect(await files.sweep()).toMatchObject({ unfinished: 0, orphanFiles: 0, orphanRecords: 0 })
  expect(counters).toMatchObject({ heldBytes: bytes.length, uploadBytes: 0 })
}

async function uploaded(records?: HeldRecords) {
  const w = await heldWorld()
  const process = await w.open(records === undefined ? {} : { records })
  const id = randomUUID()
  await process.files.uploads.append(id, body(bytes))
  return { w, ...process, id, path: join(w.directory, 'uploads', id) }
}

test('I6: what was acknowledged is there after a crash in the middle of the next piece', async () => {
  const w = await heldWorld()
  const { files, die } = await w.open()
  const id = randomUUID()
  await files.uploads.append(id, body(half))
  const slow = live()
  files.uploads.append(id, slow.body).catch(() => undefined)
  onTestFinished(slow.end)
  slow.send(rest.subarray(0, 1_200_000))
  await expect.poll(async () => (await stat(join(w.directory, 'uploads', id))).size).toBe(2_800_000)
  die()
  const { uploads } = (await w.open()).files
  const offset = await uploads.offset(id)
  expect(offset).toBe(2_800_000)
  await uploads.append(id, body(bytes.subarray(offset)), { range: { start: offset, length: bytes.length - offset } })
  expect(await uploads.finish(id, digest)).toBe(bytes.length)
})

test.each([false, true])(
  'I6: a crash around the record (written: %s) leaves what can be finished again',
  async (after) => {
    const w = await heldWorld()
    const reached = Promise.withResolvers<void>()
    // In the end, so that its files are closed.
    const ended = Promise.withResolvers<never>()
    onTestFinished(() => ended.reject(new Error('it is over')))
    const stopping: HeldRecords = {
      ...w.records,
      async add(...record) {
        if (after) await w.records.add(...record)
        reached.resolve()
        return ended.promise
      },
    }
    const { files, die } = await w.open({ records: stopping })
    const id = randomUUID()
    await files.uploads.append(id, body(bytes))
    files.uploads.finish(id, digest).catch(() => undefined)
    await reached.promise
    die()
    const { held } = (await w.open()).files
    expect(await held(here)).toBe(after ? bytes.length : undefined)
    await finishedAgain(w, id)
  },
)

test('I6: a crash before the rename leaves what can be finished again', async () => {
  const { w, id, path, die } = await uploaded()
  await link(path, join(w.directory, 'partial', `sha256-${digestHex(digest)}.put-${id}`))
  die()
  await finishedAgain(w, id)
})

test('I6: after a crash an upload that was being finished is not written to any more: it may be held bytes', async () => {
  const { w, id, path, files, die } = await uploaded()
  await files.uploads.finish(id, digest)
  await link(fileOf(w.directory, digest), path)
  die()
  const next = await w.open()
  await expect(next.files.uploads.append(id, body('x'))).rejects.toMatchObject({ code: 'BLOB_UPLOAD_INVALID' })
  await expect(
    next.files.uploads.append(id, body(''), { range: { start: bytes.length, length: 1 } }),
  ).rejects.toMatchObject({ code: 'SIZE_INVALID' })
  expect((await readFile(fileOf(w.directory, digest))).equals(bytes)).toBe(true)
  await next.files.uploads.cancel(id)
  expect(await next.files.held(here)).toBe(bytes.length)
  await link(fileOf(w.directory, digest), path)
  await finishedAgain(w, id)
})

test('what can not be recorded stays an upload, and can be finished later', async () => {
  const w = await heldWorld()
  let isDown = true
  const records: HeldRecords = {
    ...w.records,
    add: async (...record) => (isDown ? Promise.reject(new Error('no store')) : w.records.add(...record)),
  }
  const { files } = await w.open({ records })
  const id = randomUUID()
  await files.uploads.append(id, body(bytes))
  await expect(files.uploads.finish(id, digest)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(await files.uploads.offset(id)).toBe(bytes.length)
  expect(await files.held(here)).toBeUndefined()
  isDown = false
  await finishedAgain(w, id)
})

test.each([
  ['more', (path: string) => appendFile(path, 'x')],
  ['less', (path: string) => rm(path)],
])('I4: a file of which somebody made %s is hashed again, whatever is remembered', async (_what, change) => {
  const { w, id, path, files } = await uploaded()
  await change(path)
  await expect(files.uploads.finish(id, digest)).rejects.toMatchObject({ code: 'DIGEST_INVALID' })
  expect(await w.records.get(digest)).toBeUndefined()
})

test('two processes write to an upload in turn, and each knows what the other did', async () => {
  const w = await heldWorld()
  const [one, two] = [await w.open(), await w.open()]
  const id = randomUUID()
  await one.files.uploads.append(id, body(half))
  expect(await two.files.uploads.offset(id)).toBe(half.length)
  await two.files.uploads.append(id, body(rest.subarray(0, 5)), { range: { start: half.length, length: 5 } })
  const stale = one.files.uploads.append(id, body(rest), { range: { start: half.length, length: rest.length } })
  await expect(stale).rejects.toMatchObject({ code: 'UPLOAD_OFFSET_INVALID', detail: { offset: half.length + 5 } })
  await one.files.uploads.append(id, body(rest.subarray(5)))
  expect(await two.files.uploads.finish(id, digest)).toBe(bytes.length)
  expect(await one.files.uploads.offset(id)).toBe(0)
  expect(await one.files.held(here)).toBe(bytes.length)
})

test('while one process writes to an upload another is refused', async () => {
  const w = await heldWorld()
  const [one, two] = [await w.open(), await w.open()]
  const id = randomUUID()
  await one.files.uploads.append(id, body(half))
  const slow = live()
  const appending = one.files.uploads.append(id, slow.body)
  await slow.awaited(1)
  const refused = { code: 'UPLOAD_OFFSET_INVALID', detail: { offset: half.length } }
  await expect(two.files.uploads.append(id, body('x'))).rejects.toMatchObject(refused)
  await expect(two.files.uploads.finish(id, digest)).rejects.toMatchObject(refused)
  await expect(two.files.uploads.cancel(id)).rejects.toMatchObject(refused)
  slow.send(rest)
  slow.end()
  expect(await appending).toBe(bytes.length)
  expect(await two.files.uploads.finish(id, digest)).toBe(bytes.length)
})

test('a process that lost its lease writes nothing more, acknowledges nothing, and takes nothing away', async () => {
  const w = await heldWorld()
  const losing = new AbortController()
  const one = await w.open({ acquireLease: async () => ({ lost: losing.signal, release: async () => undefined }) })
  const two = await w.open()
  const id = randomUUID()
  const slow = live()
  const appending = one.files.uploads.append(id, slow.body)
  slow.send(half)
  await slow.awaited(2)
  await expect.poll(() => two.files.uploads.offset(id)).toBe(half.length)
  losing.abort()
  await two.files.uploads.append(id, body(rest))
  slow.send(half)
  slow.end()
  await expect(appending).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await expect(one.files.uploads.finish(id, digest)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(await two.files.uploads.finish(id, digest)).toBe(bytes.length)
})

test('an upload whose file is another one is read again before it is held', async () => {
  const { w, id, path, files } = await uploaded()
  await rename(path, `${path}.aside`)
  expect(await files.uploads.offset(id)).toBe(0)
  await rename(`${path}.aside`, path)
  expect(await files.uploads.finish(id, digest)).toBe(bytes.length)
  expect((await w.records.get(digest))?.proofs).toEqual([[]])
})
