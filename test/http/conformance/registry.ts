/** A whole Weir as a client of the OCI distribution API sees it: token auth, and repositories to push to. */
import { type IncomingHttpHeaders, request } from 'node:http'
import { afterAll, beforeAll, expect } from 'vitest'
import { parseChallenges } from '../../../src/oci/challenge.ts'
import type { Digest, DigestAlgorithm } from '../../../src/oci/digest.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { Defer } from '../../support/directory.ts'
import { startWorld, type World } from '../../support/world.ts'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface Ask {
  headers?: Record<string, string | string[]>
  body?: Buffer | string
  /** Sends the body without saying its length. */
  chunked?: boolean
}

export interface Registry {
  world: World
  /** Asks as the robot of {@link useRegistry}, with the token that the challenge asks for. */
  ask(method: string, path: string, ask?: Ask): Promise<Answer>
  /** Pushes a blob in one piece. */
  putBlob(repository: string, bytes: Buffer, digest?: Digest): Promise<Digest>
  putManifest(repository: string, reference: string, manifest: { bytes: Buffer; mediaType: string }): Promise<Answer>
}

export interface Client {
  ask: Registry['ask']
}

/** Starts one before the tests of a file. Its robot is `registry-editor` in the projects `demo` and `second`. */
export function useRegistry(config: Record<string, unknown> = {}): () => Registry {
  let registry: Registry | undefined
  const cleanups: Parameters<Defer>[0][] = []
  beforeAll(async () => {
    registry = await startRegistry((cleanup) => void cleanups.unshift(cleanup), config)
  })
  afterAll(async () => {
    for (const cleanup of cleanups) await cleanup()
  })
  return () => {
    if (registry === undefined) throw new TypeError('only while tests run')
    return registry
  }
}

export async function startRegistry(defer: Defer, config: Record<string, unknown> = {}): Promise<Registry> {
  const world = await startWorld({ defer, config })
  for (const argv of [
    ['new-project', 'demo'],
    ['new-project', 'second'],
    ['grant', 'registry-editor', 'serviceaccount:demo/ci', '-n', 'demo'],
    ['grant', 'registry-editor', 'serviceaccount:demo/ci', '-n', 'second'],
  ]) {
    expect(await world.cli(...argv), argv.join(' ')).toMatchObject({ exitCode: 0 })
  }
  const ci = (await world.cli('token', 'ci', '-n', 'demo', '--duration', '24h')).stdout.trim()
  return registryFor(
    world,
    createClient(() => world.weir.http.port, ci),
  )
}

export function registryFor(world: World, { ask }: Client): Registry {
  return {
    world,
    ask,
    async putBlob(repository, bytes, digest = digestOf(bytes)) {
      const begun = await ask('POST', `/v2/${repository}/blobs/uploads/`)
      expect(begun.status, begun.body.toString()).toBe(202)
      const answer = await ask('PUT', addQuery(String(begun.headers.location), { digest }), { body: bytes })
      expect(answer.status, answer.body.toString()).toBe(201)
      return digest
    },
    putManifest: (repository, reference, { bytes, mediaType }) =>
      ask('PUT', `/v2/${repository}/manifests/${reference}`, { body: bytes, headers: { 'content-type': mediaType } }),
  }
}

/** Asks without a token at first, and again with one for what the challenge says; keeps tokens as clients do. */
export function createClient(port: () => number, login: string): Client {
  const tokens = new Map<string, string>()
  const keyOf = (method: string, path: string) => {
    const [, repository] = /^\/v2\/(.+?)\/(?:manifests|blobs|tags|referrers)\//.exec(path) ?? []
    return `${method === 'HEAD' ? 'GET' : method} ${repository}`
  }

  return {
    async ask(method, path, ask = {}) {
      const key = keyOf(method, path)
      const token = tokens.get(key)
      const answer = await send(port(), method, path, ask, token)
      if (answer.status !== 401) return answer
      const [challenge] = parseChallenges(answer.headers['www-authenticate'])
      const { realm = '', service = '', scope = '' } = Object.fromEntries(challenge?.parameters ?? [])
      const url = new URL(realm)
      const query = new URLSearchParams({ service, scope })
      const authorization = `Basic ${Buffer.from(`any:${login}`).toString('base64')}`
      const granted = await send(port(), 'GET', `${url.pathname}?${query}`, { headers: { authorization } })
      const fresh = (JSON.parse(granted.body.toString()) as { token: string }).token
      tokens.set(key, fresh)
      return send(port(), method, path, ask, fresh)
    },
  }
}

export function addQuery(location: string, parameters: Record<string, string>): string {
  return `${location}${location.includes('?') ? '&' : '?'}${new URLSearchParams(parameters)}`
}

/** Bytes that nothing else has. */
export function someBytes(seed: string, length = 512): Buffer {
  return Buffer.from(seed.padEnd(length, '.').slice(-length))
}

export const algorithms: readonly DigestAlgorithm[] = ['sha256', 'sha512']

/** What went wrong, for a test that expects something else. */
export function told({ status, body }: Answer): string {
  return `${status} ${body.toString('utf8').slice(0, 500)}`
}

function send(
  port: number,
  method: string,
  path: string,
  { headers = {}, body, chunked = false }: Ask,
  token?: string,
): Promise<Answer> {
  const all = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(chunked ? { 'transfer-encoding': 'chunked' } : body !== undefined && { 'content-length': String(body.length) }),
    ...headers,
  }
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers: all, agent: false }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
