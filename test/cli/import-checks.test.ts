import { describe, expect, test } from 'vitest'
import { makeImage } from '../support/images.ts'
import { startFakeApi } from './fake-api.ts'
import { type Story, story } from './story-world.ts'
import { weir } from './tag-api.ts'

const digest = `sha256:${'a'.repeat(64)}`
const recordOf = async (w: Story, tag = 'prod') => (await w.reader.tag({ project: 'demo', stream: 'app' }, tag))?.record

/** Puts an image under each tag of `lib/app`, other than the first one of `v1`; answers their digests by tag. */
function publishAll(w: Story, ...tags: string[]): Record<string, string> {
  return Object.fromEntries(
    tags.map((tag) => {
      const image = makeImage(`app ${tag}`)
      w.registry.put('lib/app', image, { tag })
      return [tag, image.manifest.digest]
    }),
  )
}

describe('what the server refuses of checks moves nothing', () => {
  test.each([
    [['--interval', '10s'], 'from 1m to 30d'],
    [['--interval', '31d'], 'from 1m to 30d'],
    [['--min-age', '400d'], 'up to 365d'],
    [['--track', 'semver:>=oops'], 'no range of versions'],
    [['--track', 'regex:('], 'a ( is not closed'],
    [['--track', 'highest'], 'write semver:RANGE'],
  ])('%j, of a tag that is new', async (flags, message) => {
    const w = await story()
    w.publish('one')
    const { code, stdout, stderr } = await w.weir(['import-image', 'demo/app:prod', '--from', w.from, ...flags])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(message)
    expect(await recordOf(w)).toBeUndefined()
    expect(w.registry.requests).toEqual([])
  })

  test.each([
    [['--interval', '10s'], 'from 1m to 30d'],
    [['--track', 'highest'], 'write semver:RANGE'],
  ])('%j, of a tag that is there, whether it follows that already or not', async (flags, message) => {
    const w = await story()
    w.publish('one')
    await w.weir(['import-image', 'demo/app:prod', '--from', w.from])
    const { v2 } = publishAll(w, 'v2')
    w.publish('two')
    const before = await recordOf(w)
    for (const from of [[], ['--from', w.from.replace(':v1', ':v2')]]) {
      const { code, stdout, stderr } = await w.weir(['import-image', 'demo/app:prod', ...from, ...flags])
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toContain(message)
    }
    expect(v2).toBeDefined()
    expect(await recordOf(w)).toEqual(before)
  })

  test('of a whole repository', async () => {
    const w = await story()
    publishAll(w, '1', '2')
    const repository = w.from.replace(':v1', '')
    const flags = ['--all', '--from', repository, '--interval', '5s']
    const { code, stdout } = await w.weir(['import-image', 'demo/app', ...flags])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(await w.reader.stream({ project: 'demo', stream: 'app' })).toBeUndefined()
  })
})

describe('--track', () => {
  test('of a new tag imports what the policy chooses, and never what its source names', async () => {
    const w = await story()
    const digests = publishAll(w, '1.26.0', '1.27.0', '1.27.3', '2.0.0')
    const from = w.from.replace(':v1', ':1.26.0')
    const { code, stdout } = await w.weir(['import-image', 'demo/app:prod', '--from', from, '--track', 'semver:~1.27'])
    expect(code).toBe(0)
    expect(stdout).toContain(`demo/app:prod  none -> ${digests['1.27.3']}`)
    const record = await recordOf(w)
    expect(record?.items.map(({ image }) => image)).toEqual([digests['1.27.3']])
    expect(record?.spec).toMatchObject({
      annotations: { 'weir.dev/track': 'semver:~1.27' },
      importPolicy: { scheduled: true },
    })
  })

  test('of a tag that stands chooses at once, and lets it stay by hand with --no-scheduled', async () => {
    const w = await story()
    const digests = publishAll(w, '1.27.0', '1.27.3')
    const from = w.from.replace(':v1', ':1.27.0')
    await w.weir(['import-image', 'demo/app:prod', '--from', from])
    const flags = ['--track', 'newest', '--no-scheduled']
    const { code, stdout } = await w.weir(['import-image', 'demo/app:prod', ...flags])
    expect(code).toBe(0)
    expect(stdout).toContain(`${digests['1.27.0']} -> ${digests['1.27.3']}`)
    expect((await recordOf(w))?.spec?.importPolicy.scheduled).toBeUndefined()
  })

  test('of which nothing is chosen says how to see what there is', async () => {
    const w = await story()
    publishAll(w, '1.27.0')
    const from = w.from.replace(':v1', ':1.27.0')
    const { code, stderr } = await w.weir(['import-image', 'demo/app:prod', '--from', from, '--track', 'semver:9.x'])
    expect(code).toBe(1)
    const { stdout } = await w.weir(['describe', 'demo/app:prod'])
    for (const text of [stderr, stdout]) {
      expect(text).toContain(`--all --from ${from.replace(':1.27.0', '')} --dry-run`)
      expect(text).not.toContain('spelled so')
    }
  })

  test('of weir tag is written with the tag', async () => {
    const w = await story()
    const digests = publishAll(w, '1.27.0', '1.27.3')
    w.importPending()
    const { code, stdout } = await w.weir([
      'tag',
      w.from.replace(':v1', ':1.27.0'),
      'demo/app:prod',
      '--track',
      'semver:1.x',
    ])
    expect(code).toBe(0)
    expect(stdout).toContain(String(digests['1.27.3']))
    expect((await recordOf(w))?.spec?.importPolicy.scheduled).toBe(true)
  })

  test.each([
    [['import-image', 'demo/app', '--all', '--track', 'newest'], '--track chooses one tag'],
    [['import-image', 'demo/app:a', '--from', `quay.io/a/b@${digest}`, '--track', 'newest'], 'leave out its digest'],
    [['tag', 'demo/app:a', 'demo/app:b', '--track', 'newest'], '--track is about imports'],
  ])('%j is misuse', async (argv, message) => {
    const api = await startFakeApi()
    const { code, stderr } = await weir(api, ...argv)
    expect(code).toBe(2)
    expect(stderr).toContain(message)
    expect(api.asked()).toEqual([])
  })
})
