import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { makeImage } from '../../support/images.ts'
import { startWorld, type World } from '../../support/world.ts'
import { type Client, clientOf, told } from './world.ts'

const maps = '/api/v1/namespaces/demo/configmaps'

test('a watch answers at once, in chunks, and tells events as they come', async () => {
  const world = await projectWorld()
  const { answer, client } = await watch(world, maps)
  expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'transfer-encoding': 'chunked' })
  expect(answer.headers['content-length']).toBeUndefined()
  for (let i = 0; i < 3; i += 1) {
    const { name, resourceVersion } = await setMap(world, `m${i}`)
    expect((await client.take(1)).map(told)).toEqual([`ADDED ${name}@${resourceVersion}`])
  }
})

test('a watch ends cleanly at once when Weir stops, and goes on from there after the restart', async () => {
  const world = await projectWorld()
  const { answer, client } = await watch(world, `${maps}?allowWatchBookmarks=true`)
  await setMap(world, 'a')
  await client.take(1)
  const ended = new Promise((resolve) => answer.once('end', resolve))
  // The grace is longer than any test: the watch must not use it up.
  await world.weir.stop(600_000)
  const bookmark = await client.next()
  expect(bookmark?.type).toBe('BOOKMARK')
  expect(await client.next()).toBeUndefined()
  await ended
  expect(answer.complete).toBe(true)
  await world.restart()
  const b = await setMap(world, 'b')
  const since = bookmark?.object.metadata.resourceVersion
  const resumed = await watch(world, `${maps}?resourceVersion=${since}`)
  expect((await resumed.client.take(1)).map(told)).toEqual([`ADDED b@${b.resourceVersion}`])
})

test('a client that goes in the middle of a line harms nobody and is forgotten', async () => {
  const world = await projectWorld()
  const [staying, going] = [await watch(world, maps), await watch(world, maps)]
  going.answer.once('data', () => going.answer.destroy())
  const data = { x: 'x'.repeat(300_000) }
  await setMap(world, 'a', data)
  const b = await setMap(world, 'b', data)
  expect((await staying.client.take(2)).map(told)[1]).toBe(`ADDED b@${b.resourceVersion}`)
  await expect
    .poll(() => world.logged.some((line) => /"path":"[^"]*configmaps".*"complete":false/.test(line)))
    .toBe(true)
  expect(world.logged.join()).not.toMatch(/"level":(40|50|60)/)
})

test('a client that does not read delays nobody', async () => {
  const world = await projectWorld()
  const [reading, stalled] = [await watch(world, maps), await watch(world, maps)]
  stalled.answer.pause()
  const data = { x: 'x'.repeat(400_000) }
  const versions: string[] = []
  for (let i = 0; i < 40; i += 1) {
    versions.push((await setMap(world, 'a', { ...data, i: String(i) })).resourceVersion)
    const [event] = await reading.client.take(1)
    expect(event?.object.metadata.resourceVersion).toBe(versions.at(-1))
  }
  // When he reads at last he finds what was under way, in order and whole, and the end.
  const seen: string[] = []
  for (let event = await stalled.client.next(); event !== undefined; event = await stalled.client.next()) {
    seen.push(event.object.metadata.resourceVersion)
    if (seen.length === versions.length) break
  }
  expect(seen).toEqual(versions.slice(0, seen.length))
})

test('each of many watchers is told of a move of a tag by an import', async () => {
  const world = await projectWorld()
  world.upstream.put('team/app', makeImage('v1'), { tag: 'v1' })
  const streams = '/apis/image.openshift.io/v1/namespaces/demo/imagestreams'
  const clients = await Promise.all(Array.from({ length: 50 }, () => watch(world, streams)))
  const ran = await world.cli(
    'import-image',
    'demo/app:v1',
    '--from',
    `${world.upstream.host}/team/app:v1`,
    '--insecure',
  )
  expect(ran).toMatchObject({ exitCode: 0 })
  for (const { client } of clients) {
    for (let event = await client.next(); ; event = await client.next()) {
      const status = event?.object.status as { tags?: { items: unknown[] | null }[] } | undefined
      if (status?.tags?.[0]?.items?.length === 1) break
    }
  }
})

async function projectWorld(): Promise<World> {
  const world = await startWorld()
  expect((await world.api('POST', '/api/v1/namespaces', { metadata: { name: 'demo' } })).status).toBe(201)
  return world
}

async function watch(world: World, path: string): Promise<{ answer: IncomingMessage; client: Client }> {
  const { clusters } = parse(await readFile(world.weir.adminKubeconfig, 'utf8'))
  const ca = Buffer.from(clusters[0].cluster['certificate-authority-data'], 'base64')
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: world.weir.https.port,
        ca,
        path: `${path}${path.includes('?') ? '&' : '?'}watch=true`,
        headers: { authorization: `Bearer ${world.adminToken}` },
        agent: false,
      },
      resolve,
    )
    asked.on('error', reject)
    asked.end()
    onTestFinished(() => void asked.destroy())
  })
  expect(answer.statusCode).toBe(200)
  answer.on('error', () => undefined)
  const body = Readable.toWeb(answer) as ReadableStream<Uint8Array>
  return { answer, client: clientOf(new Response(body)) }
}

async function setMap(world: World, name: string, data: Record<string, string> = {}) {
  const body = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name, namespace: 'demo' }, data }
  const created = await world.api('POST', maps, body)
  const answer = created.status === 409 ? await world.api('PUT', `${maps}/${name}`, body) : created
  expect([200, 201]).toContain(answer.status)
  return answer.body.metadata as { name: string; resourceVersion: string }
}
