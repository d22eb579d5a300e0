import { describe, expect, test } from 'vitest'
import { apiWorld, inDemo, invalidFields, names, refusal } from '../world.ts'

const events = `/api/v1/${inDemo}/events`
const involvedObject = { kind: 'ImageStream', namespace: 'demo', name: 'app', uid: 'u-1', fieldPath: 'spec.tags' }
const event = (name: string, more: object = {}) => ({ metadata: { name }, involvedObject, reason: 'Moved', ...more })

describe('events', () => {
  test('are created, read, listed and deleted in Kubernetes’ shape', async () => {
    const { asAdmin } = await apiWorld()
    const fields = {
      involvedObject,
      reason: 'Moved',
      message: 'tag prod moved',
      source: { component: 'watcher' },
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      count: 1,
      type: 'Normal',
      eventTime: null,
      reportingComponent: 'watcher',
    }
    const made = await asAdmin('POST', events, { metadata: { generateName: 'app.' }, ...fields })
    const { eventTime: _, ...kept } = fields
    expect(made).toMatchObject({ status: 201, body: { kind: 'Event', apiVersion: 'v1', ...kept } })
    const { name } = made.body.metadata as { name: string }
    expect(name).toMatch(/^app\.[a-z0-9]{5}$/)
    expect((await asAdmin('GET', `${events}/${name}`)).body).toEqual(made.body)
    expect((await asAdmin('GET', events)).body).toMatchObject({ kind: 'EventList', items: [kept] })
    expect((await asAdmin('DELETE', `${events}/${name}`)).status).toBe(200)
    expect((await asAdmin('GET', `${events}/${name}`)).status).toBe(404)
  })

  test('are selected as kubectl describe selects them', async () => {
    const { asAdmin } = await apiWorld()
    await asAdmin('POST', events, event('a', { type: 'Warning', reportingComponent: 'x' }))
    await asAdmin('POST', events, event('b', { involvedObject: { ...involvedObject, name: 'web', uid: 'u-2' } }))
    await asAdmin('POST', events, event('c', { reason: 'Failed' }))
    const selected = async (selector: string) =>
      names(await asAdmin('GET', `${events}?fieldSelector=${encodeURIComponent(selector)}`))
    expect(
      await selected(
        'involvedObject.kind=ImageStream,involvedObject.uid=u-1,involvedObject.name=app,involvedObject.namespace=demo',
      ),
    ).toEqual(['a', 'c'])
    expect(await selected('involvedObject.name=web')).toEqual(['b'])
    expect(await selected('involvedObject.fieldPath=spec.tags,reason=Failed')).toEqual(['c'])
    expect(await selected('type=Warning,reportingComponent=x')).toEqual(['a'])
    expect(await selected('involvedObject.name=none')).toEqual([])
    expect(await asAdmin('GET', `${events}?fieldSelector=message%3Dx`)).toMatchObject(refusal(400, 'BadRequest'))
  })

  test('about an object of another project are refused', async () => {
    const { asAdmin } = await apiWorld()
    const other = { ...involvedObject, namespace: 'other' }
    expect(await asAdmin('POST', events, event('a', { involvedObject: other }))).toMatchObject(
      invalidFields('involvedObject.namespace'),
    )
  })

  test('of more than 16 KiB are refused', async () => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('POST', events, event('a', { message: 'x'.repeat(20_000) }))).toMatchObject(
      refusal(413, 'RequestEntityTooLarge', expect.stringContaining('16384 bytes')),
    )
  })

  test('in a flood push out the oldest, of their own project alone', async () => {
    const { asAdmin, objects } = await apiWorld()
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    await asAdmin('POST', '/api/v1/namespaces/other/events', { metadata: { name: 'first' } })
    await asAdmin('POST', events, event('first'))
    // Most of them straight into the store, as if before a restart.
    for (let i = 0; i < 1100; i += 100) {
      const batch = Array.from({ length: 100 }, (_, j) => ({ metadata: { name: `old-${i + j}` } }))
      await Promise.all(batch.map((each) => objects.create('events', 'demo', each)))
    }
    await Promise.all(Array.from({ length: 100 }, (_, i) => asAdmin('POST', events, event(`new-${i}`))))
    const { items } = await objects.list('events', 'demo')
    expect(items.length).toBeLessThanOrEqual(1000)
    expect(items.length).toBeGreaterThan(900)
    const left = items.map(({ metadata }) => metadata.name)
    expect(left).not.toContain('first')
    expect(left.filter((name) => name.startsWith('new-'))).toHaveLength(100)
    expect((await objects.list('events', 'other')).items).toHaveLength(1)
  })

  test('are for those who may in their project, and not for anonymous', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    await asAdmin('POST', events, event('a'))
    const viewer = await robot('viewer', 'view')
    expect(names(await send('GET', events, { token: viewer }))).toEqual(['a'])
    expect((await send('POST', events, { token: viewer, body: event('b') })).status).toBe(403)
    expect((await send('GET', events)).status).toBe(403)
    expect((await send('POST', events, { body: event('b') })).status).toBe(403)
  })
})
