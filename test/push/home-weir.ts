/** What pushes to a whole Weir whose project has a home. */
import { expect } from 'vitest'
import type { FakeAuth } from '../support/fake-upstream-auth.ts'
import type { Piece, TestImage } from '../support/images.ts'
import { startWorld, type World, type WorldOptions } from '../support/world.ts'

export const demo = '/api/v1/namespaces/demo'

/** A Weir whose project `demo` has its home below `team` at the Weir's upstream. */
export async function homeWorld(
  auth: FakeAuth = { kind: 'none' },
  options: Omit<WorldOptions, 'upstream'> = {},
): Promise<World> {
  const world = await startWorld({ upstream: { auth }, ...options })
  await world.cli('new-project', 'demo')
  await annotate(world, `${world.upstream.host}/team`)
  return world
}

/** Asks for the annotation `weir.dev/home` on `demo`, or for it to be taken away. */
export function askForHome({ request, adminToken }: World, home: string | null) {
  return request(demo, {
    method: 'PATCH',
    token: adminToken,
    secure: true,
    headers: { 'content-type': 'application/merge-patch+json' },
    body: JSON.stringify({ metadata: { annotations: { 'weir.dev/home': home } } }),
  })
}

/** Writes the annotation, or takes it away. */
export async function annotate(world: World, home: string | null): Promise<void> {
  const answer = await askForHome(world, home)
  expect(answer.status, answer.body.toString()).toBe(200)
}

/** Asks for something of a stream as the admin; the body is ASCII. */
export async function send(
  { request, pullToken, adminToken }: World,
  method: string,
  path: string,
  body = '',
  type?: string,
) {
  const name = /^\/v2\/([^/]+\/[^/]+)\//.exec(path)?.[1]
  const token = await pullToken(`repository:${name}:pull,push`, adminToken)
  return request(path, { method, token, body, ...(type === undefined ? {} : { headers: { 'content-type': type } }) })
}

export async function pushBlob(world: World, { digest, bytes }: Piece) {
  const begun = await send(world, 'POST', '/v2/demo/app/blobs/uploads/')
  return send(world, 'PUT', `${begun.headers.location}?digest=${digest}`, bytes.toString('latin1'))
}

export function pushManifest(world: World, { bytes, mediaType }: Piece, tag = 'v1') {
  return send(world, 'PUT', `/v2/demo/app/manifests/${tag}`, bytes.toString('latin1'), mediaType)
}

/** Pushes all of an image to `demo/app`. */
export async function push(world: World, { config, layers, manifest }: TestImage, tag = 'v1'): Promise<void> {
  for (const each of [config, ...layers]) expect((await pushBlob(world, each)).status).toBe(201)
  const answer = await pushManifest(world, manifest, tag)
  expect(answer.status, answer.body.toString()).toBe(201)
}

export function errorOf({ body }: { body: Buffer }): unknown {
  return (JSON.parse(body.toString()) as { errors: unknown[] }).errors[0]
}
