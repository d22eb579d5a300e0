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
    const named = ['platforms', 'move', 'home', 'deletes', 'import-interval', 'min-age', 'track']
    for (const name of named) expect(warning).toContain(`, ${name}`)
  })

  test('is found wherever an object has annotations, and told ten times at most', () => {
    const warningOf = (object: unknown) => checkFields('Warn', sent(object)).warning ?? ''
    for (const field of ['metadata', 'spec', 'tag']) {
      expect(warningOf({ [field]: { annotations: typo } })).toContain(`"${field}.annotations: `)
    }
    expect(warningOf({ spec: { tags: [{}, { annotations: typo }] } })).not.toContain('...')
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

describe('an annotation that does nothing where it is written', () => {
  const home = { 'weir.dev/home': 'registry.example.com/team' }
  const deletes = { 'weir.dev/deletes': 'denied' }
  const warningOf = (object: unknown) => checkFields('Warn', sent(object)).warning ?? ''

  test.each<[string, string, object]>([
    ['metadata', 'image stream', { kind: 'ImageStream', metadata: { annotations: home } }],
    ['spec.tags[0]', 'tag', { kind: 'ImageStream', spec: { tags: [{ annotations: home }] } }],
    ['metadata', 'tag', { kind: 'ImageStreamTag', metadata: { annotations: home } }],
    ['tag', 'tag', { kind: 'ImageStreamTag', tag: { annotations: home } }],
    ['spec', 'tag', { kind: 'ImageTag', spec: { annotations: home } }],
  ])('is told: the home at %s of an object of kind %s', (field, level, object) => {
    const article = level === 'tag' ? 'a' : 'an'
    expect(warningOf(object)).toBe(
      `299 - "${field}.annotations: weir.dev/home does nothing on ${article} ${level}: it counts on a project"`,
    )
  })

  test('is told of deletes on a tag too, and nothing is told of what counts, or of other kinds', () => {
    const tag = { kind: 'ImageStreamTag', metadata: { annotations: deletes } }
    expect(warningOf(tag)).toContain(
      'weir.dev/deletes does nothing on a tag: it counts on a project or an image stream',
    )
    for (const quiet of [
      { kind: 'ImageStream', metadata: { annotations: deletes } },
      { kind: 'Namespace', metadata: { annotations: { ...home, ...deletes } } },
      { kind: 'Project', metadata: { annotations: home } },
      // It shows those of its stream.
      { kind: 'ImageTag', metadata: { annotations: { ...home, ...deletes } } },
      { kind: 'ConfigMap', metadata: { annotations: home } },
      { metadata: { annotations: home } },
      { kind: 7, metadata: { annotations: home } },
    ]) {
      expect(warningOf(quiet), JSON.stringify(quiet)).toBe('')
    }
  })

  test('is told by the API, also of an object that does not say its kind, and is kept', async () => {
    const api = await imagesWorld()
    await api.importTag('prod')
    const told = 'weir.dev/home does nothing on'
    const made = await api.asAdmin('POST', streams, { metadata: { name: 'new', annotations: home } })
    expect(made.headers.get('warning')).toContain(`${told} an image stream`)
    for (const [path, level] of [
      [`${streams}/app`, 'an image stream'],
      [`${tags}/app:prod`, 'a tag'],
    ] as const) {
      const answer = await api.patch('merge', path, { metadata: { annotations: home } })
      expect(answer.status, answer.text).toBe(200)
      expect(answer.headers.get('warning'), path).toContain(`${told} ${level}`)
    }
  })
})

describe('a list of immutable tags on a stream', () => {
  const streamWith = (written: string, names: readonly unknown[]) => ({
    kind: 'ImageStream',
    metadata: { annotations: { 'weir.dev/immutable': written } },
    status: { tags: names.map((tag) => ({ tag, items: [] })) },
  })
  const warningOf = (object: unknown) => checkFields('Warn', sent(object)).warning ?? ''

  test('that fits none of its tags is told', () => {
    expect(warningOf(streamWith('treu', ['v1', 'prod']))).toBe(
      '299 - "metadata.annotations: weir.dev/immutable: treu fits no tag that this image stream has now, and what its project says of immutable tags does not count here"',
    )
    expect(warningOf(streamWith('release-*,w*', ['v1']))).toContain('fits no tag')
    const long = warningOf(streamWith(`${'x'.repeat(100)},`.repeat(20).slice(0, -1), ['v1']))
    expect(long.length).toBeLessThan(300)
  })

  test('that fits one, or says it of all, or is of a stream without tags, is not', () => {
    for (const [written, names] of [
      ['v*', ['prod', 'v1']],
      ['true', ['prod']],
      ['false', ['prod']],
      ['treu', []],
      ['v!', ['prod']],
      ['treu', [null, 7, {}]],
    ] as const) {
      expect(warningOf(streamWith(written, names)), written).toBe('')
    }
    for (const status of [undefined, null, 1, { tags: null }, { tags: [null, 1] }]) {
      expect(warningOf({ ...streamWith('treu', []), status })).toBe('')
    }
    const many = Array.from({ length: 100_000 }, (_, i) => `t${i}`)
    expect(warningOf(streamWith('treu', many))).toBe('')
  })

  test('is told by the API of a tag that is wanted or stands', async () => {
    const api = await imagesWorld()
    await api.importTag('prod')
    const says = (written: string) => ({ metadata: { annotations: { 'weir.dev/immutable': written } } })
    const answer = await api.patch('merge', `${streams}/app`, says('treu'))
    expect(answer.status).toBe(200)
    expect(answer.headers.get('warning')).toContain('weir.dev/immutable: treu fits no tag')
    expect((await api.patch('merge', `${streams}/app`, says('pr*'))).headers.get('warning')).toBeNull()
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
