import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import type { AcquireLease, HeldRecords } from '../../src/content/content.ts'
import type { HeldFiles } from '../../src/content/held-files.ts'
import { locationKey } from '../../src/content/proof.ts'
import { readAll } from '../../src/content/reader.ts'
import { type Digest, digestHex, digestOf } from '../../src/oci/digest.ts'
import { type HeldWorld, heldWorld, keep, proof, written } from './held-world.ts'
import { contentWorld, fileOf, first, linkTo, second } from './world.ts'

const bytes = Buffer.from('the bytes of a layer')
const digest = digestOf(bytes)
const link = linkTo(bytes, first)
const minute = 60_000

const nothing = { unfinished: 0, orphanFiles: 0, orphanRecords: 0, bytes: 0 }

/** Never answers, as if the process ended there. */
const never = () => new Promise<never>(() => undefined)

/** All names in a content directory, and all records. */
async function left({ directory, records }: Pick<HeldWorld, 'directory' | 'records'>): Promise<string[]> {
  const names = (await readdir(directory, { recursive: true })).filter(
    (name) => !/^(blobs|partial|quarantine|uploads)$/.test(name),
  )
  const digests = (await Array.fromAsync(records.list())).map((record) => `record ${record.digest}`)
  return [...names.filter((name) => !/^blobs\/sha(256|512)$/.test(name)), ...digests]
}

/** What a process that starts anew makes of it: the bytes are held whole or not at all, and nothing stays behind. */
async function restarted(w: HeldWorld, isHeld: boolean): Promise<void> {
  const { files, counters } = await w.open()
  expect(await files.held(link)).toBe(isHeld ? bytes.length : undefined)
  w.clock.ahead = 11 * minute
  await files.sweep()
  expect(await files.held(link)).toBe(isHeld ? bytes.length : undefined)
  expect(counters.heldBytes).toBe(isHeld ? bytes.length : 0)
  expect(await left(w)).toHaveLength(isHeld ? 2 : 0)
  expect(await files.sweep()).toEqual(nothing)
  await keep(files, bytes)
  expect(await readAll((await files.open(link)) ?? expect.fail())).toEqual(bytes)
}

/** Waits until something that will never come back is under way. */
async function begun(records: HeldRecords, method: 'add' | 'remove', after: boolean) {
  const reached = Promise.withResolvers<void>()
  const stopping: HeldRecords = {
    ...records,
    [method]: async (...args: [never, never, never]) => {
      if (after) await records[method](...args)
      reached.resolve()
      return never()
    },
  }
  return { stopping, reached: reached.promise }
}

test('I6: a process that ends while it writes leaves pieces that the next start clears away', async () => {
  const w = await heldWorld()
  const { files } = await w.open()
  const file = await files.begin(digest, 'download', bytes.length)
  await file.handle.write(bytes.subarray(0, 5))
  await file.handle.close()
  await w.open()
  await expect.poll(() => left(w)).toEqual([])
  await restarted(w, false)
})

test.each([false, true])(
  'I6: a process that ends around the record (written: %s) holds all or nothing',
  async (after) => {
    const w = await heldWorld()
    const { stopping, reached } = await begun(w.records, 'add', after)
    const { files, die } = await w.open({ records: stopping })
    void keep(files, bytes)
    await reached
    die()
    await restarted(w, after)
  },
)

test.each([false, true])(
  'I6: a process that ends while it removes (records gone: %s) holds all or nothing',
  async (after) => {
    const w = await heldWorld()
    await keep((await w.open()).files, bytes)
    const { stopping, reached } = await begun(w.records, 'remove', after)
    const { files, die } = await w.open({ records: stopping })
    void files.remove(digest, { unusedSince: Date.now() + minute })
    await reached
    die()
    await restarted(w, !after)
  },
)

test('I6: a process that ends while it puts wrong bytes aside gives none of them out', async () => {
  const w = await heldWorld()
  await keep((await w.open()).files, bytes)
  await writeFile(fileOf(w.directory, digest), Buffer.alloc(bytes.length))
  const { stopping, reached } = await begun(w.records, 'remove', true)
  const { files, die } = await w.open({ records: stopping })
  void files.verify(digest)
  await reached
  die()
  await restarted(w, false)
})

test('a manifest’s pieces may be on their way, and go when they are older', async () => {
  const w = await heldWorld()
  const { files } = await w.open()
  await writeFile(files.partialPath(digest, 'put-1'), 'half')
  expect(await files.sweep()).toEqual(nothing)
  w.clock.ahead = 11 * minute
  expect(await files.sweep()).toEqual({ ...nothing, unfinished: 1, bytes: 4 })
})

test('a file that waits for its records is left alone until it is old', async () => {
  const w = await heldWorld()
  const { files } = await w.open()
  await writeFile(fileOf(w.directory, digest), bytes)
  expect(await files.sweep()).toEqual(nothing)
  w.clock.ahead = 11 * minute
  expect(await files.sweep()).toEqual({ ...nothing, orphanFiles: 1, bytes: bytes.length })
})

test('what the sweep does not know it leaves', async () => {
  const w = await heldWorld()
  const { files } = await w.open()
  for (const name of ['blobs/sha256/README', 'blobs/notes', 'partial/notes', 'sha256-notes']) {
    await writeFile(join(w.directory, name), 'of the operator')
  }
  w.clock.ahead = 11 * minute
  expect(await files.sweep()).toEqual(nothing)
  expect(await left(w)).toHaveLength(4)
})

test('a directory with the name of a digest is no blob, and goes', async () => {
  const w = await heldWorld()
  const { files, counters } = await w.open()
  await mkdir(join(fileOf(w.directory, digest), 'deep'), { recursive: true })
  w.clock.ahead = 11 * minute
  expect(await files.sweep()).toMatchObject({ orphanFiles: 1 })
  expect(counters.heldBytes).toBe(0)
  expect(await left(w)).toEqual([])
})

test('what another process works on is not swept away', async () => {
  const w = await heldWorld()
  const one = await w.open()
  const lease = await one.acquireLease(`content/${digest}`, new AbortController().signal)
  const file = await written(one.files, bytes)
  await writeFile(fileOf(w.directory, digest), bytes)
  await w.records.add(digestOf('gone'), 4, proof)
  const other = await w.open({ acquireLease: soonGivingUp(one.acquireLease, digest) })
  w.clock.ahead = 11 * minute
  expect(await other.files.sweep()).toEqual({ ...nothing, orphanRecords: 1 })
  expect((await stat(file.path)).size).toBe(bytes.length)
  await file.keep(proof)
  await lease.release()
  expect(await other.files.held(link)).toBe(bytes.length)
})

test('a sweep tells that something was lost when it finds records without a file, and else not', async () => {
  const w = await heldWorld()
  const lost: true[] = []
  const { files } = await w.open({ onLost: () => void lost.push(true) })
  await keep(files, bytes)
  await files.sweep()
  expect(lost).toEqual([])
  await rm(fileOf(w.directory, digest))
  expect(await files.sweep()).toEqual({ ...nothing, orphanRecords: 1 })
  expect(lost).toEqual([true])
})

test('a record that lost its file is kept when a manifest is put by another process just then', async () => {
  const w = await heldWorld()
  const other = await w.open()
  await keep(other.files, bytes)
  await rm(fileOf(w.directory, digest))
  const racing: HeldRecords = {
    ...w.records,
    async remove(removed) {
      await other.files.putManifest(digest, bytes, second)
      await w.records.remove(removed)
    },
  }
  const { files } = await w.open({ records: racing })
  expect(await files.sweep()).toMatchObject({ orphanRecords: 0 })
  expect(await files.held(link)).toBe(bytes.length)
})

test('what was put aside is removed after a week', async () => {
  const w = await heldWorld()
  const { files } = await w.open()
  await keep(files, bytes)
  await writeFile(fileOf(w.directory, digest), Buffer.alloc(bytes.length))
  await files.verify(digest)
  w.clock.ahead = 6 * 86_400_000
  await files.sweep()
  expect(await readdir(join(w.directory, 'quarantine'))).toHaveLength(1)
  w.clock.ahead = 8 * 86_400_000
  await files.sweep()
  expect(await readdir(join(w.directory, 'quarantine'))).toEqual([])
})

test('sweeping beside everything else takes nothing that is held', async () => {
  const w = await heldWorld()
  const [one, other] = [await w.open(), await w.open()]
  w.clock.ahead = 11 * minute
  const all = Array.from({ length: 60 }, (_, i) => Buffer.from(`blob ${i}`))
  const keepAlone = async (files: HeldFiles, acquireLease: AcquireLease, each: Buffer) => {
    const lease = await acquireLease(`content/${digestOf(each)}`, new AbortController().signal)
    await keep(files, each)
    await lease.release()
  }
  const kept = Promise.all(
    all.map((each, i) =>
      i % 2 ? keepAlone(one.files, one.acquireLease, each) : keepAlone(other.files, other.acquireLease, each),
    ),
  )
  for (let i = 0; i < 5; i++) await Promise.all([one.files.sweep(), other.files.sweep()])
  await kept
  await one.files.sweep()
  for (const each of all) expect(await one.files.held(linkTo(each, first))).toBe(each.length)
})

test('sweeping beside puts of manifests in another process takes none', async () => {
  const w = await heldWorld()
  const [one, other] = [await w.open(), await w.open()]
  const all = Array.from({ length: 100 }, (_, i) => Buffer.from(`manifest ${i}`))
  const put = Promise.all(all.map((each) => one.files.putManifest(digestOf(each), each, first)))
  for (let i = 0; i < 5; i++) await other.files.sweep()
  await put
  for (const each of all) expect(await other.files.held(linkTo(each, first))).toBe(each.length)
})

/** The layout of older versions: `<algorithm>/<2 hex>/<hex>`, with the proofs beside it. */
async function writeOld(directory: string, target: Digest, content: Buffer, ...notes: string[]): Promise<string> {
  const hex = digestHex(target)
  const path = join(directory, target.slice(0, 6), hex.slice(0, 2), hex)
  await mkdir(dirname(path), { recursive: true })
  await mkdir(join(directory, 'tmp'), { recursive: true })
  await writeFile(path, content)
  if (notes.length > 0) await writeFile(`${path}.locations`, notes.map((note) => `\n${note}\n`).join(''))
  return path
}

test('what an older version kept is taken over with its proofs, and its layout goes', async () => {
  const w = await contentWorld()
  const long = digestOf(bytes, 'sha512')
  await w.content.close()
  await writeOld(w.directory, digest, bytes, locationKey(first), '', locationKey(first).slice(0, 40))
  await writeOld(w.directory, long, bytes, locationKey(first), locationKey(second))
  await writeFile(join(w.directory, 'tmp', 'unfinished'), 'half')
  const content = await w.reopen()
  expect((await w.records.get(digest))?.proofs).toEqual([[locationKey(first)]])
  expect(await content.manifest(link)).toEqual(bytes)
  expect(await content.manifest(linkTo(digest, second))).toBeUndefined()
  for (const location of [first, second]) expect(await content.manifest(linkTo(long, location))).toEqual(bytes)
  expect((await readdir(w.directory)).sort()).toEqual(['blobs', 'partial', 'quarantine', 'uploads'])
  expect(w.logged.join()).toContain('layout of this version')
})

test('bytes without a note are taken over as those that are here', async () => {
  const w = await heldWorld()
  await writeOld(w.directory, digest, bytes)
  const { files } = await w.open()
  expect(await files.manifest(link)).toBeUndefined()
  expect(await files.manifest(linkTo(digest, { kind: 'here' }))).toEqual(bytes)
})

test.each<[string, (w: HeldWorld, old: string) => Promise<unknown>]>([
  ['before anything was moved', async () => undefined],
  ['after the records', (w) => w.records.add(digest, bytes.length, proof)],
  [
    'after the file was moved',
    async (w, old) => {
      await w.records.add(digest, bytes.length, proof)
      await mkdir(join(w.directory, 'blobs', 'sha256'), { recursive: true })
      await rename(old, fileOf(w.directory, digest))
    },
  ],
  [
    'after the notes were removed, with the move undone by a loss of power',
    async (w, old) => {
      await w.records.add(digest, bytes.length, proof)
      await rm(`${old}.locations`)
    },
  ],
  [
    'after the notes were removed',
    async (w, old) => {
      await w.records.add(digest, bytes.length, proof)
      await mkdir(join(w.directory, 'blobs', 'sha256'), { recursive: true })
      await rename(old, fileOf(w.directory, digest))
      await rm(`${old}.locations`)
    },
  ],
])('I6: taking over that ended %s is gone on with at the next start', async (_, happened) => {
  const w = await heldWorld()
  const old = await writeOld(w.directory, digest, bytes, locationKey(first))
  await happened(w, old)
  const { files } = await w.open()
  expect(await files.manifest(link)).toEqual(bytes)
  expect(await files.manifest(linkTo(digest, second))).toBeUndefined()
  expect((await readdir(w.directory)).sort()).toEqual(['blobs', 'partial', 'quarantine', 'uploads'])
  await w.open()
})

test('what is no blob of an older version stays where it is, and does not keep Weir from starting', async () => {
  const w = await heldWorld()
  const old = await writeOld(w.directory, digest, bytes, locationKey(first))
  await writeFile(join(dirname(old), 'README'), 'of the operator')
  await writeFile(join(w.directory, 'sha256', 'README'), 'of the operator')
  const { files } = await w.open()
  expect(await files.manifest(link)).toEqual(bytes)
  expect(await readFile(join(dirname(old), 'README'), 'ascii')).toBe('of the operator')
  expect(w.logged.join()).toContain('stays')
  await w.open()
})

test('bytes that rotted under an older version are put aside when they are read', async () => {
  const w = await heldWorld()
  const old = await writeOld(w.directory, digest, Buffer.alloc(9), locationKey(first))
  await utimes(old, 1000, 1000)
  const { files, counters } = await w.open()
  expect(await files.manifest(link)).toBeUndefined()
  expect(counters.quarantined).toBe(1)
})

/** Leases of one process, of which that of `name` is another's. */
function soonGivingUp(acquireLease: AcquireLease, name: Digest): AcquireLease {
  return async (wanted, signal) => {
    if (wanted === `content/${name}`)
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    return acquireLease(wanted, signal)
  }
}
