import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import {
  a,
  b,
  failed,
  fetching,
  held,
  namespace,
  prefetches,
  review,
  statuses,
  stream,
  streams,
  streamWith,
  weir,
} from './content-api.ts'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { pausingClock, run, runsAt } from './run.ts'

const whole = '7 parts, 500 MiB'
const some = '3 of 7 parts, 120 MiB of 500 MiB'

async function answering(byTag: Record<string, object[]>): Promise<FakeApi> {
  const api = await startFakeApi()
  api.answer('POST', prefetches, statuses(byTag))
  api.answer('GET', stream, streamWith({ prod: a, test: a, wish: '' }))
  return api
}

describe('prefetch of a tag', () => {
  test('asks for it, and asks again until it is held', async () => {
    const api = await answering({ prod: [fetching(), fetching(5), held] })
    expect(await weir(api, ['prefetch', 'demo/app:prod'])).toEqual({
      code: 0,
      stdout: `demo/app:prod  held  ${a}  ${whole}\n`,
      stderr: `demo/app:prod: ${some}\n`,
    })
    const asked = { kind: 'Prefetch', apiVersion: 'weir.dev/v1', spec: { stream: 'app', tag: 'prod' } }
    expect(api.sent('POST', prefetches)).toEqual([asked, asked, asked])
  })

  test('that is held already says so at once', async () => {
    const api = await answering({ prod: [held] })
    const clock = pausingClock()
    expect(await weir(api, ['prefetch', 'demo/app:prod'], { clock })).toMatchObject({ code: 0, stderr: '' })
    expect(clock.now()).toBe(runsAt)
  })

  test('is for who is logged in, and says so', async () => {
    const api = await answering({ prod: [] })
    api.answer('POST', prefetches, failure(403, 'Forbidden', 'prefetches is forbidden'))
    const { code, stderr } = await run(['prefetch', 'demo/app:prod', '--server', api.url])
    expect(code).toBe(1)
    expect(stderr).toContain(`weir login ${api.url}`)
    expect(stderr).not.toContain('weir grant')
  })

  test('that is held but for what its registry does not have says so', async () => {
    const message = `all is held but what its registry does not have: ${b}`
    const api = await answering({ prod: [{ ...held, message }] })
    const { code, stdout } = await weir(api, ['prefetch', 'demo/app:prod'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: `demo/app:prod  held  ${a}  ${whole}  ${message}\n` })
  })

  test('waits a second, then longer, at most five', async () => {
    const api = await answering({ prod: [...Array(8).fill(fetching()), held] })
    const pauses: number[] = []
    const clock = { now: () => runsAt, pause: async (ms: number) => void pauses.push(ms) }
    await weir(api, ['prefetch', 'demo/app:prod'], { clock })
    expect(pauses).toEqual([1000, 1500, 2250, 3375, 5000, 5000, 5000, 5000])
  })

  test('tells how far it is every ten seconds', async () => {
    const api = await answering({ prod: [...Array(10).fill(fetching()), held] })
    const { stderr } = await weir(api, ['prefetch', 'demo/app:prod'])
    expect(stderr).toBe(`demo/app:prod: ${some}\n`.repeat(4))
  })

  test('on a terminal writes over one line, and takes it away in the end', async () => {
    const api = await answering({ prod: [fetching(), fetching(5), held] })
    const { stderr, stdout } = await weir(api, ['prefetch', 'demo/app:prod'], { columns: 60 })
    expect(stderr).toBe(
      `\rdemo/app:prod: ${some}\u001b[K\rdemo/app:prod: 5 of 7 parts, 120 MiB of 500 MiB\u001b[K\r\u001b[K`,
    )
    expect(stdout).toBe(`demo/app:prod  held  ${a}  ${whole}\n`)
  })

  test('--no-wait asks once', async () => {
    const api = await answering({ prod: [fetching(), held] })
    expect(await weir(api, ['prefetch', 'demo/app:prod', '--no-wait'])).toEqual({
      code: 0,
      stdout: `demo/app:prod  fetching  ${a}  ${some}\n`,
      stderr: '',
    })
    expect(api.requests).toHaveLength(1)
  })

  test('that fails says why, and that the server tries again', async () => {
    const api = await answering({ prod: [fetching(), failed] })
    expect(await weir(api, ['prefetch', 'demo/app:prod'])).toEqual({
      code: 1,
      stdout: '',
      stderr: [
        `demo/app:prod: ${some}`,
        'error: demo/app:prod can not be held: quay.io answers 503',
        `  so far: ${some}`,
        '  the server tries again by itself; how far it is: weir describe demo/app:prod',
        '',
      ].join('\n'),
    })
  })

  test('--timeout ends the waiting, not the fetching', async () => {
    const api = await answering({ prod: [fetching()] })
    const clock = pausingClock()
    const { code, stdout, stderr } = await weir(api, ['prefetch', 'demo/app:prod', '--timeout', '90s'], { clock })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(`error: demo/app:prod is not held after 90s: ${some}\n`)
    expect(stderr).toContain('to wait on: weir prefetch demo/app:prod --timeout 90s\n')
    expect(clock.now()).toBe(runsAt + 90_000)
  })

  test('that finds no room says how to make some', async () => {
    const message = `there is no room for ${b}: maxBytes reached`
    const api = await answering({ prod: [{ ...failed, message }] })
    const { code, stderr } = await weir(api, ['prefetch', 'demo/app:prod'])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: [
        `error: demo/app:prod can not be held: ${message}`,
        `  so far: ${some}`,
        '  raise content.maxBytes, or retain: pulled (weir.dev/retain) for what need not be kept',
        '  the server tries again by itself; how far it is: weir describe demo/app:prod',
        '',
      ].join('\n'),
    })
  })

  test('says in its help how long it waits as one writes it', async () => {
    const { stdout } = await run(['prefetch', '--help'])
    expect(stdout).toContain('how long to wait (default: 30m)')
  })

  test('waits for half an hour unless told otherwise', async () => {
    const api = await answering({ prod: [fetching()] })
    const { stderr } = await weir(api, ['prefetch', 'demo/app:prod'])
    expect(stderr).toContain('is not held after 30m')
  })

  test.each(['0s', 'soon', '', '-1s'])('--timeout "%s" is misuse', async (timeout) => {
    const api = await answering({})
    expect(await weir(api, ['prefetch', 'demo/app:prod', `--timeout=${timeout}`])).toMatchObject({ code: 2 })
    expect(api.requests).toEqual([])
  })

  test('is printed as the API has it, or by its name', async () => {
    const object = { kind: 'Prefetch', apiVersion: 'weir.dev/v1', spec: { stream: 'app', tag: 'prod' }, status: held }
    const print = async (format: string) => {
      const api = await answering({ prod: [fetching(), held] })
      return (await weir(api, ['prefetch', 'demo/app:prod', '-o', format])).stdout
    }
    expect(JSON.parse(await print('json'))).toEqual(object)
    expect(parse(await print('yaml'))).toEqual(object)
    expect(await print('name')).toBe('demo/app:prod\n')
  })

  test('of which the server says little is told without more', async () => {
    const api = await startFakeApi()
    api.answer('POST', prefetches, { body: { kind: 'Prefetch' } })
    expect(await weir(api, ['prefetch', 'demo/app:prod', '--no-wait'])).toMatchObject({
      code: 0,
      stdout: 'demo/app:prod  unknown    0 parts, 0 B\n',
    })
    api.answer('POST', prefetches, { body: { status: { state: 'held', image: 'x\u001b[2J' } } })
    expect((await weir(api, ['prefetch', 'demo/app:prod'])).stdout).toBe('demo/app:prod  held  x?[2J  0 parts, 0 B\n')
    api.answer('POST', prefetches, { body: { status: { state: 'failed' } } })
    expect((await weir(api, ['prefetch', 'demo/app:prod'])).stderr).toContain('the server does not say why')
  })

  test('prints what an upstream says so that it can not write over the terminal', async () => {
    const api = await answering({ prod: [{ ...failed, message: 'x\u001b[2J\r\ny' }] })
    const { stderr } = await weir(api, ['prefetch', 'demo/app:prod'])
    expect(stderr).toContain('can not be held: x?[2J??y\n')
  })
})

describe('prefetch of a stream', () => {
  test('fetches every tag that stands somewhere, and tells of each when it is held', async () => {
    const api = await answering({ prod: [fetching(), fetching(), held], test: [fetching(), held] })
    const { code, stdout, stderr } = await weir(api, ['prefetch', 'demo/app'])
    expect(code).toBe(0)
    expect(stdout).toBe(['test', 'prod'].map((tag) => `demo/app:${tag}  held  ${a}  ${whole}\n`).join(''))
    expect(stderr).toContain(`0 of 2 tags held: 6 of 14 parts, 240 MiB of 1000 MiB\n`)
    const tags = api.sent('POST', prefetches).map((body) => (body as { spec: { tag: string } }).spec.tag)
    expect(new Set(tags)).toEqual(new Set(['prod', 'test']))
  })

  test('asks for a few tags at a time', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `t${i}`)
    const api = await answering({})
    api.answer('GET', stream, streamWith(Object.fromEntries(names.map((name) => [name, a]))))
    const answer = statuses(Object.fromEntries(names.map((name) => [name, [held]])))
    let open = 0
    let most = 0
    api.answer('POST', prefetches, async (request) => {
      open += 1
      most = Math.max(most, open)
      // Time for all others to arrive that are under way.
      for (let turn = 0; turn < 100; turn += 1) await setImmediate()
      open -= 1
      return answer(request)
    })
    expect((await weir(api, ['prefetch', 'demo/app'])).stdout.match(/ held /g)).toHaveLength(12)
    expect(most).toBe(4)
  })

  test('tells of each that fails, and goes on with the others', async () => {
    const api = await answering({ prod: [failed], test: [fetching(), held] })
    const { code, stdout, stderr } = await weir(api, ['prefetch', 'demo/app'])
    expect(code).toBe(1)
    expect(stdout).toBe(`demo/app:test  held  ${a}  ${whole}\n`)
    expect(stderr).toContain('error: demo/app:prod can not be held: quay.io answers 503\n')
    expect(stderr).toContain('error: 1 of 2 tags are not held\n')
  })

  test('is printed as a list', async () => {
    const api = await answering({ prod: [held], test: [{ ...held, image: b }] })
    const { stdout } = await weir(api, ['prefetch', 'demo/app', '-o', 'json'])
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'List',
      items: [
        { kind: 'Prefetch', apiVersion: 'weir.dev/v1', spec: { tag: 'prod' }, status: { image: a } },
        { kind: 'Prefetch', apiVersion: 'weir.dev/v1', spec: { tag: 'test' }, status: { image: b } },
      ],
    })
  })

  test('of which no tag stands at an image says so', async () => {
    const api = await answering({})
    api.answer('GET', stream, streamWith({ wish: '' }))
    expect(await weir(api, ['prefetch', 'demo/app'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: no tag of demo/app stands at an image: there is nothing to fetch\n',
    })
  })

  test('that is not there says what is', async () => {
    const api = await startFakeApi()
    api.answer('GET', namespace, { body: { kind: 'Namespace' } })
    api.answer('GET', streams, { body: { items: [{ metadata: { name: 'apps' } }] } })
    const { code, stderr } = await weir(api, ['prefetch', 'demo/app'])
    expect(code).toBe(1)
    expect(stderr).toContain('error: there is no stream demo/app\n  did you mean demo/apps?\n')
  })
})

describe('prefetch that is refused', () => {
  test('the tags of a stream says that a tag which is named takes no more than to pull', async () => {
    const api = await startFakeApi()
    api.answer('GET', stream, failure(403, 'Forbidden', 'imagestreams is forbidden'))
    api.answer('POST', review, { body: { status: { userInfo: { username: 'jane' } } } })
    expect(await weir(api, ['prefetch', 'demo/app'])).toEqual({
      code: 1,
      stdout: '',
      stderr: [
        'error: imagestreams is forbidden',
        '  to look for its tags takes more than to pull; a tag that is named does not: weir prefetch demo/app:TAG',
        '  missing right: get imagestreams app in demo',
        '  who administers demo can give it: weir grant registry-viewer jane -n demo',
        '',
      ].join('\n'),
    })
  })

  test('the tags of a stream does not send who is not logged in to one that is named', async () => {
    const api = await startFakeApi()
    api.answer('GET', stream, failure(403, 'Forbidden', 'imagestreams is forbidden'))
    const { code, stderr } = await run(['prefetch', 'demo/app', '--server', api.url])
    expect(code).toBe(1)
    expect(stderr).toContain('weir login')
    expect(stderr).not.toContain(':TAG')
  })

  test('says which right is missing, and who can give it', async () => {
    const api = await startFakeApi()
    api.answer('POST', prefetches, failure(403, 'Forbidden', 'prefetches is forbidden'))
    api.answer('POST', review, { body: { status: { userInfo: { username: 'jane' } } } })
    expect(await weir(api, ['prefetch', 'demo/app:prod'])).toEqual({
      code: 1,
      stdout: '',
      stderr: [
        'error: prefetches is forbidden',
        '  missing right: get imagestreams/layers in demo',
        '  who administers demo can give it: weir grant pull jane -n demo',
        '',
      ].join('\n'),
    })
  })

  test('of a tag that is not there says what is', async () => {
    const api = await startFakeApi()
    api.answer('POST', prefetches, failure(404, 'NotFound', 'not found'))
    api.answer('GET', stream, streamWith({ prod: a }))
    const { code, stderr } = await weir(api, ['prefetch', 'demo/app:prd'])
    expect(code).toBe(1)
    expect(stderr).toContain('error: demo/app has no tag "prd"\n  did you mean demo/app:prod?\n')
  })

  test('of a tag that stands nowhere gives the server’s words', async () => {
    const api = await startFakeApi()
    api.answer('POST', prefetches, failure(404, 'NotFound', 'demo/app:wish stands at no image'))
    api.answer('GET', stream, streamWith({ wish: '' }))
    const { code, stderr } = await weir(api, ['prefetch', 'demo/app:wish'])
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'error: demo/app:wish stands at no image\n' })
  })

  test('by a server that breaks off in the middle is a failure, with the terminal clean', async () => {
    const api = await startFakeApi()
    let asked = 0
    api.answer('POST', prefetches, (request) => {
      asked += 1
      return asked === 1 ? statuses({ prod: [fetching()] })(request) : { body: '', breaks: true }
    })
    const { code, stdout, stderr } = await weir(api, ['prefetch', 'demo/app:prod'], { columns: 80 })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('\r\u001b[Kerror: ')
  })
})
