/** A disk without room: pulls go on, nothing is corrupted, and everybody who should know is told. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { generatedBlob } from '../support/generated-blob.ts'
import { type BlobWorld, filesBelow, type Imported, startBlobWorld } from './support/blob-world.ts'
import { type LoopDisk, mountLoopDisk, mountProblem } from './support/loop-disk.ts'
import type { Finished } from './support/process.ts'

const MB = 1_000_000
const probe = await mkdtemp(join(tmpdir(), 'weir-mount-'))
const problem = await mountProblem(probe)
await rm(probe, { recursive: true, force: true })
if (problem !== undefined) console.log(`no disk can be mounted here: ${problem}`)

/** A Weir with a small disk below its folder. Cleanups run in reverse: Weir, then the disk, then the folder. */
async function startOnDisk(at: string, bytes: number): Promise<{ world: BlobWorld; disk: LoopDisk }> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-full-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const disk = await mountLoopDisk(join(directory, at), bytes)
  onTestFinished(() => disk.unmount())
  return { world: await startBlobWorld({ directory }), disk }
}

/** As so many clients do, at once: the manifest by tag and its layers. */
async function expectPulls(world: BlobWorld, { pull, manifest, layers }: Imported, clients: number): Promise<void> {
  const answer = await pull.manifest('prod')
  expect(await answer.text()).toBe(manifest.bytes.toString())
  for (const { digest } of layers) {
    const results = await Promise.all(Array.from({ length: clients }, () => pull.curl(digest).result))
    for (const result of results) expect(result, result.stderr).toMatchObject({ code: 0, digest })
  }
  expect(world.weir.pid).toBeGreaterThan(0)
}

async function readiness(world: BlobWorld): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${world.weir.url}/readyz`)
  return { status: answer.status, text: await answer.text() }
}

describe.skipIf(problem !== undefined)('a full disk', () => {
  test('below content: pulls stream through whole, what was kept stays right, readiness and metrics tell', async () => {
    const { world, disk } = await startOnDisk('data/content', 40 * MB)
    const small = await world.image('small', [generatedBlob('small', 10 * MB)])
    await expectPulls(world, small, 1)
    expect((await readiness(world)).text).toBe('ok')

    const large = await world.image('large', [generatedBlob('large', 60 * MB)])
    await expectPulls(world, large, 4)
    expect(await world.metric('weir_content_problem')).toBe(1)
    expect(await world.metric('weir_content_streamed_through_total')).toBeGreaterThan(0)
    const told = await readiness(world)
    expect(told).toMatchObject({ status: 200 })
    expect(told.text).toContain('disk full')
    expect(await filesBelow(join(world.contentDirectory, 'partial'))).toEqual([])

    const asked = world.upstream.gets(small.layers[0]?.digest).length
    await expectPulls(world, small, 2)
    expect(world.upstream.gets(small.layers[0]?.digest), 'still held').toHaveLength(asked)

    const next = await world.image('next', [generatedBlob('next', 5 * MB)])
    await disk.fill()
    await expectPulls(world, next, 2)
    world.upstream.put('lib/late', 'v1', [generatedBlob('late', MB)])
    const from = `${world.upstream.host}/lib/late:v1`
    const refused = await world.weir.tryWeir('import-image', 'demo/late:prod', '--from', from)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('disk full')

    await disk.free()
    await world.weir.weir('import-image', 'demo/late:prod', '--from', from)
    await expectPulls(world, next, 1)
    const before = world.upstream.gets(next.layers[0]?.digest).length
    await expectPulls(world, next, 1)
    expect(world.upstream.gets(next.layers[0]?.digest), 'kept again without a restart').toHaveLength(before)
    expect((await readiness(world)).text).toBe('ok')
    expect(await world.metric('weir_content_problem')).toBe(0)
  })

  test('below everything: pulls go on, imports say why they fail, and all is well when there is room', async () => {
    const { world, disk } = await startOnDisk('data', 60 * MB)
    const held = await world.image('held', [generatedBlob('held', 5 * MB)])
    await expectPulls(world, held, 1)
    const cold = await world.image('cold', [generatedBlob('cold', 5 * MB)])
    await disk.fill()
    await expectPulls(world, held, 2)
    await expectPulls(world, cold, 2)

    world.upstream.put('lib/late', 'v1', [generatedBlob('late', MB)])
    const from = `${world.upstream.host}/lib/late:v1`
    const importLate = (tag: string) => world.weir.tryWeir('import-image', `demo/late:${tag}`, '--from', from)
    // The store's log has a little room left in its last block.
    const outcomes = new Map<string, Finished>()
    for (let i = 1; i <= 12; i += 1) outcomes.set(`v${i}`, await importLate(`v${i}`))
    const refused = [...outcomes].filter(([, { code }]) => code !== 0)
    expect(refused).not.toEqual([])
    for (const [, { stderr }] of refused) expect(stderr).toMatch(/disk|store|space|room/i)
    expect((await fetch(`${world.weir.url}/livez`)).status).toBe(200)
    await expectPulls(world, held, 1)

    await disk.free()
    await expect.poll(async () => (await importLate('prod')).code, { timeout: 15_000, interval: 500 }).toBe(0)
    await expectPulls(world, cold, 1)
    const before = world.upstream.gets(cold.layers[0]?.digest).length
    await expectPulls(world, cold, 1)
    expect(world.upstream.gets(cold.layers[0]?.digest)).toHaveLength(before)
    await world.restart()
    await expectPulls(world, held, 1)
  })

  test('below content while it is filled in the middle of a download: every client gets its bytes', async () => {
    const { world, disk } = await startOnDisk('data/content', 60 * MB)
    const layer = generatedBlob('filled up', 30 * MB)
    const image = await world.image('app', [layer])
    world.upstream.bytesPerSecond = 15 * MB
    const clients = [1, 2, 3, 4].map(() => image.pull.curl(layer.digest))
    await expect.poll(() => world.upstream.sentBytes(layer.digest), { interval: 5 }).toBeGreaterThan(5 * MB)
    await disk.fill()
    world.upstream.bytesPerSecond = undefined
    for (const { result } of clients) expect(await result).toMatchObject({ code: 0, digest: layer.digest })
    await expect.poll(() => filesBelow(join(world.contentDirectory, 'partial'))).toEqual([])
    await disk.free()
    await expectPulls(world, image, 1)
    const before = world.upstream.gets(layer.digest).length
    await expectPulls(world, image, 1)
    expect(world.upstream.gets(layer.digest)).toHaveLength(before)
  })
})
