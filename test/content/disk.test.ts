import { execFile } from 'node:child_process'
import { createHash, type Hash, randomBytes } from 'node:crypto'
import { openSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createBuffers } from '../../src/content/buffers.ts'
import type { BlobReader, OpenBlob } from '../../src/content/content.ts'
import { CorruptError, createDiskReader, UnreadableError } from '../../src/content/disk-reader.ts'
import { createPatchedReader } from '../../src/content/patched-reader.ts'
import type { Extent } from '../../src/content/range.ts'
import { readAll } from '../../src/content/reader.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { RegistryError } from '../../src/oci/errors.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { given } from '../support/given.ts'
import { heldWorld, keep, proof } from './held-world.ts'
import { contentWorld, fileOf, first, linkTo, second } from './world.ts'

const run = promisify(execFile)

/** Larger than what is read at once. */
const big = randomBytes(9 * 1024 * 1024 + 17)
const small = Buffer.from('a small blob')

function must(opened: OpenBlob | undefined): OpenBlob {
  if (opened === undefined) throw new Error('nothing is held')
  return opened
}

/** Flips a bit. The time of the change is another one also when the clock did not go on since the file was written. */
async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  byte[0] = (byte[0] ?? 0) ^ 1
  await file.write(byte, 0, 1, at)
  const { atime, mtimeMs } = await file.stat()
  await file.utimes(atime, mtimeMs / 1000 + 1)
  await file.close()
}

/** Bytes that were kept by a process that is gone: nothing of them was seen right since. */
async function opened(bytes: Buffer) {
  const w = await heldWorld()
  await keep((await w.open()).files, bytes)
  return { ...w, ...(await w.open()), path: fileOf(w.directory, digestOf(bytes)), link: linkTo(bytes, first) }
}

test.each([
  ['an empty', Buffer.alloc(0)],
  ['a small', small],
  ['a big', big],
  ['one of exactly what is read at once', big.subarray(0, 1024 * 1024)],
])('%s blob that is held is read from disk, and no location is asked', async (_, bytes) => {
  const { content, source } = await contentWorld()
  await content.putManifest(digestOf(bytes), bytes, first)
  const blob = await content.open(linkTo(bytes, first))
  expect(blob).toMatchObject({ size: bytes.length, offset: 0, length: bytes.length })
  expect((await readAll(blob)).equals(bytes)).toBe(true)
  expect(source.asked).toEqual([])
  expect(content.counters.deliveredBytes).toBe(bytes.length)
})

test('a blob by sha512 is held and verified by sha512', async () => {
  const { content, directory } = await contentWorld()
  const link = { ...linkTo(big, first), digest: digestOf(big, 'sha512') }
  await content.putManifest(link.digest, big, first)
  expect((await readAll(await content.open(link))).equals(big)).toBe(true)
  await flip(fileOf(directory, link.digest), 5)
  expect((await given((await content.open(link)).reader)).error).toBeInstanceOf(CorruptError)
})

test('any range of what is held is what slicing gives', async () => {
  const { content } = await contentWorld()
  await content.putManifest(digestOf(big), big, first)
  const at = fc.nat(big.length - 1)
  await fc.assert(
    fc.asyncProperty(at, at, async (one, other) => {
      const [start, end] = [Math.min(one, other), Math.max(one, other)]
      const blob = await content.open(linkTo(big, first), { start, end })
      expect(blob).toMatchObject({ size: big.length, offset: start, length: end - start + 1 })
      expect((await readAll(blob)).equals(big.subarray(start, end + 1))).toBe(true)
    }),
    { numRuns: 200 },
  )
})

test('a range that no byte is in is refused with the size', async () => {
  const { content } = await contentWorld()
  await content.putManifest(digestOf(small), small, first)
  await expect(content.open(linkTo(small, first), { start: 100 })).rejects.toMatchObject({
    code: 'RANGE_INVALID',
    detail: { size: small.length },
  })
})

test('I5: what is held is neither told nor given to a link that has not all locations of a proof', async () => {
  const { content, source } = await contentWorld()
  await content.putManifest(digestOf(small), small, first)
  const link = linkTo(small, second)
  expect(await content.held(link)).toBeUndefined()
  await expect(content.stat(link)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  await expect(content.open(link)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  await expect(content.open(link, { start: 100 })).rejects.toThrow()
  expect(source.asked.length).toBeGreaterThan(0)
  expect(await content.held(linkTo(small, first))).toBe(small.length)
  expect(await content.stat({ ...linkTo(small, second, first), size: 1 })).toBe(small.length)
})

test('the size of what is held counts, whatever a link says', async () => {
  const { content } = await contentWorld()
  await content.putManifest(digestOf(small), small, first)
  for (const size of [undefined, 1, 1_000_000]) {
    expect(await readAll(await content.open({ ...linkTo(small, first), size }))).toEqual(small)
  }
})

test.each([0, 2 * 1024 * 1024, big.length - 1])(
  'I4: with a bit flipped at %i a reader never gets all bytes; the file is put aside, told of, and fetched again',
  async (at) => {
    const { content, source, directory, records, logged } = await contentWorld()
    const link = linkTo(big, first)
    source.put(first, link.digest, { bytes: big })
    await content.putManifest(link.digest, big, first)
    await flip(fileOf(directory, link.digest), at)
    const got = await given((await content.open(link)).reader)
    expect(got.error).toBeInstanceOf(CorruptError)
    expect(got.bytes.length).toBeLessThan(big.length)
    expect(await records.get(link.digest)).toBeUndefined()
    expect(await readdir(join(directory, 'quarantine'))).toHaveLength(1)
    expect(content.counters.quarantined).toBe(1)
    expect(logged.join()).toContain(link.digest)
    expect((await readAll(await content.open(link))).equals(big)).toBe(true)
    expect(source.asked.length).toBeGreaterThan(0)
  },
)

test('what turns out wrong when it is read is told as lost, once its records are gone', async () => {
  const lost: Promise<unknown>[] = []
  const { content, directory, records } = await contentWorld({
    onLost: () => void lost.push(records.get(digestOf(big))),
  })
  await content.putManifest(digestOf(big), big, first)
  await readAll(await content.open(linkTo(big, first)))
  expect(lost).toEqual([])
  await flip(fileOf(directory, digestOf(big)), 5)
  await given((await content.open(linkTo(big, first))).reader)
  expect(await Promise.all(lost)).toEqual([undefined])
})

test('a small file with wrong bytes is made good from a location before anybody notices', async () => {
  const { content, source, directory } = await contentWorld()
  const link = linkTo(small, first)
  source.put(first, link.digest, { bytes: small })
  await content.putManifest(link.digest, small, first)
  await flip(fileOf(directory, link.digest), 3)
  expect(await readAll(await content.open(link))).toEqual(small)
  expect(content.counters.quarantined).toBe(1)
})

test('a part of a file with wrong bytes passes, since only the whole can be verified; the whole does not', async () => {
  const { files, link, path } = await opened(big)
  await flip(path, 5)
  const part = must(await files.open(link, { start: 0, end: 99 }))
  expect((await readAll(part)).equals(big.subarray(0, 100))).toBe(false)
  expect((await given(must(await files.open(link)).reader)).error).toBeInstanceOf(CorruptError)
})

test('a file is hashed when it is first given out whole after a start, and trusted as long as it stays the same', async () => {
  const { files, link, path } = await opened(big)
  expect((await readAll(must(await files.open(link)))).equals(big)).toBe(true)
  const { mtimeMs } = await stat(path)
  await flip(path, 9)
  const changed = new Date(Math.round(mtimeMs))
  // A disk that rots leaves the time of the last change alone.
  await utimes(path, changed, changed)
  expect((await given(must(await files.open(link)).reader)).error).toBeUndefined()
  await utimes(path, changed, new Date(changed.getTime() + 1000))
  expect((await given(must(await files.open(link)).reader)).error).toBeInstanceOf(CorruptError)
})

test('a use, which sets the access time, does not take the trust away', async () => {
  const { files, link, path } = await opened(small)
  // Finer than what a use writes again.
  await utimes(path, 1, 1_700_000_000.123_456)
  await readAll(must(await files.open(link)))
  await files.touch(link.digest)
  const { mtimeMs } = await stat(path)
  await writeFile(path, 'a SMALL blob')
  await utimes(path, new Date(), mtimeMs / 1000)
  expect(await readAll(must(await files.open(link)))).toEqual(Buffer.from('a SMALL blob'))
})

test.each([
  ['shorter', 5],
  ['longer', small.length + 1],
])('a file that is %s than recorded is put aside and not given out', async (_, length) => {
  const { files, counters, link, path, directory, records } = await opened(small)
  await truncate(path, length)
  expect(await files.held(link)).toBeUndefined()
  expect(await files.open(link)).toBeUndefined()
  expect(await records.get(link.digest)).toBeUndefined()
  expect(await readdir(join(directory, 'quarantine'))).toHaveLength(1)
  expect(counters.quarantined).toBe(1)
})

test('a file that is cut short while it is read is gone on with from a location, and verified as a whole', async () => {
  const { content, source, directory, reopen } = await contentWorld()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: big })
  await content.putManifest(link.digest, big, first)
  const again = await reopen()
  const blob = await again.open(link)
  const start = Buffer.from((await blob.reader.read()) ?? '')
  await truncate(fileOf(directory, link.digest), 1_500_000)
  const rest = await given(blob.reader)
  expect(rest.error).toBeUndefined()
  expect(Buffer.concat([start, rest.bytes]).equals(big)).toBe(true)
  expect(await readdir(join(directory, 'quarantine'))).toHaveLength(1)
})

test('I4: what was wrong before a file ended early makes the whole fail, though the rest is right', async () => {
  const { content, source, directory, reopen } = await contentWorld()
  const link = linkTo(big, first)
  source.put(first, link.digest, { bytes: big })
  await content.putManifest(link.digest, big, first)
  await flip(fileOf(directory, link.digest), 5)
  const blob = await (await reopen()).open(link)
  const start = Buffer.from((await blob.reader.read()) ?? '')
  await truncate(fileOf(directory, link.digest), 1_500_000)
  const rest = await given(blob.reader)
  expect(rest.error).toBeInstanceOf(CorruptError)
  expect(start.length + rest.bytes.length).toBeLessThan(big.length)
})

test('a file that ends early and can not be had elsewhere fails, and never ends cleanly', async () => {
  const { content, directory } = await contentWorld()
  const link = linkTo(big, first)
  await content.putManifest(link.digest, big, first)
  const blob = await content.open(link)
  await blob.reader.read()
  await truncate(fileOf(directory, link.digest), 1_500_000)
  expect((await given(blob.reader)).error).toMatchObject({ code: 'BLOB_UNKNOWN' })
})

test('a file that is replaced while it is read is read on as it was', async () => {
  const { content, directory } = await contentWorld()
  const link = linkTo(big, first)
  await content.putManifest(link.digest, big, first)
  const blob = await content.open(link)
  const start = (await blob.reader.read())?.length
  await content.putManifest(link.digest, big, second)
  await rm(fileOf(directory, link.digest))
  const rest = await given(blob.reader)
  expect(rest.error).toBeUndefined()
  expect(rest.bytes.equals(big.subarray(start))).toBe(true)
})

test('a good file that came in the place of a wrong one is not put aside for it', async () => {
  const { files, link, path, directory } = await opened(big)
  await flip(path, 5)
  const blob = must(await files.open(link))
  await rename(path, join(directory, 'elsewhere'))
  await keep(files, big)
  expect((await given(blob.reader)).error).toBeInstanceOf(CorruptError)
  await files.touch(link.digest)
  expect(await files.held(link)).toBe(big.length)
  expect(await readdir(join(directory, 'quarantine'))).toEqual([])
})

describe('a good file that another process puts in the place of a wrong one', () => {
  /** A wrong file, another process, and what a process is like whose steps can be stopped. */
  async function rotten() {
    const { files: other, ...w } = await opened(big)
    await flip(w.path, 5)
    const expectGood = async () => {
      expect(await readAll(must(await other.open(w.link)))).toEqual(big)
      expect((await w.records.get(w.link.digest))?.proofs).toEqual([proof])
      expect(await readdir(join(w.directory, 'quarantine'))).toEqual([])
      expect((await other.sweep()).orphanRecords).toBe(0)
    }
    return { ...w, other, expectGood }
  }

  test('under its lease stays: the lease is waited for', async () => {
    const { open, other, acquireLease, link, expectGood } = await rotten()
    const lease = await acquireLease(`content/${link.digest}`, new AbortController().signal)
    const asked: string[] = []
    const waiting = await open({ leaseWaitMs: 60_000 })
    const { files, counters } = await open({
      acquireLease: (name, signal) => {
        asked.push(name)
        return waiting.acquireLease(name, signal)
      },
      leaseWaitMs: 60_000,
    })
    const reading = given(must(await files.open(link)).reader)
    await expect.poll(() => asked).toEqual([`content/${link.digest}`])
    await keep(other, big)
    await lease.release()
    expect((await reading).error).toBeInstanceOf(CorruptError)
    expect(counters.quarantined).toBe(0)
    await expectGood()
  })

  test('between two steps of putting aside stays, with its records', async () => {
    const { open, other, records, link, expectGood } = await rotten()
    const { files, counters } = await open({
      records: {
        ...records,
        async remove(digest) {
          await keep(other, big)
          await records.remove(digest)
        },
      },
    })
    expect((await given(must(await files.open(link)).reader)).error).toBeInstanceOf(CorruptError)
    expect(counters.quarantined).toBe(0)
    await expectGood()
  })

  test('has not come yet while it downloads: the wrong one goes', async () => {
    const { open, acquireLease, records, link, directory } = await rotten()
    await acquireLease(`content/${link.digest}`, new AbortController().signal)
    const { files, counters } = await open()
    expect((await given(must(await files.open(link)).reader)).error).toBeInstanceOf(CorruptError)
    expect(counters.quarantined).toBe(1)
    expect(await records.get(link.digest)).toBeUndefined()
    expect(await readdir(join(directory, 'quarantine'))).toHaveLength(1)
  })
})

test.each([
  ['a directory', (path: string) => mkdir(path)],
  ['a link to another file', (path: string) => writeFile(`${path}0`, small).then(() => symlink(`${path}0`, path))],
  ['a pipe', async (path: string) => void (await run('mkfifo', [path]))],
])('%s in the place of a file is put aside and never read', async (_, make) => {
  const { files, link, path, directory } = await opened(small)
  await rm(path)
  await make(path)
  expect(await files.open(link)).toBeUndefined()
  expect(await readdir(join(directory, 'quarantine'))).toHaveLength(1)
  await keep(files, small)
  expect(await readAll(must(await files.open(link)))).toEqual(small)
})

test('a file that is not there any more is fetched again', async () => {
  const { content, source, directory } = await contentWorld()
  const link = linkTo(small, first)
  source.put(first, link.digest, { bytes: small })
  await content.putManifest(link.digest, small, first)
  await rm(fileOf(directory, link.digest))
  expect(await content.held(link)).toBeUndefined()
  expect(await readAll(await content.open(link))).toEqual(small)
  expect(content.counters.quarantined).toBe(0)
})

test('a reader that is closed in the middle of a read fails that read, and gives its buffer back only then', async () => {
  const { files, link } = await opened(big)
  const { reader } = must(await files.open(link))
  const reading = reader.read()
  reader.close()
  await expect(reading).rejects.toThrow('closed')
  await expect(reader.read()).rejects.toThrow('closed')
  reader.close()
})

test('many readers at once each get their own bytes', async () => {
  const { content } = await contentWorld()
  const blobs = Array.from({ length: 20 }, () => randomBytes(1_200_000))
  for (const bytes of blobs) await content.putManifest(digestOf(bytes), bytes, first)
  await Promise.all(
    blobs.map(async (bytes) => {
      expect((await readAll(await content.open(linkTo(bytes, first)))).equals(bytes)).toBe(true)
    }),
  )
})

test('a disk that fails to read is an error that others can go on from, and says nothing of the bytes', async () => {
  const told: string[] = []
  const closed = Promise.withResolvers<void>()
  const reader = createDiskReader({
    digest: digestOf(small),
    // Reading a directory fails, as a bad disk does.
    fd: openSync(await temporaryDirectory(), 'r'),
    extent: { offset: 0, length: small.length },
    buffers: createBuffers(),
    hash: createHash('sha256'),
    onResult: (result) => void told.push(result),
    onClose: closed.resolve,
  })
  await expect(reader.read()).rejects.toBeInstanceOf(UnreadableError)
  reader.close()
  await closed.promise
  expect(told).toEqual([])
})

describe('what a disk fails to read in the middle', () => {
  const digest = digestOf(small)
  const brokenAfter = (given: Buffer, error: (hash: Hash) => Error): OpenBlob => {
    const pieces = [given]
    const read = async () => {
      const piece = pieces.shift()
      if (piece !== undefined) return piece
      throw error(createHash('sha256').update(given))
    }
    return { size: small.length, offset: 0, length: small.length, reader: { read, close: () => undefined } }
  }
  const pieces = (...all: Buffer[]): BlobReader => ({ read: async () => all.shift(), close: () => undefined })
  const unreadable = (hash: Hash) => new UnreadableError('bad disk', hash)

  test('is gone on with elsewhere', async () => {
    const asked: Extent[] = []
    const reader = createPatchedReader(brokenAfter(small.subarray(0, 4), unreadable), digest, async (extent) => {
      asked.push(extent)
      return pieces(small.subarray(4, 7), small.subarray(7))
    })
    expect(await given(reader)).toEqual({ bytes: small })
    expect(asked).toEqual([{ offset: 4, length: small.length - 4 }])
  })

  test('I4: is verified as a whole', async () => {
    const reader = createPatchedReader(brokenAfter(Buffer.from('A sm'), unreadable), digest, async () =>
      pieces(small.subarray(4, 7), small.subarray(7)),
    )
    expect(await given(reader)).toMatchObject({ bytes: Buffer.from('A small'), error: { name: 'CorruptError' } })
  })

  test('is not gone on with twice', async () => {
    const reader = createPatchedReader(brokenAfter(small.subarray(0, 4), unreadable), digest, async () => {
      return brokenAfter(small.subarray(4, 5), unreadable).reader
    })
    expect(await given(reader)).toMatchObject({ bytes: small.subarray(0, 5), error: { name: 'UnreadableError' } })
  })

  test('is not gone on with after wrong bytes were given out', async () => {
    const wrong = () => new CorruptError(digest, digest)
    const reader = createPatchedReader(brokenAfter(small.subarray(0, 4), wrong), digest, () => expect.fail())
    expect(await given(reader)).toMatchObject({ error: { name: 'CorruptError' } })
  })

  test('ends with whoever closes the reader meanwhile', async () => {
    const closed: true[] = []
    const asked = Promise.withResolvers<void>()
    const rest = Promise.withResolvers<BlobReader>()
    const reader = createPatchedReader(brokenAfter(small.subarray(0, 4), unreadable), digest, () => {
      asked.resolve()
      return rest.promise
    })
    await reader.read()
    const reading = reader.read()
    await asked.promise
    reader.close()
    rest.resolve({ ...pieces(small), close: () => void closed.push(true) })
    await expect(reading).rejects.toThrow('closed')
    expect(closed).toHaveLength(1)
  })
})

test.each([
  ['right', undefined],
  ['wrong', 'BadDigest'],
])('I4: what follows on a trusted file that ends early is verified with it: %s bytes', async (_what, reason) => {
  const { content, source, directory } = await contentWorld()
  const link = linkTo(big, first)
  await content.putManifest(link.digest, big, first)
  expect((await readAll(await content.open(link))).equals(big)).toBe(true)
  const last = Buffer.from(big)
  if (reason !== undefined) last[big.length - 5] = (last[big.length - 5] ?? 0) ^ 1
  source.put(first, link.digest, { bytes: last })
  const blob = await content.open(link)
  const start = Buffer.from((await blob.reader.read()) ?? '')
  await truncate(fileOf(directory, link.digest), big.length - 1000)
  const rest = await given(blob.reader)
  const error = rest.error as RegistryError | undefined
  expect(error?.upstream?.reason).toBe(reason)
  expect(Buffer.concat([start, rest.bytes]).equals(big)).toBe(reason === undefined)
})
