import { connect } from 'node:net'
import { afterAll, beforeAll, expect } from 'vitest'
import { parseChallenges } from '../../src/oci/challenge.ts'
import { type TestClock, testClock } from '../support/clock.ts'
import type { Defer } from '../support/directory.ts'
import { makeImage } from '../support/images.ts'
import { type Answered, startWorld, type World } from '../support/world.ts'

/** What is at `demo/app:prod`, and what at `secret/app:prod`. */
export const image = makeImage('open')
export const hidden = makeImage('hidden')
/** A digest that nothing has. */
export const absent = `sha256:${'0'.repeat(64)}`

export interface Attacked extends World {
  clock: TestClock
  /** A robot of `demo`, who may pull there and nothing else. */
  ci: string
  /** His token for `scopes`. */
  tokenFor(...scopes: string[]): Promise<string>
  /** Sends a request line and headers as they stand; answers status and body. */
  raw(path: string, headers: readonly string[]): Promise<{ status: number; body: string }>
}

/**
 * Starts it before the tests of a file and ends it after them. `demo/app:prod` is his to pull; `secret/app:prod` is there,
 * held with all its blobs, and is not.
 */
export function useAttacked(): () => Attacked {
  let world: Attacked | undefined
  const cleanups: Parameters<Defer>[0][] = []
  beforeAll(async () => {
    world = await startAttacked((cleanup) => void cleanups.unshift(cleanup))
  })
  afterAll(async () => {
    for (const cleanup of cleanups) await cleanup()
  })
  return () => {
    if (world === undefined) throw new TypeError('only while tests run')
    return world
  }
}

async function startAttacked(defer: Defer): Promise<Attacked> {
  // The certificate of a test is of today.
  const clock = testClock(Math.floor(Date.now() / 1000) * 1000)
  const world = await startWorld({ now: clock.now, defer })
  const { upstream } = world
  upstream.put('lib/open', image, { tag: 'v1' })
  upstream.put('lib/hidden', hidden, { tag: 'v1' })
  for (const argv of [
    ['new-project', 'demo'],
    ['new-project', 'secret'],
    ['import-image', 'demo/app:prod', '--from', `${upstream.host}/lib/open:v1`],
    ['import-image', 'demo/twin:prod', '--from', `${upstream.host}/lib/open:v1`],
    ['import-image', 'secret/app:prod', '--from', `${upstream.host}/lib/hidden:v1`],
    ['grant', 'pull', 'serviceaccount:ci', '-n', 'demo', '--stream', 'app'],
  ]) {
    expect(await world.cli(...argv), argv.join(' ')).toMatchObject({ exitCode: 0 })
  }
  const ci = (await world.cli('token', 'ci', '-n', 'demo', '--duration', '24h')).stdout.trim()
  const master = await world.pullToken('repository:secret/app:pull', world.adminToken)
  for (const { digest } of [hidden.config, ...hidden.layers]) {
    expect((await world.request(`/v2/secret/app/blobs/${digest}`, { token: master })).status).toBe(200)
  }
  const tokenFor = async (...scopes: string[]) => {
    const query = new URLSearchParams(scopes.map((scope): [string, string] => ['scope', scope]))
    const authorization = `Basic ${Buffer.from(`ci:${ci}`).toString('base64')}`
    const answer = await world.request(`/token?${query}`, { headers: { authorization } })
    expect(answer.status, answer.body.toString()).toBe(200)
    return (JSON.parse(answer.body.toString()) as { token: string }).token
  }
  const raw = (path: string, headers: readonly string[]) => sendRaw(world.weir.http.port, path, headers)
  return { ...world, clock, ci, tokenFor, raw }
}

function sendRaw(port: number, path: string, headers: readonly string[]): Promise<{ status: number; body: string }> {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, '', '']
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(lines.join('\r\n'), 'latin1'))
    socket.on('data', (piece) => {
      text += piece.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => {
      resolve({ status: Number(text.split(' ')[1]), body: text.slice(text.indexOf('\r\n\r\n') + 4) })
    })
  })
}

export const pull = 'repository:demo/app:pull'
export const prod = '/v2/demo/app/manifests/prod'
/** The header as it stands. */
export const bearer = (token: string) => `Authorization: Bearer ${token}`

/** What a challenge says of the error; undefined when there is no challenge. */
export function errorOf({ headers }: Answered): string | undefined {
  const [challenge] = parseChallenges(headers['www-authenticate'])
  return Object.fromEntries(challenge?.parameters ?? []).error
}

/** The claims of a token, unverified. */
export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
}
