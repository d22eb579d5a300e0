import { randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { runCli } from '../src/cli/cli.ts'
import { type Digest, digestHex } from '../src/oci/digest.ts'
import { makeImage, piecesOf, type TestImage } from './support/images.ts'
import { startWorld, type World } from './support/world.ts'

/** A whole Weir where `demo/app:prod` stands at `image`, which anybody may pull. */
async function holding(image: TestImage, content: Record<string, unknown>): Promise<World> {
  const world = await startWorld({ config: { content } })
  world.upstream.put('lib/app', image, { tag: 'v1' })
  for (const argv of [
    ['new-project', 'demo'],
    ['import-image', 'demo/app:prod', '--from', `${world.upstream.host}/lib/app:v1`],
    ['grant', 'pull', 'anonymous', '-n', 'demo'],
  ]) {
    expect(await world.cli(...argv), argv.join(' ')).toMatchObject({ exitCode: 0 })
  }
  return world
}

/** Runs a command line whose pauses take no time. */
async function weir(world: World, ...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr]: [string[], string[]] = [[], []]
  const code = await runCli(argv, {
    stdout: { write: (text) => stdout.push(text) },
    stderr: { write: (text) => stderr.push(text) },
    env: { KUBECONFIG: world.weir.adminKubeconfig },
    cwd: world.dataDirectory,
    home: world.dataDirectory,
    clock: { now: Date.now, pause: () => setImmediate() },
  })
  return { code, stdout: stdout.join(''), stderr: stderr.join('') }
}

async function pullAll(world: World, image: TestImage): Promise<number[]> {
  const token = await world.pullToken('repository:demo/app:pull')
  const blobs = piecesOf(image).filter(({ digest }) => digest !== image.manifest.digest)
  const answers = await Promise.all(blobs.map(({ digest }) => world.request(`/v2/demo/app/blobs/${digest}`, { token })))
  for (const [i, answer] of answers.entries()) {
    if (answer.status === 200) expect(answer.body.equals(blobs[i]?.bytes ?? Buffer.of())).toBe(true)
  }
  return [(await world.pull('demo/app:prod')).status, ...answers.map(({ status }) => status)]
}

async function metric(world: World, line: RegExp): Promise<string | undefined> {
  return line.exec((await world.request('/metrics')).body.toString())?.[0]
}

function heldFile(world: World, digest: Digest): string {
  return join(world.dataDirectory, 'content', 'blobs', 'sha256', digestHex(digest))
}

describe('what a tag needs', () => {
  test('is held after a prefetch, and pulled when the upstream is gone', async () => {
    const image = makeImage('one')
    const world = await holding(image, { retain: 'pinned' })
    const fetched = await weir(world, 'prefetch', 'demo/app:prod')
    expect(fetched).toMatchObject({ code: 0 })
    expect(fetched.stdout).toMatch(
      new RegExp(`^demo/app:prod {2}held {2}${image.manifest.digest} {2}${piecesOf(image).length} parts, \\d+ B\n$`),
    )
    expect((await weir(world, 'describe', 'demo/app:prod')).stdout).toContain('all that it needs is held')
    expect((await weir(world, 'describe', 'demo/app')).stdout).toContain('  all that it needs is held\n')
    await world.upstream.close()
    expect(await pullAll(world, image)).toEqual([200, 200, 200])
    expect(await weir(world, 'prefetch', 'demo/app')).toMatchObject({ code: 0, stdout: fetched.stdout })
  })

  test('that the upstream does not give is told, and the tag stays', async () => {
    const image = makeImage('one')
    const world = await holding(image, { retain: 'pulled' })
    await world.upstream.close()
    const { code, stdout, stderr } = await weir(world, 'prefetch', 'demo/app:prod')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('error: demo/app:prod can not be held: ')
    expect((await world.pull('demo/app:prod')).status).toBe(200)
  })

  test('of a tag that is not there says what there is', async () => {
    const world = await holding(makeImage('one'), { retain: 'pulled' })
    expect((await weir(world, 'prefetch', 'demo/app:prd')).stderr).toContain('did you mean demo/app:prod?')
    expect(await weir(world, 'prefetch', 'demo/apps')).toMatchObject({ code: 1 })
  })
})

test('a pinned blob that a pull finds wrong is fetched again, though nobody pulls it any more', async () => {
  const image = makeImage('big', { layers: [randomBytes(2 ** 21)] })
  const world = await holding(image, { retain: 'pinned' })
  expect(await weir(world, 'prefetch', 'demo/app:prod')).toMatchObject({ code: 0 })
  const { digest, bytes } = image.layers[0] ?? expect.unreachable()
  const wrong = Buffer.from(bytes)
  wrong[0] = (wrong[0] ?? 0) ^ 1
  // Another file: what notes its last use at the same time may give this one the times of before.
  const other = join(world.dataDirectory, 'wrong')
  await writeFile(other, wrong)
  await rename(other, heldFile(world, digest))
  const token = await world.pullToken('repository:demo/app:pull')
  // It is too large to be seen wrong before its first bytes are given out.
  await expect(world.request(`/v2/demo/app/blobs/${digest}`, { token })).rejects.toThrow()
  await expect.poll(() => readFile(heldFile(world, digest)).catch(() => undefined), { timeout: 10_000 }).toEqual(bytes)
})

describe('prune', () => {
  test('tells what is kept and why, and removes nothing of a pin', async () => {
    const image = makeImage('one')
    const world = await holding(image, { retain: 'pinned' })
    await weir(world, 'prefetch', 'demo/app:prod')
    const dry = await weir(world, 'prune', '--dry-run')
    expect(dry).toMatchObject({ code: 0, stderr: '' })
    expect(dry.stdout).toMatch(/^dry run: nothing was removed\nCONTENT +REASON +COUNT +SIZE\n/)
    expect(dry.stdout).toMatch(/^kept +pinned +3 /m)
    expect(await weir(world, 'prune', '--keep-younger-than', '1h')).toMatchObject({ code: 0 })
    expect(await pullAll(world, image)).toEqual([200, 200, 200])
  })

  test('and verify are refused to who is no administrator, with the right that is missing', async () => {
    const world = await holding(makeImage('one'), { retain: 'pulled' })
    const token = (await world.cli('token', 'ci', '-n', 'demo')).stdout.trim()
    for (const [verb = '', resource] of [
      ['prune', 'contentprunes'],
      ['verify', 'contentverifications'],
    ]) {
      const ca = join(world.dataDirectory, 'tls', 'ca.crt')
      const server = ['--server', world.weir.https.publicUrl, '--certificate-authority', ca]
      const { code, stderr } = await weir(world, verb, ...server, '--token', token)
      expect(code).toBe(1)
      expect(stderr).toContain(`missing right: create ${resource}; the administrator has it`)
    }
  })
})

describe('verify', () => {
  test('finds a flipped bit, puts the file aside, and the next pull fetches it again', async () => {
    const image = makeImage('one')
    const world = await holding(image, { retain: 'pulled' })
    await weir(world, 'prefetch', 'demo/app:prod')
    expect(await weir(world, 'verify')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^3 files read, \d+ B: none corrupt\n$/),
    })
    const { digest, bytes } = image.layers[0] ?? expect.unreachable()
    const wrong = Buffer.from(bytes)
    wrong[0] = (wrong[0] ?? 0) ^ 1
    await writeFile(heldFile(world, digest), wrong)
    const found = await weir(world, 'verify')
    expect(found).toMatchObject({ code: 1, stdout: expect.stringContaining(`${digest}  corrupt\n`) })
    expect(found.stderr).toContain('error: 1 file was corrupt: put aside')
    expect(await metric(world, /^weir_content_quarantined_total .*$/m)).toBe('weir_content_quarantined_total 1')
    expect(await pullAll(world, image)).toEqual([200, 200, 200])
    // It is durable a moment after its last byte was given out.
    await expect.poll(() => readFile(heldFile(world, digest)).catch(() => undefined)).toEqual(bytes)
  })
})

describe('readiness and metrics', () => {
  test('tell how much is held of how much, and of tags that wait for content', async () => {
    const image = makeImage('one')
    const world = await holding(image, { retain: 'pulled', maxBytes: '10MiB' })
    expect(await metric(world, /^weir_content_max_bytes .*$/m)).toBe(`weir_content_max_bytes ${10 * 2 ** 20}`)
    await weir(world, 'prefetch', 'demo/app:prod')
    const size = piecesOf(image).reduce((sum, { bytes }) => sum + bytes.length, 0)
    expect(await metric(world, /^weir_content_held_bytes .*$/m)).toBe(`weir_content_held_bytes ${size}`)
    expect((await world.request('/readyz')).body.toString()).toBe('ok')
    expect(await metric(world, /^weir_retention_tags\{state="failed"\} .*$/m)).toBe(
      'weir_retention_tags{state="failed"} 0',
    )
  })

  test('say that nothing can be kept while pulls go on', async () => {
    const image = makeImage('big', { layers: [randomBytes(2 ** 21), randomBytes(2 ** 21)] })
    const world = await holding(image, { retain: 'pulled', maxBytes: '3MiB' })
    expect(await pullAll(world, image)).toEqual([200, 200, 200, 200])
    const ready = await world.request('/readyz')
    expect(ready.status).toBe(200)
    expect(ready.body.toString()).toContain(
      '[!]content degraded: maxBytes reached: images are passed through and not kept\n',
    )
    expect((await world.request('/livez')).body.toString()).toBe('ok')
    expect(await metric(world, /^weir_content_problem.* 1$/m)).toBe(
      'weir_content_problem{problem="maxBytes reached"} 1',
    )
    expect(await metric(world, /^weir_content_streamed_through_total .*$/m)).toBe(
      'weir_content_streamed_through_total 1',
    )
  })

  test('stay as they are when one blob alone is more than can be kept', async () => {
    const image = makeImage('big', { layers: [randomBytes(2 ** 21)] })
    const world = await holding(image, { retain: 'pulled', maxBytes: '1MiB' })
    expect(await pullAll(world, image)).toEqual([200, 200, 200])
    expect((await world.request('/readyz')).body.toString()).toBe('ok')
    expect(await metric(world, /^weir_content_problem.* 1$/m)).toBeUndefined()
    expect(await metric(world, /^weir_content_streamed_through_total .*$/m)).toBe(
      'weir_content_streamed_through_total 1',
    )
  })
})
