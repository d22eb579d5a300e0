import { expect } from 'vitest'
import { digestHex } from '../../src/oci/digest.ts'
import type { HostileRegistry } from '../support/hostile-registry.ts'
import { type Piece, piecesOf } from '../support/images.ts'
import { filesOf, layerOf, login, type Place } from './place.ts'
import type { RequestName } from './requests.ts'

/** What goes on in the background for a moment. */
const soon = { timeout: 10_000 }

interface Happened {
  asked: RequestName
  /** The request was met: what it was for may be kept. */
  isServed: boolean
  planted: readonly Piece[]
}

/**
 * Whatever a registry did: nothing wrong is stored, linked or begun, the tag stands or moved to what was verified, nobody else
 * heard of a login or was asked, and no answer is still waited for.
 */
export async function expectUnharmed(place: Place, { asked, isServed, planted }: Happened): Promise<void> {
  const { registry, other, stranger } = place
  await expect.poll(() => ({ used: registry.busyConnections() + other.busyConnections() }), soon).toEqual({ used: 0 })
  const refused = isServed ? [] : asked.startsWith('blob') ? [layerOf(place.good)] : piecesOf(place.next)
  await expect.poll(() => filesOf(place, [...refused, ...planted]), soon).toEqual([])
  await expectTag(place, isServed)
  // What is asked by the digest that an index names has a link.
  await expectNoLinks(place, /^(?:import|scheduled)/.test(asked) ? [...refused, ...planted] : planted)
  expect(stranger.connections(), 'connections to who is not named').toBe(0)
  const elsewhere = other.requests.map(({ headers }) => headers)
  expect(elsewhere.filter(({ authorization, cookie }) => authorization ?? cookie)).toEqual([])
  await expectSecrecy(place)
}

/** The tag stands where it did, or moved to the image that was wanted; its pull asks nobody. */
async function expectTag({ world, registry, stream, good, next }: Place, mayMove: boolean): Promise<void> {
  const before = registry.requests.length
  const { status, headers, body } = await world.pull(`demo/${stream}:prod`)
  const stands = mayMove && headers['docker-content-digest'] === next.manifest.digest ? next : good
  expect(status).toBe(200)
  expect(headers['docker-content-digest']).toBe(stands.manifest.digest)
  expect(body.equals(stands.manifest.bytes)).toBe(true)
  expect(registry.requests.length, 'requests for a pull by tag').toBe(before)
}

/** None of it is the stream's: a pull of it answers 404, and asks nobody. */
async function expectNoLinks({ world, registry, stream }: Place, pieces: readonly Piece[]): Promise<void> {
  const before = registry.requests.length
  const token = await world.pullToken(`repository:demo/${stream}:pull`)
  for (const { digest } of pieces) {
    const { status } = await world.request(`/v2/demo/${stream}/manifests/${digest}`, { token })
    expect(status, digest).toBe(404)
  }
  expect(registry.requests.length, 'requests for what has no link').toBe(before)
}

/** A registry's login is in nothing that Weir says; what Weir's own clients came with went to no registry. */
async function expectSecrecy({ world, registry, other }: Place): Promise<void> {
  const token = await world.pullToken('')
  const { body } = await world.request('/metrics')
  const basic = Buffer.from(`${login.username}:${login.password}`).toString('base64')
  const said = [...world.logged, body.toString()].join('\n')
  for (const secret of [login.password, basic, upstreamToken]) expect(said.includes(secret)).toBe(false)
  const header = token.slice(0, token.indexOf('.'))
  const heard = JSON.stringify([...registry.requests, ...other.requests].map(({ headers }) => headers))
  for (const own of [header, world.adminToken]) expect(heard.includes(own)).toBe(false)
  world.logged.length = 0
}

/** What hostile token endpoints give out. */
export const upstreamToken = 'token-of-the-upstream'

/** It was sent no login by Weir, nor asked for a token. */
export function expectNoLogin({ requests, tokenRequests }: HostileRegistry): void {
  expect(requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
  expect(tokenRequests).toEqual([])
}

export async function expectNotHeld(place: Place, ...pieces: readonly Piece[]): Promise<void> {
  expect(await filesOf(place, pieces)).toEqual([])
}

/** It is durable a moment after its last byte was given out. */
export async function expectHeld(place: Place, ...pieces: readonly Piece[]): Promise<void> {
  await expect
    .poll(() => filesOf(place, pieces))
    .toEqual(pieces.map(({ digest }) => `blobs/sha256/${digestHex(digest)}`))
}
