import { describe, expect, test } from 'vitest'
import { type FakeApi, failure, type Reply, startFakeApi } from './fake-api.ts'
import { pausingClock, run, runsAt } from './run.ts'
import { a, b, events, imageTag, istag, itag, ledger, weir, written } from './tag-api.ts'

const from = 'quay.io/org/app:v1'
const spec = (more: object = {}) => ({ from: { kind: 'DockerImage', name: from }, generation: 5, ...more })
const pending = imageTag('app:prod', spec())
const failed = (generation: number) =>
  imageTag('app:prod', spec(), [], {
    conditions: [{ type: 'ImportSuccess', status: 'False', reason: 'NotFound', message: 'gone', generation }],
  })
const standing = (image: string, generation: number, more: object = {}) =>
  imageTag('app:prod', spec(more), [], { items: [{ image, generation }] })

/** An API where `demo/app:prod` is written at generation 5 and looked at again and again: each answer once, the last for ever. */
async function importing(before: Reply, ...looks: Reply[]): Promise<FakeApi> {
  const api = await startFakeApi()
  let looked = -1
  api.answer('GET', itag('app:prod'), () => {
    looked += 1
    return looked === 0 ? before : (looks[Math.min(looked, looks.length) - 1] ?? before)
  })
  api.answer('PUT', istag('app:prod'), written(''))
  api.answer('GET', events, ledger({ revision: 4, image: a, previousImage: b }))
  return api
}

const missing = failure(404, 'NotFound', 'not found')

describe('an image of a registry', () => {
  test('is waited for, and where it led is told', async () => {
    const api = await importing(standing(b, 2), standing(b, 2), standing(b, 2), standing(a, 5))
    api.answer('GET', istag('app:prod'), { body: { kind: 'ImageStreamTag', image: { metadata: { name: a } } } })
    expect(await weir(api, 'tag', from, 'demo/app:prod', '--scheduled', '--insecure')).toEqual({
      code: 0,
      stdout: `demo/app:prod  ${b} -> ${a}  revision 4\n`,
      stderr: '',
    })
    const importPolicy = { insecure: true, scheduled: true, importMode: 'PreserveOriginal' }
    expect(api.sent('PUT', istag('app:prod'))).toMatchObject([
      { tag: { from: { kind: 'DockerImage', name: from }, generation: 0, importPolicy } },
    ])
    expect(api.asked().filter((each) => each === `GET ${itag('app:prod')}`)).toHaveLength(4)
  })

  test('that the tag stands at already is unchanged; how it was asked for stays', async () => {
    const importPolicy = { scheduled: true, importMode: 'Legacy' }
    const api = await importing(standing(a, 2, { importPolicy }), standing(a, 5))
    const { stdout } = await weir(api, 'tag', from, 'demo/app:prod')
    expect(stdout).toBe(`demo/app:prod  ${a}  unchanged\n`)
    expect(api.sent('PUT', istag('app:prod'))).toMatchObject([
      { tag: { importPolicy: { insecure: false, scheduled: true, importMode: 'Legacy' } } },
    ])
  })

  test('that fails says why, where the tag stays, and that it stays set up', async () => {
    const api = await importing(standing(b, 2), standing(b, 2), failed(5))
    expect(await weir(api, 'tag', from, 'demo/app:prod')).toEqual({
      code: 1,
      stdout: '',
      stderr: [
        `error: demo/app:prod was not imported from ${from}: NotFound: gone`,
        `  demo/app:prod stays at ${b}`,
        `  check that ${from} is there, and spelled so`,
        `  it stays set to import ${from}: weir import-image demo/app:prod tries again`,
        '',
      ].join('\n'),
    })
  })

  test('that fails for a new tag says how to take it away', async () => {
    const api = await importing(missing, failed(5))
    expect((await weir(api, 'tag', from, 'demo/app:prod')).stderr).toContain(
      'weir tag -d demo/app:prod takes it away\n',
    )
  })

  test('is not taken for failed by what failed before', async () => {
    const api = await importing(failed(4), failed(4), standing(a, 5))
    expect(await weir(api, 'tag', from, 'demo/app:prod')).toMatchObject({ code: 0 })
  })

  test('with --reference is not waited for', async () => {
    const api = await importing(missing)
    const result = await weir(api, 'tag', from, 'demo/app:prod', '--reference')
    expect(result).toEqual({ code: 0, stdout: `demo/app:prod  set up as a reference to ${from}\n`, stderr: '' })
    expect(api.asked()).toEqual([`GET ${itag('app:prod')}`, `PUT ${istag('app:prod')}`])
  })

  test('is written into all destinations before the first is waited for', async () => {
    const api = await importing(missing, failed(5))
    api.answer('PUT', istag('app:x'), written(''))
    let looks = 0
    api.answer('GET', itag('app:x'), () => {
      looks += 1
      return looks === 1 ? missing : imageTag('app:x', spec(), [], { items: [{ image: a, generation: 5 }] })
    })
    const result = await weir(api, 'tag', from, 'demo/app:prod', 'demo/app:x', '-o', 'json')
    expect(result.code).toBe(1)
    expect(JSON.parse(result.stdout)).toMatchObject({ kind: 'List', items: [{ metadata: { name: 'app:x' } }] })
    expect(result.stderr).toContain('error: 1 of 2 tags were not set\n')
    const writes = api.asked().flatMap((each, i) => (each.startsWith('PUT') ? [i] : []))
    expect(api.asked().slice(writes.at(-1))).toContain(`GET ${itag('app:prod')}`)
  })
})

describe('while an import is waited for', () => {
  test('a tag that vanishes is told', async () => {
    const api = await importing(missing, pending, missing)
    expect(await weir(api, 'tag', from, 'demo/app:prod')).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: demo/app:prod was deleted while ${from} was imported\n`,
    })
  })

  test('a tag that somebody else sets is told', async () => {
    const other = imageTag('app:prod', { from: { kind: 'DockerImage', name: 'quay.io/other' }, generation: 6 })
    const api = await importing(missing, pending, other)
    const { code, stderr } = await weir(api, 'tag', from, 'demo/app:prod')
    expect(code).toBe(1)
    expect(stderr).toContain('error: somebody else let demo/app:prod come from quay.io/other while')
    const bare = await importing(missing, imageTag('app:prod', null))
    expect((await weir(bare, 'tag', from, 'demo/app:prod')).stderr).toContain('come from nothing')
  })

  test('a tag that is rolled back is told', async () => {
    const held = standing(b, 2, { annotations: { 'weir.dev/hold': '{}' } })
    const api = await importing(standing(b, 2), held)
    expect((await weir(api, 'tag', from, 'demo/app:prod')).stderr).toContain('was rolled back, and is held, while')
  })

  test.each([
    [[], 600_000],
    [['--request-timeout', '90s'], 90_000],
  ])('no more time is taken than %j says', async (flags, patienceMs) => {
    const api = await importing(standing(b, 2), pending)
    const clock = pausingClock()
    const argv = ['tag', from, 'demo/app:prod', ...flags, '--server', api.url, '--token', 't']
    const { code, stderr } = await run(argv, { clock })
    expect(code).toBe(1)
    expect(stderr).toBe(
      [
        `error: demo/app:prod was not imported from ${from} within ${patienceMs / 1000} s`,
        `  demo/app:prod stays at ${b}`,
        '  the import goes on in the server: weir describe demo/app:prod shows what comes of it',
        '',
      ].join('\n'),
    )
    expect(clock.now() - runsAt).toBe(patienceMs)
    expect(api.requests.length).toBeLessThan(400)
  })

  test('a server that fails is told, and that the import goes on', async () => {
    const api = await importing(missing, pending, failure(500, 'InternalError', 'broken'))
    const { code, stderr } = await weir(api, 'tag', from, 'demo/app:prod')
    expect(code).toBe(1)
    expect(stderr).toContain(`note: demo/app:prod is set to import ${from}, which goes on in the server`)
    expect(stderr).toContain('error: broken\n')
  })
})
