import { describe, expect, test } from 'vitest'
import { startFakeApi } from './fake-api.ts'
import { story } from './story-world.ts'
import { weir } from './tag-api.ts'

const named = { project: 'demo', stream: 'app' }
const following = (from: string, ...flags: string[]) => [
  'import-image',
  'demo/app',
  '--all',
  '--from',
  from,
  '--follow',
  ...flags,
]

describe('import-image --all --follow', () => {
  test('makes a stream that follows the repository, and asks nobody itself', async () => {
    const w = await story()
    const from = `${w.registry.host}/lib/app`
    const flags = ['--track', 'semver:>=1.20', '--interval', '1h', '--newest', '20']
    const { code, stdout, stderr } = await w.weir(following(from, ...flags))
    expect({ code, stdout }).toEqual({ code: 0, stdout: `demo/app  follows ${from}\n` })
    expect(stderr).toContain('weir describe demo/app')
    expect(stderr).toContain('weir.dev/follow=false')
    expect(await w.reader.stream(named)).toMatchObject({
      dockerImageRepository: from,
      annotations: {
        'weir.dev/follow': 'true',
        'weir.dev/track': 'semver:>=1.20',
        'weir.dev/import-interval': '1h',
        'weir.dev/max-tags': '20',
      },
    })
    expect(w.registry.requests).toEqual([])
  })

  test('lets a stream that is there follow beside what it has', async () => {
    const w = await story()
    const digest = w.publish('one')
    await w.weir(['import-image', 'demo/app:prod', '--from', w.from])
    const from = `${w.registry.host}/lib/app`
    await w.weir(following(from, '--newest', '5'))
    expect((await w.weir(following(from, '-o', 'name'))).stdout).toBe('demo/app\n')
    expect((await w.reader.stream(named))?.annotations).toEqual({ 'weir.dev/follow': 'true', 'weir.dev/max-tags': '5' })
    expect((await w.reader.tag(named, 'prod'))?.record.items[0]?.image).toBe(digest)
  })

  test.each([
    [['--track', 'newest'], 'it chooses one tag'],
    [['--track', 'semver:x.y'], 'no range of versions'],
    [['--interval', '5s'], 'from 1m to 30d'],
    [['--newest', '1001'], 'from 1 to 1000'],
  ])('%j is refused in the words of the server, and nothing is made', async (flags, message) => {
    const w = await story()
    const { code, stdout, stderr } = await w.weir(following(`${w.registry.host}/lib/app`, ...flags))
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(message)
    expect(await w.reader.stream(named)).toBeUndefined()
  })

  test.each([
    [['import-image', 'demo/app', '--follow'], '--all --from REPOSITORY'],
    [['import-image', 'demo/app', '--all', '--follow'], '--all --from REPOSITORY'],
    [['import-image', 'demo/app', '--from', 'quay.io/a/b', '--follow'], '--all --from REPOSITORY'],
    [following('quay.io/a/b:v1'), '--all takes a repository'],
    [following('quay.io/a/b', '--include', '1.*'), '--track semver:RANGE'],
    [following('quay.io/a/b', '--dry-run'), '--dry-run says nothing'],
    [following('quay.io/a/b', '--min-age', '3d'), '--min-age says nothing'],
    [following('quay.io/a/b', '--no-scheduled'), 'or --no-scheduled'],
  ])('%j is misuse', async (argv, message) => {
    const api = await startFakeApi()
    const { code, stderr } = await weir(api, ...argv)
    expect(code).toBe(2)
    expect(stderr).toContain(message)
    expect(api.asked()).toEqual([])
  })
})
