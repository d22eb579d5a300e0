/** Many clients of one cold blob, while the upstream breaks off and clients are killed and stopped. */

import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { generatedBlob } from '../support/generated-blob.ts'
import type { BlobClient } from './support/blob-clients.ts'
import { filesBelow, startBlobWorld } from './support/blob-world.ts'

const MB = 1_000_000
const clientCount = 32

/** Ends with the test, whatever became of them. */
function start(count: number, open: () => BlobClient): BlobClient[] {
  const clients = Array.from({ length: count }, open)
  onTestFinished(() => {
    for (const client of clients) client.signal('SIGKILL')
  })
  return clients
}

async function expectAllRight(clients: readonly BlobClient[], digest: string): Promise<void> {
  const results = await Promise.all(clients.map(({ result }) => result))
  for (const result of results) expect(result, result.stderr).toMatchObject({ code: 0, digest })
}

/** Waits until the upstream has sent so many bytes of all that it was asked for. */
async function sent(world: { upstream: { sentBytes(): number } }, bytes: number): Promise<void> {
  await expect.poll(() => world.upstream.sentBytes(), { interval: 5, timeout: 30_000 }).toBeGreaterThanOrEqual(bytes)
}

test('I10: 32 clients on one cold blob of 500 MB cost one upstream GET, and all get its bytes', async () => {
  const world = await startBlobWorld()
  const layer = generatedBlob('shared', 500 * MB)
  const { pull } = await world.image('app', [layer])
  const clients = start(clientCount, () => pull.blob(layer.digest))
  const results = await Promise.all(clients.map(({ result }) => result))
  for (const result of results) expect(result, result.stderr).toMatchObject({ code: 0, digest: layer.digest })
  expect(world.upstream.gets(layer.digest)).toHaveLength(1)
  expect(world.upstream.sentBytes(layer.digest)).toBe(layer.size)
  const slowest = Math.max(...results.map(({ totalMs }) => totalMs))
  console.log(`${clientCount} clients, ${layer.size} bytes each: the last done after ${Math.round(slowest)} ms`)

  expect(await pull.blob(layer.digest).result, 'held now').toMatchObject({ code: 0, digest: layer.digest })
  expect(world.upstream.gets(layer.digest)).toHaveLength(1)
}, 120_000)

test('I10: an upstream that breaks off twice is asked for the rest alone, and no client notices', async () => {
  const world = await startBlobWorld()
  const layer = generatedBlob('cut twice', 500 * MB)
  const { pull } = await world.image('app', [layer])
  world.upstream.fault = (_, before) => (before < 2 ? { cutAt: (before + 1) * 160 * MB } : undefined)
  const clients = start(clientCount, () => pull.blob(layer.digest))
  await expectAllRight(clients, layer.digest)
  const gets = world.upstream.gets(layer.digest)
  expect(gets.map(({ range }) => range === undefined)).toEqual([true, false, false])
  expect(gets.map(({ status }) => status)).toEqual([200, 206, 206])
  expect(gets.slice(1).map(({ ifRange }) => ifRange)).toEqual([`"${layer.digest}"`, `"${layer.digest}"`])
  // What was in flight when a socket was destroyed is sent again.
  expect(world.upstream.sentBytes(layer.digest)).toBeLessThan(layer.size * 1.2)
  expect(await world.metric('weir_content_resumes_total')).toBe(2)
}, 180_000)

test('clients that are killed and stopped in the middle keep nothing from the others', async () => {
  const world = await startBlobWorld()
  const layer = generatedBlob('killed and stopped', 500 * MB)
  const { pull } = await world.image('app', [layer])
  world.upstream.bytesPerSecond = 60 * MB
  world.upstream.fault = (_, before) => (before < 2 ? { cutAt: (before + 1) * 160 * MB } : undefined)
  const [killed, stopped, others] = [8, 4, 20].map((count) => start(count, () => pull.blob(layer.digest)))
  if (killed === undefined || stopped === undefined || others === undefined) throw new TypeError('three groups')
  await sent(world, 5 * MB)
  for (const client of killed) client.signal('SIGKILL')
  for (const client of stopped) client.signal('SIGSTOP')
  await expectAllRight(others, layer.digest)
  expect(stopped.map(({ isDone }) => isDone)).toEqual(stopped.map(() => false))
  expect((await Promise.all(killed.map(({ result }) => result))).map(({ code }) => code)).toEqual(killed.map(() => -1))
  for (const client of stopped) client.signal('SIGCONT')
  await expectAllRight(stopped, layer.digest)
  expect(world.upstream.gets(layer.digest)).toHaveLength(3)
  expect(await filesBelow(join(world.contentDirectory, 'partial'))).toEqual([])
}, 180_000)

test('the first client being killed ends nothing for those who came later', async () => {
  const world = await startBlobWorld()
  const layer = generatedBlob('first leaves', 20 * MB)
  const { pull } = await world.image('app', [layer])
  world.upstream.bytesPerSecond = 20 * MB
  const [first] = start(1, () => pull.blob(layer.digest))
  await sent(world, 2 * MB)
  const later = start(3, () => pull.blob(layer.digest))
  await sent(world, 6 * MB)
  first?.signal('SIGKILL')
  await expectAllRight(later, layer.digest)
  expect(world.upstream.gets(layer.digest)).toHaveLength(1)
})

test('a download that its last client left is finished and kept, and the next pull asks nobody', async () => {
  const world = await startBlobWorld()
  const layer = generatedBlob('all leave', 20 * MB)
  const { pull } = await world.image('app', [layer])
  world.upstream.bytesPerSecond = 20 * MB
  const clients = start(4, () => pull.blob(layer.digest))
  await sent(world, 4 * MB)
  for (const client of clients) client.signal('SIGKILL')
  await sent(world, layer.size)
  await expect.poll(() => filesBelow(join(world.contentDirectory, 'partial'))).toEqual([])
  expect(await pull.blob(layer.digest).result).toMatchObject({ code: 0, digest: layer.digest })
  expect(world.upstream.gets(layer.digest)).toHaveLength(1)
})

test('beyond finishBytes a download that its last client left ends, and leaves nothing', async () => {
  const world = await startBlobWorld({ content: { finishBytes: '1MiB' } })
  const layer = generatedBlob('all leave early', 20 * MB)
  const { pull } = await world.image('app', [layer])
  world.upstream.bytesPerSecond = 10 * MB
  const clients = start(4, () => pull.blob(layer.digest))
  await sent(world, 4 * MB)
  for (const client of clients) client.signal('SIGKILL')
  await expect
    .poll(() => world.upstream.gets(layer.digest).some(({ isOpen }) => isOpen), { timeout: 10_000 })
    .toBe(false)
  expect(world.upstream.sentBytes(layer.digest)).toBeLessThan(layer.size)
  await expect.poll(() => filesBelow(join(world.contentDirectory, 'partial'))).toEqual([])
  world.upstream.bytesPerSecond = undefined
  expect(await pull.blob(layer.digest).result).toMatchObject({ code: 0, digest: layer.digest })
})

test('ranges of a blob that is on its way come out of the same download', async () => {
  const world = await startBlobWorld()
  const layer = generatedBlob('ranges', 30 * MB)
  const { pull } = await world.image('app', [layer])
  world.upstream.bytesPerSecond = 15 * MB
  const [whole] = start(1, () => pull.blob(layer.digest))
  await sent(world, 2 * MB)
  const ranges = [
    [0, 999_999],
    [1_500_000, 2_499_999],
    [5 * MB, 6 * MB - 1],
  ] as const
  for (const [first, last] of ranges) {
    const got = await pull.curl(layer.digest, '--range', `${first}-${last}`).result
    const wanted = digestOf(Buffer.concat([...layer.pieces(first, last + 1)]))
    expect(got, got.stderr).toMatchObject({ code: 0, digest: wanted })
  }
  await expectAllRight(whole === undefined ? [] : [whole], layer.digest)
  expect(world.upstream.gets(layer.digest)).toHaveLength(1)
})
