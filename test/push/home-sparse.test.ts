/** What a manifest may lack, a pull may ask the home of the project for: never another place, and nothing of others is opened. */
import { expect, test } from 'vitest'
import { fakeAnswer } from '../support/fake-upstream-answers.ts'
import { answering } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import type { World } from '../support/world.ts'
import { homeWorld, pushBlob, pushManifest, send } from './home-weir.ts'
import { descriptorOf, indexOf, manifestOf } from './manifest-world.ts'

const secret = makeImage('secret of another project')
const own = makeImage('own')

/** A Weir where `demo` has a home, which takes manifests that name what it does not have, and `other`, which has none, has the secret. */
async function worldWithSecret(): Promise<World> {
  const world = await homeWorld()
  world.upstream.intercept(answering(/^PUT .*manifests/, fakeAnswer(201)))
  await world.cli('new-project', 'other')
  for (const { digest, bytes } of [secret.config, ...secret.layers]) {
    const begun = await send(world, 'POST', '/v2/other/app/blobs/uploads/')
    const put = await send(world, 'PUT', `${begun.headers.location}?digest=${digest}`, bytes.toString('latin1'))
    expect(put.status).toBe(201)
  }
  const { bytes, mediaType } = secret.manifest
  const put = await send(world, 'PUT', '/v2/other/app/manifests/v1', bytes.toString('latin1'), mediaType)
  expect(put.status).toBe(201)
  return world
}

test('I5: a sparse child is not had of another project, and only the stream’s place at the home is asked', async () => {
  const world = await worldWithSecret()
  expect((await pushManifest(world, indexOf([secret.manifest]))).status).toBe(201)
  expect((await send(world, 'GET', '/v2/demo/app/manifests/v1')).status).toBe(200)
  world.upstream.requests.length = 0
  expect((await send(world, 'GET', `/v2/demo/app/manifests/${secret.manifest.digest}`)).status).toBe(404)
  for (const { digest } of [secret.config, ...secret.layers])
    expect((await send(world, 'GET', `/v2/demo/app/blobs/${digest}`)).status).toBe(404)
  expect(world.upstream.requests).not.toEqual([])
  for (const { path } of world.upstream.requests) expect(path).toMatch(/^\/v2\/(?:team\/app\/|$)/)
})

test('I5: a layer that is had elsewhere is not had of another project either', async () => {
  const world = await worldWithSecret()
  const [layer = secret.config] = secret.layers
  const foreign = { ...descriptorOf(layer), urls: ['https://elsewhere.test/layer'] }
  expect((await pushBlob(world, own.config)).status).toBe(201)
  expect((await pushManifest(world, manifestOf(own.config, [foreign]))).status).toBe(201)
  expect((await send(world, 'GET', '/v2/demo/app/manifests/v1')).status).toBe(200)
  world.upstream.requests.length = 0
  expect((await send(world, 'GET', `/v2/demo/app/blobs/${layer.digest}`)).status).toBe(404)
  expect(world.upstream.requests).not.toEqual([])
  for (const { path } of world.upstream.requests) expect(path).toMatch(/^\/v2\/(?:team\/app\/|$)/)
})

test('a sparse child that the home has is pulled from there, with the login of the project', async () => {
  const world = await worldWithSecret()
  world.upstream.put('team/app', own)
  expect((await pushManifest(world, indexOf([own.manifest]))).status).toBe(201)
  expect((await send(world, 'GET', '/v2/demo/app/manifests/v1')).status).toBe(200)
  const pulled = await send(world, 'GET', `/v2/demo/app/manifests/${own.manifest.digest}`)
  expect(pulled.body).toEqual(own.manifest.bytes)
})
