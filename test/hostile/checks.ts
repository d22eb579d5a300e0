/** Tags that are looked at by the schedule: a notification has a source checked at once, as its turn would. */
import { expect } from 'vitest'
import { harborPayload } from '../notifications/payloads.ts'
import type { World } from '../support/world.ts'
import type { Place } from './place.ts'
import type { Outcome } from './requests.ts'

const key = 'a-key.of~demo_0123456789'
/** What goes on in the background for a while, timeouts included. */
const patience = { timeout: 15_000, interval: 25 }
const core = '/api/v1/namespaces/demo'
const images = '/apis/image.openshift.io/v1/namespaces/demo'
const checks = '/apis/weir.dev/v1/namespaces/demo/tagchecks'

/** `prod` follows `lib/app:v1`, which was checked and now stands at another image. */
export async function schedule(place: Place): Promise<void> {
  await follow(place, {})
  place.registry.put('lib/app', place.next, { tag: 'v1' })
}

/** `prod` follows the newest version of `lib/app`, which was `1.0.0`, and now there is `1.1.0`. */
export async function track(place: Place): Promise<void> {
  const { registry, good, next } = place
  registry.put('lib/app', good, { tag: '1.0.0' })
  await follow(place, { annotations: { 'weir.dev/track': 'semver:^1' } })
  registry.put('lib/app', next, { tag: '1.1.0' })
}

async function follow(place: Place, more: object): Promise<void> {
  const { world, stream } = place
  await makeKey(world)
  const path = `${images}/imagestreamtags/${stream}:prod`
  const { body } = await world.api('GET', path)
  const tag = { ...(body.tag as object), importPolicy: { scheduled: true }, ...more }
  const { status } = await world.api('PUT', path, { ...body, tag })
  expect(status).toBe(200)
  await expect.poll(() => isMet(place), patience).toBe(true)
  await tell(place)
  await expect.poll(async () => (await lastOf(place))?.result, patience).toBe('Unchanged')
}

/** Whether what was asked for with that was imported. */
async function isMet({ world, stream }: Place): Promise<boolean> {
  const { body } = await world.api('GET', `${images}/imagestreams/${stream}`)
  const { spec, status } = body as {
    spec: { tags: { name: string; generation: number }[] }
    status: { tags: { tag: string; items: { generation: number }[] }[] }
  }
  const wanted = spec.tags.find(({ name }) => name === 'prod')?.generation ?? Number.POSITIVE_INFINITY
  return (status.tags.find(({ tag }) => tag === 'prod')?.items[0]?.generation ?? 0) >= wanted
}

async function makeKey(world: World): Promise<void> {
  const secret = { metadata: { name: 'hook' }, type: 'weir.dev/notification-key', stringData: { token: key } }
  const { status } = await world.api('POST', `${core}/secrets`, secret)
  expect([201, 409]).toContain(status)
}

/** Has the source of `prod` checked, and tells what came of it. */
export async function check(place: Place): Promise<Outcome> {
  const { world, stream } = place
  await tell(place)
  await expect.poll(async () => (await lastOf(place))?.result, patience).not.toBe('Unchanged')
  const { result, reason = '', message = '' } = (await lastOf(place)) ?? {}
  if (result !== 'Moved') return { kind: 'failed', reason, message }
  const { body } = await world.api('GET', `${images}/imagestreamtags/${stream}:prod`)
  return { kind: 'moved', digest: (body.image as { metadata: { name: string } }).metadata.name }
}

/** Says that the source of `prod` has changed: what was checked just now, or waits for an import, is not checked again within seconds. */
async function tell({ world, registry, later }: Place): Promise<void> {
  later(5_000)
  const answer = await world.request('/hooks/v1/projects/demo/registry', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: key },
    body: JSON.stringify(harborPayload({ host: registry.host, tag: 'v1' })),
  })
  expect([answer.status, answer.body.toString()]).toEqual([202, '{"accepted":1}'])
}

interface LastCheck {
  result: string
  reason?: string
  message?: string
}

async function lastOf({ world, stream }: Place): Promise<LastCheck | undefined> {
  const { status, body } = await world.api('GET', `${checks}/${stream}:prod`)
  return status === 200 ? (body.lastCheck as LastCheck | undefined) : undefined
}
