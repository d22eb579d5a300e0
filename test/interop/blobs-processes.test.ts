/** Two processes on one content directory: the store decides who fetches and who removes. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Digest, digestHex, digestOf } from '../../src/oci/digest.ts'
import { type GeneratedBlob, generatedBlob } from '../support/generated-blob.ts'
import { filesBelow } from './support/blob-world.ts'
import { type SharedContent, startSharedContent } from './support/content-processes.ts'

const MB = 1_000_000

function putBlob({ upstream, link }: SharedContent, seed: string, size: number) {
  const blob = generatedBlob(seed, size)
  upstream.put('lib/app', 'v1', [blob])
  return { ...blob, link: link(blob), right: { digest: blob.digest, bytes: size } }
}

const fileOf = (shared: SharedContent, digest: Digest): string =>
  join(shared.directory, 'blobs/sha256', digestHex(digest))

/** The file is there, whole and right, and nothing else lies about. */
async function expectHeld(shared: SharedContent, { digest }: Pick<GeneratedBlob, 'digest'>): Promise<void> {
  await expect.poll(() => filesBelow(join(shared.directory, 'partial'))).toEqual([])
  expect(digestOf(await readFile(fileOf(shared, digest)))).toBe(digest)
}

async function sent(shared: SharedContent, digest: Digest, bytes: number): Promise<void> {
  await expect
    .poll(() => shared.upstream.sentBytes(digest), { interval: 5, timeout: 20_000 })
    .toBeGreaterThanOrEqual(bytes)
}

test('I10: a cold blob that both are asked for at once is fetched once, and both give it whole', async () => {
  const shared = await startSharedContent()
  const { first, second, upstream, leases } = shared
  const blob = putBlob(shared, 'both at once', 20 * MB)
  upstream.bytesPerSecond = 20 * MB
  const reads = [first, second, first, second].map((each) => each.read(blob.link))
  for (const read of reads) expect(await read).toEqual(blob.right)
  expect(upstream.gets(blob.digest)).toHaveLength(1)
  expect(upstream.sentBytes(blob.digest)).toBe(blob.size)
  expect(leases.granted).toContainEqual(expect.stringMatching(`^\\d+ content/${blob.digest}$`))
  await expectHeld(shared, blob)
})

test('where the store excludes nobody, both fetch it: that it is once is the store’s doing', async () => {
  const shared = await startSharedContent({ grantsAlways: true })
  const { first, second, upstream } = shared
  const blob = putBlob(shared, 'no leases', 20 * MB)
  upstream.bytesPerSecond = 20 * MB
  const reads = [first, second].map((each) => each.read(blob.link))
  for (const read of reads) expect(await read).toEqual(blob.right)
  expect(upstream.gets(blob.digest)).toHaveLength(2)
  await expectHeld(shared, blob)
})

test('whole flows: what one imported both pull cold, from one upstream GET', async () => {
  const shared = await startSharedContent()
  const { first, second, upstream } = shared
  const blob = putBlob(shared, 'flows', 10 * MB)
  expect(await first.import('app', 'prod', `${upstream.host}/lib/app:v1`)).toEqual([])
  upstream.bytesPerSecond = 20 * MB
  const pulls = [first, second].map((each) => each.pull('app', blob.digest))
  for (const pull of pulls) expect(await pull).toEqual(blob.right)
  expect(upstream.gets(blob.digest)).toHaveLength(1)
})

test('when the one that fetches is killed, the other goes on, and its readers get the whole', async () => {
  const shared = await startSharedContent()
  const { first, second, upstream, leases } = shared
  const blob = putBlob(shared, 'killed', 20 * MB)
  upstream.bytesPerSecond = 20 * MB
  const lost = first.read(blob.link).catch((error: Error) => error.message)
  await sent(shared, blob.digest, 2 * MB)
  const reads = [second.read(blob.link), second.read(blob.link)]
  await sent(shared, blob.digest, 8 * MB)
  expect(leases.holder(`content/${blob.digest}`)).toBe(first.pid)
  first.signal('SIGKILL')
  expect(await lost).toContain('ended')
  for (const read of reads) expect(await read).toEqual(blob.right)
  expect(upstream.gets(blob.digest)).toHaveLength(2)
  await expectHeld(shared, blob)
  expect(await second.sweep()).toMatchObject({ unfinished: 0, orphanFiles: 0, orphanRecords: 0 })
})

test('one that is stopped for so long that the store forgets it does no harm when it goes on', async () => {
  const shared = await startSharedContent()
  const { first, second, upstream, leases } = shared
  const blob = putBlob(shared, 'stopped', 20 * MB)
  upstream.bytesPerSecond = 20 * MB
  const stopped = first.read(blob.link).catch((error: Error) => error.message)
  await sent(shared, blob.digest, 4 * MB)
  first.signal('SIGSTOP')
  leases.revoke(`content/${blob.digest}`)
  upstream.bytesPerSecond = undefined
  expect(await second.read(blob.link)).toEqual(blob.right)
  first.signal('SIGCONT')
  const late = await stopped
  if (typeof late !== 'string') expect(late).toEqual(blob.right)
  await expectHeld(shared, blob)
  expect(await first.read(blob.link)).toEqual(blob.right)
  expect(await second.read(blob.link)).toEqual(blob.right)
  expect(upstream.gets(blob.digest).length).toBeLessThanOrEqual(3)
})

test('what one removes while the other reads it, is read to its end', async () => {
  const shared = await startSharedContent()
  const { first, second, upstream } = shared
  const blob = putBlob(shared, 'removed while read', 20 * MB)
  await first.fetch(blob.link)
  const reading = second.read(blob.link, { pauseMs: 500 })
  await new Promise((resolve) => setTimeout(resolve, 150))
  const freed = await first.remove(blob.digest, Date.now() + 60_000)
  expect(await reading).toEqual(blob.right)
  expect([0, blob.size]).toContain(freed)
  expect(await second.read(blob.link), 'and can be had again').toEqual(blob.right)
  expect(upstream.gets(blob.digest)).toHaveLength(freed === 0 ? 1 : 2)
})

test('what one is fetching the other neither removes nor sweeps away', async () => {
  const shared = await startSharedContent()
  const { first, second, upstream } = shared
  const blob = putBlob(shared, 'fetched while swept', 20 * MB)
  upstream.bytesPerSecond = 20 * MB
  const reading = first.read(blob.link)
  await sent(shared, blob.digest, 4 * MB)
  const swept = second.sweep()
  const removed = second.remove(blob.digest, Date.now() + 60_000)
  expect(await reading).toEqual(blob.right)
  expect(await swept).toMatchObject({ unfinished: 0 })
  await removed
  expect(upstream.gets(blob.digest)).toHaveLength(1)
})

test('both sweep at once what a killed one left, and what is held stays', async () => {
  const shared = await startSharedContent()
  const { first, second, upstream } = shared
  const held = putBlob(shared, 'held', 2 * MB)
  await second.fetch(held.link)
  const unfinished = generatedBlob('unfinished', 20 * MB)
  upstream.put('lib/app', 'v1', [unfinished])
  upstream.bytesPerSecond = 10 * MB
  void first.read(shared.link(unfinished)).catch(() => undefined)
  await sent(shared, unfinished.digest, 3 * MB)
  await expect.poll(() => filesBelow(join(shared.directory, 'partial'))).not.toEqual([])
  first.signal('SIGKILL')
  await expect.poll(() => shared.leases.holder(`content/${unfinished.digest}`)).toBeUndefined()
  // The third clears away what it finds when it starts, at the same time.
  const third = await shared.start()
  await Promise.all([second.sweep(), third.sweep(), second.sweep(), third.sweep()])
  expect(await filesBelow(join(shared.directory, 'partial'))).toEqual([])
  await expectHeld(shared, held)
  expect(await second.verify(held.digest)).toBe('whole')
  expect(await third.read(held.link)).toEqual(held.right)
  expect(upstream.gets(held.digest)).toHaveLength(1)
})

test('one verifies what the other removes, and neither takes the other’s word for corruption', async () => {
  const shared = await startSharedContent()
  const { first, second } = shared
  const blobs = ['v1', 'v2', 'v3', 'v4'].map((seed) => putBlob(shared, seed, 5 * MB))
  for (const blob of blobs) {
    await first.fetch(blob.link)
    const [found, freed] = await Promise.all([
      second.verify(blob.digest),
      first.remove(blob.digest, Date.now() + 60_000),
    ])
    expect(['whole', 'absent']).toContain(found)
    expect([0, blob.size]).toContain(freed)
    expect(await second.read(blob.link)).toEqual(blob.right)
  }
  expect(await filesBelow(join(shared.directory, 'quarantine'))).toEqual([])
})

test('what one finds corrupt the other does not give out either', async () => {
  const shared = await startSharedContent()
  const { first, second, upstream } = shared
  const blob = putBlob(shared, 'corrupt', 5 * MB)
  await first.fetch(blob.link)
  const bytes = await readFile(fileOf(shared, blob.digest))
  bytes.writeUInt8(bytes.readUInt8(MB) ^ 1, MB)
  await writeFile(fileOf(shared, blob.digest), bytes)
  expect(await second.verify(blob.digest)).toBe('corrupt')
  expect(await first.read(blob.link)).toEqual(blob.right)
  expect(upstream.gets(blob.digest)).toHaveLength(2)
  await expectHeld(shared, blob)
})
