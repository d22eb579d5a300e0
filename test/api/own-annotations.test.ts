import { describe, expect, test } from 'vitest'
import { checkFields } from '../../src/api/field-validation.ts'
import { imagesWorld, itags, streams, tags, wire } from './kinds/images.ts'
import { inDemo } from './world.ts'

const typo = { 'weir.dev/retian': 'pinned' }
const lies = { 'weir.dev/content': 'held', 'weir.dev/hold': '{}' }
const own = { own: 'yes' }
const sent = (object: unknown) => ({ schema: undefined, object, duplicates: () => [] })

describe('an annotation in Weir’s domain that it does not know', () => {
  test.each(['Strict', 'Warn', 'Ignore'] as const)('is told in a header, and refused by nobody: %s', (validation) => {
    const { warning } = checkFields(validation, sent({ metadata: { annotations: { ...typo, ...own } } }))
    expect(warning).toMatch(
      /^299 - "metadata\.annotations: Weir knows no annotation weir\.dev\/retian, and does nothing about it; it knows weir\.dev\/retain, [^"]*"$/,
    )
    for (const name of ['weir.dev/platforms', 'weir.dev/move', 'weir.dev/home']) expect(warning).toContain(name)
  })

  test('is found wherever an object has annotations, and told ten times at most', () => {
    const warningOf = (object: unknown) => checkFields('Warn', sent(object)).warning ?? ''
    for (const field of ['metadata', 'spec', 'tag']) {
      expect(warningOf({ [field]: { annotations: typo } })).toContain(`"${field}.annotations: `)
    }
    const many = Array.from({ length: 50 }, () => ({ annotations: typo }))
    expect(warningOf({ spec: { tags: many } })).toContain('"spec.tags[9].annotations: ')
    expect(warningOf({ spec: { tags: many } }).match(/299/g)).toHaveLength(10)
    const long = warningOf({ metadata: { annotations: { [`weir.dev/${'x'.repeat(10_000)}"`]: '' } } })
    expect(long.length).toBeLessThan(300)
    for (const odd of [null, [], 'x', { metadata: { annotations: [] } }, { spec: { tags: [null, 1] } }]) {
      expect(warningOf(odd)).toBe('')
    }
  })

  test('is told of whatever write brings it, and kept', async () => {
    const api = await imagesWorld()
    await api.importTag('prod')
    const metadata = { name: 'new', annotations: typo }
    const from = { kind: 'ImageStreamTag', name: 'prod' }
    const answers = [
      await api.asAdmin('POST', streams, { metadata }),
      await api.patch('merge', `${streams}/app`, { metadata: { annotations: typo } }),
      await api.patch('strategic', `${tags}/app:prod`, { metadata: { annotations: typo } }),
      await api.asAdmin('POST', tags, { metadata: { name: 'app:dev' }, tag: { name: 'dev', annotations: typo, from } }),
      await api.asAdmin('POST', '/api/v1/namespaces', { metadata }),
      await api.patch('apply', `/api/v1/namespaces/demo?fieldManager=me`, {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: 'demo', annotations: typo },
      }),
    ]
    for (const { status, headers, text } of answers) {
      expect([200, 201], text).toContain(status)
      expect(headers.get('warning'), text).toContain('weir.dev/retian')
    }
    expect((await api.asAdmin('GET', `${streams}/app`)).text).toContain('weir.dev/retian')
  })
})

describe('an annotation that Weir computes', () => {
  test('is stored of nothing, whoever writes it, and warned of to nobody', async () => {
    const api = await imagesWorld()
    await api.importTag('prod')
    const annotations = { ...lies, ...own }
    const metadata = { name: 'new', annotations }
    const from = { kind: 'ImageStreamTag', name: 'prod' }
    const itag = wire(await api.asAdmin('GET', `${itags}/app:prod`))
    const answers = [
      await api.asAdmin('POST', streams, {
        metadata,
        spec: { tags: [{ name: 'a', annotations, from: { kind: 'ImageStreamTag', name: 'app:prod' } }] },
      }),
      await api.patch('merge', `${streams}/app`, { metadata: { annotations } }),
      await api.patch('merge', `${tags}/app:prod`, { metadata: { annotations } }),
      await api.asAdmin('PUT', `${itags}/app:prod`, { ...itag, metadata: {}, spec: { ...itag.spec, annotations } }),
      await api.asAdmin('POST', tags, { metadata: { name: 'app:dev', annotations }, tag: { name: 'dev', from } }),
      await api.asAdmin('POST', '/api/v1/namespaces', { metadata }),
      await api.patch('merge', '/api/v1/namespaces/demo', { metadata: { annotations } }),
      await api.asAdmin('POST', `/api/v1/${inDemo}/configmaps`, { metadata }),
    ]
    for (const { status, headers, text } of answers) {
      expect([200, 201], text).toContain(status)
      expect(headers.get('warning')).toBeNull()
    }
    const stored: string[] = []
    for await (const { key, value } of await api.store.range({ prefix: '' })) {
      if (!key.startsWith('change')) stored.push(`${key} ${value}`)
    }
    expect(stored.filter((entry) => /"annotations":[^}]*weir\.dev\/(content|hold)/.test(entry))).toEqual([])
    expect(stored.filter((entry) => /"annotations":[^}]*"own":"yes"/.test(entry)).length).toBeGreaterThanOrEqual(6)
  })
})
