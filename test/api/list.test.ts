import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { encodeContinue } from '../../src/api/continue.ts'
import { createLists, type ListsOptions } from '../../src/api/list.ts'
import { parseQuery } from '../../src/api/query.ts'
import type { ApiObject, Call, Page, Resource } from '../../src/api/resource.ts'
import { event } from '../streams/world.ts'
import { anywhereWriter } from '../support/anywhere-writer.ts'
import { imagesWorld } from './kinds/images.ts'
import { type Answered, type ApiWorld, apiWorld, imageApi, inDemo, names, rbacApi, refusal } from './world.ts'

const roles = `${rbacApi}/${inDemo}/roles`

type Metadata = { resourceVersion: string; continue?: string }

const metadataOf = ({ body }: { body: Record<string, unknown> }) => body.metadata as Metadata

/** A kind of numbered objects, every third one with label `third`, whose handler tells of each page that it was asked for. */
function numbers(count: number, pageSize = 500, annotations: Record<string, string> = {}) {
  const asked: (number | undefined)[] = []
  const objects = Array.from(
    { length: count },
    (_, i): ApiObject => ({
      metadata: { name: `n${i}`, labels: i % 3 === 0 ? { third: 'yes' } : {}, annotations, creationTimestamp: null },
    }),
  )
  const list = async ({ options }: Call): Promise<Page> => {
    asked.push(options.limit)
    const start = Number(options.continue ?? 0)
    const end = start + Math.min(options.limit ?? pageSize, pageSize)
    return {
      items: objects.slice(start, end),
      resourceVersion: '7',
      ...(end < count && { continue: String(end) }),
    }
  }
  const row: Resource = {
    group: 'weir.dev',
    version: 'v1',
    resource: 'numbers',
    singular: 'number',
    kind: 'Number',
    namespaced: false,
    handlers: { list },
  }
  return { row, asked }
}

function listOf(row: Resource, options: Partial<ListsOptions> = {}, can: Call['can'] = () => true) {
  const warn = vi.fn()
  const lists = createLists({
    newestRevision: async () => 7,
    isCompacted: async () => false,
    log: { warn },
    ...options,
  })
  const type = { kind: row.kind, apiVersion: `${row.group}/${row.version}` }
  const { group, version, resource } = row
  const target = { type: 'object' as const, group, version, resource, project: '', name: '', subresource: '' }
  const list = async (text: string) => {
    const query = new URLSearchParams(text)
    const call: Call = {
      subject: { name: 'ann', groups: [] },
      client: { address: '', userAgent: '' },
      project: '',
      name: '',
      options: parseQuery(query, ['metadata.name']),
      signal: new AbortController().signal,
      can,
      require: () => {},
    }
    const answered = await lists.list({
      call,
      matched: { row, served: row, target, verb: 'list', type },
      query,
      rendering: { form: { table: undefined, includeObject: 'Metadata' }, type, columns: undefined, nowMs: 0 },
    })
    if (answered instanceof Response) return { isStreamed: true, response: answered }
    return { isStreamed: false, response: new Response(JSON.stringify(answered.body)) }
  }
  const read = async (text: string) => {
    const { isStreamed, response } = await list(text)
    const body = (await response.json()) as { metadata: Metadata; items: ApiObject[] }
    return { isStreamed, ...body, names: body.items.map(({ metadata }) => metadata.name) }
  }
  return { list, read, warn }
}

describe('pages', () => {
  test('of what a selector selects are full, in order, and leave nothing out', async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 0, max: 400 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 60 }),
      async (count, limit, pageSize) => {
        const { read } = listOf(numbers(count, pageSize).row)
        const shown: (string | undefined)[] = []
        let next: string | undefined
        do {
          const page = await read(`limit=${limit}&labelSelector=third${next ? `&continue=${next}` : ''}`)
          expect(page.names.length).toBeLessThanOrEqual(limit)
          shown.push(...page.names)
          next = page.metadata.continue
        } while (next !== undefined)
        const expected = Array.from({ length: count }, (_, i) => i).filter((i) => i % 3 === 0)
        expect(shown).toEqual(expected.map((i) => `n${i}`))
      },
    )
    await fc.assert(property, { numRuns: 200 })
  })

  test('of what nothing is selected of are empty after a bounded number of reads, and go on', async () => {
    const { row, asked } = numbers(20_000)
    const { read } = listOf(row)
    const first = await read('limit=10&labelSelector=none')
    expect(first.names).toEqual([])
    expect(first.metadata.continue).toBeDefined()
    expect(asked.length).toBeLessThanOrEqual(20)
    expect(asked.at(-1)).toBe(500)
  })

  test('end once they are large, also when a selector leaves room', async () => {
    const { row, asked } = numbers(400, 20, { large: 'x'.repeat(1024 * 1024) })
    const { names: shown, metadata } = await listOf(row).read('limit=400&labelSelector=third')
    expect(shown.length).toBeGreaterThanOrEqual(16)
    expect(shown.length).toBeLessThan(30)
    expect(metadata.continue).toBeDefined()
    expect(asked.length).toBeLessThan(6)
  })

  test('without a selector cost one read', async () => {
    const { row, asked } = numbers(1000)
    expect((await listOf(row).read('limit=10')).names).toHaveLength(10)
    expect(asked).toEqual([10])
  })

  test('tell the revision of the first', async () => {
    const { row } = numbers(30)
    let revision = 7
    const { read } = listOf(row, { newestRevision: async () => revision })
    const first = await read('limit=10')
    revision = 9
    const second = await read(`limit=10&continue=${first.metadata.continue}`)
    expect([first.metadata.resourceVersion, second.metadata.resourceVersion]).toEqual(['7', '7'])
  })
})

describe('a list without a limit', () => {
  test('is whole, however many there are', async () => {
    const whole = await listOf(numbers(1700).row).read('')
    expect(whole.isStreamed).toBe(true)
    expect(whole.names).toEqual(Array.from({ length: 1700 }, (_, i) => `n${i}`))
    expect(whole.metadata).toEqual({ resourceVersion: '7' })
    const selected = await listOf(numbers(1700).row).read('labelSelector=third')
    expect(selected.names).toHaveLength(567)
    const none = await listOf(numbers(20_000).row).read('labelSelector=none')
    expect(none.names).toEqual([])
    expect(none.metadata).not.toHaveProperty('continue')
  })

  test('goes on to the end from a position', async () => {
    const { read } = listOf(numbers(1700).row)
    const first = await read('limit=100')
    expect((await read(`continue=${first.metadata.continue}`)).names).toHaveLength(1600)
  })

  test('is read no faster than the client takes it', async () => {
    const { row, asked } = numbers(50_000)
    const { response } = await listOf(row).list('')
    const reader = response.body?.getReader()
    await reader?.read()
    for (let turn = 0; turn < 100; turn += 1) await setImmediate()
    expect(asked.length).toBeLessThanOrEqual(2)
    await reader?.cancel()
    expect(asked.length).toBeLessThanOrEqual(2)
  })

  test('that fails on the way is broken off, never taken for whole', async () => {
    const { row } = numbers(1700)
    const { list } = row.handlers
    let pages = 0
    row.handlers.list = (call) => {
      pages += 1
      return pages > 2 ? Promise.reject(new Error('disk')) : (list?.(call) ?? Promise.reject(new Error()))
    }
    const { list: ask, warn } = listOf(row)
    const { response } = await ask('')
    await expect(response.text()).rejects.toThrow('disk')
    expect(warn).toHaveBeenCalledOnce()
  })

  test('comes whole through the API, as one document', async () => {
    const { asAdmin, objects } = await apiWorld()
    for (let i = 0; i < 501; i += 1)
      await objects.create('roles', 'demo', { metadata: { name: `r${1000 + i}` }, rules: [] })
    const whole = await asAdmin('GET', roles)
    expect(whole.headers.get('content-type')).toBe('application/json')
    expect(names(whole)).toEqual(Array.from({ length: 501 }, (_, i) => `r${1000 + i}`))
    expect(metadataOf(whole)).not.toHaveProperty('continue')
    const head = await asAdmin('HEAD', roles)
    expect(head).toMatchObject({ status: 200, text: '' })
  })
})

describe('while things change, a list is of one state', () => {
  const kinds = ['imagestreams', 'imagestreamtags', 'imagetags'] as const
  type Item = { metadata: { name: string; resourceVersion: string }; kind?: string; apiVersion?: string }
  const streamNames = Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? `s${i}` : `s${i - 1}-x`))
  const withImage = (image: string) => () => ({ event: event(image) })

  async function filled() {
    const flows = await apiWorld()
    const world = { ...flows, writer: anywhereWriter({ store: flows.store, now: flows.clock.now }) }
    for (const stream of streamNames) {
      for (const tag of ['v1', 'v2', 'v3']) {
        await world.writer.changeTag({ project: 'demo', stream }, tag, withImage('a'), { create: true })
      }
    }
    let turn = 0
    /** Moves a tag, and now and then makes, deletes and replaces streams. */
    const change = async () => {
      turn += 1
      const stream = streamNames[turn % streamNames.length] ?? ''
      if (turn % 3 === 0) await world.writer.delete({ project: 'demo', stream })
      if (turn % 5 === 0) await world.writer.create({ project: 'demo', stream: `a${turn}` })
      const image = 'bcdef'[turn % 5] ?? ''
      await world.writer.changeTag({ project: 'demo', stream }, `v${turn % 4}`, withImage(image), { create: true })
    }
    return { ...world, change }
  }

  test.each(kinds)('in pages of %s, also from within a stream', async (kind) => {
    const { asAdmin, change } = await filled()
    const path = `${imageApi}/${inDemo}/${kind}`
    for (let round = 0; round < 5; round += 1) {
      const whole = await asAdmin('GET', path)
      const items: unknown[] = []
      const versions = new Set<string>()
      for (let next: string | undefined = ''; next !== undefined; ) {
        const page: Answered = await asAdmin('GET', `${path}?limit=2${next && `&continue=${next}`}`)
        items.push(...(page.body.items as unknown[]))
        versions.add(metadataOf(page).resourceVersion)
        next = metadataOf(page).continue
        await change()
      }
      expect(items).toEqual(whole.body.items)
      expect([...versions]).toEqual([metadataOf(whole).resourceVersion])
    }
  })

  test('also when it is streamed to a slow client', async () => {
    const { open, asAdmin, objects, writer } = await apiWorld()
    for (let i = 0; i < 1001; i += 1) {
      await objects.create('roles', 'demo', { metadata: { name: `r${1000 + i}` }, rules: [] })
    }
    const before = names(await asAdmin('GET', roles))
    const response = await open(roles)
    await objects.delete('roles', 'demo', 'r1800')
    await objects.create('roles', 'demo', { metadata: { name: 'r1700-new' }, rules: [] })
    await writer.create({ project: 'demo', stream: 'app' })
    const body = (await response.json()) as Record<string, unknown>
    expect(names({ body } as Answered)).toEqual(before)
  })

  test.each(kinds)('so that who lists %s in pages and watches from there never sees one go back', async (kind) => {
    const { asAdmin, adminToken, change, watch, writer } = await filled()
    const path = `${imageApi}/${inDemo}/${kind}`
    const cache = new Map<string, Item>()
    let version = ''
    for (let next: string | undefined = ''; next !== undefined; ) {
      const page: Answered = await asAdmin('GET', `${path}?limit=2${next && `&continue=${next}`}`)
      for (const item of page.body.items as Item[]) cache.set(item.metadata.name, item)
      version = metadataOf(page).resourceVersion
      next = metadataOf(page).continue
      await change()
    }
    await writer.changeTag({ project: 'demo', stream: 'zz' }, 'last', withImage('a'), { create: true })
    const now = await asAdmin('GET', path)
    const next = await watch(`${path}?watch=1&resourceVersion=${version}`, adminToken)
    for (let isLast = false; !isLast; ) {
      const { type, object } = (await next()) ?? { type: 'END', object: { metadata: {} } }
      const { name, resourceVersion } = object.metadata as Item['metadata']
      const known = cache.get(name)
      expect([type, name, known === undefined]).toEqual([type, name, type === 'ADDED'])
      expect(Number(resourceVersion)).toBeGreaterThan(Number(known?.metadata.resourceVersion ?? version))
      if (type === 'DELETED') cache.delete(name)
      else cache.set(name, object as unknown as Item)
      isLast = name.startsWith('zz')
    }
    // A tag has its stream's resourceVersion, and is not told when another tag moves.
    const shown = (items: Iterable<Item>) =>
      [...items]
        .map(({ metadata: { resourceVersion: _, ...metadata }, ...item }) => ({ ...item, metadata }))
        .map(({ kind: _, apiVersion: __, ...item }) => item)
        .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    expect(shown(cache.values())).toEqual(shown(now.body.items as Item[]))
  })
})

describe('continue', () => {
  async function paged(): Promise<ApiWorld & { next: string }> {
    const world = await apiWorld()
    await world.objects.create('namespaces', '', { metadata: { name: 'other' } })
    for (const project of ['demo', 'other']) {
      for (const name of ['a', 'b', 'c'])
        await world.objects.create('roles', project, { metadata: { name }, rules: [] })
    }
    return { ...world, next: metadataOf(await world.asAdmin('GET', `${roles}?limit=1`)).continue ?? '' }
  }

  test('leads on', async () => {
    const { asAdmin, next } = await paged()
    expect(names(await asAdmin('GET', `${roles}?limit=1&continue=${next}`))).toEqual(['b'])
  })

  test.each([
    ['another project', `${rbacApi}/namespaces/other/roles`],
    ['another kind', `${rbacApi}/${inDemo}/rolebindings`],
    ['all projects', `${rbacApi}/roles`],
    ['a kind of another group', '/api/v1/namespaces'],
    ['streams', `${imageApi}/${inDemo}/imagestreams`],
  ])('of this list is refused by that of %s', async (_what, path) => {
    const { asAdmin, next } = await paged()
    expect(await asAdmin('GET', `${path}?limit=1&continue=${next}`)).toMatchObject(
      refusal(400, 'BadRequest', expect.stringContaining('continue')),
    )
  })

  test('that was tampered with shows nothing of another project', async () => {
    const { asAdmin, next } = await paged()
    const position = JSON.parse(Buffer.from(next, 'base64url').toString()) as Record<string, string>
    const elsewhere = metadataOf(await asAdmin('GET', `${rbacApi}/namespaces/other/roles?limit=1`)).continue ?? ''
    const { at } = JSON.parse(Buffer.from(elsewhere, 'base64url').toString()) as { at: string }
    const forged = [
      { ...position, at },
      { ...position, at: 'x' },
      { ...position, at: 5 },
      { ...position, revision: -1 },
      { ...position, revision: 1e300 },
      { ...position, list: '__proto__' },
      { ...position, at: Buffer.from(JSON.stringify([1, 'object/roles/demo\ud800'])).toString('base64url') },
      [],
      null,
    ]
    for (const each of forged) {
      const token = encodeContinue(each as Record<string, unknown>)
      expect(await asAdmin('GET', `${roles}?limit=1&continue=${token}`)).toMatchObject(refusal(400, 'BadRequest'))
    }
    for (const token of ['x', '%00', '..', 'e30', 'a'.repeat(9000), Buffer.from('{').toString('base64url')]) {
      expect(await asAdmin('GET', `${roles}?continue=${token}`)).toMatchObject(refusal(400, 'BadRequest'))
    }
  })

  test('of a stream list that names another project shows nothing of it', async () => {
    const { asAdmin, writer, objects } = await apiWorld()
    await objects.create('namespaces', '', { metadata: { name: 'other' } })
    for (const project of ['demo', 'other']) for (const stream of ['a', 'b']) await writer.create({ project, stream })
    const streams = (project: string, query: string) =>
      asAdmin('GET', `${imageApi}/namespaces/${project}/imagestreams?limit=1${query}`)
    const inner = async (project: string) =>
      JSON.parse(Buffer.from(metadataOf(await streams(project, '')).continue ?? '', 'base64url').toString())
    const forged = encodeContinue({ ...(await inner('demo')), at: (await inner('other')).at })
    const answer = await streams('demo', `&continue=${forged}`)
    expect(JSON.stringify(answer.body)).not.toContain('"namespace":"other"')
    expect([200, 400]).toContain(answer.status)
  })

  test('of a compacted list is 410 with a position that goes on without it', async () => {
    let isCompacted = false
    const { asAdmin, objects } = await apiWorld(() => ({ isCompacted: async () => isCompacted }))
    for (const name of ['a', 'b']) await objects.create('roles', 'demo', { metadata: { name }, rules: [] })
    const first = await asAdmin('GET', `${roles}?limit=1`)
    await objects.create('roles', 'demo', { metadata: { name: 'c' }, rules: [] })
    isCompacted = true
    const expired = await asAdmin('GET', `${roles}?limit=1&continue=${metadataOf(first).continue}`)
    expect(expired).toMatchObject({
      status: 410,
      body: { kind: 'Status', reason: 'Expired', message: expect.stringContaining('inconsistent list') },
    })
    isCompacted = false
    const next = await asAdmin('GET', `${roles}?limit=1&continue=${metadataOf(expired).continue}`)
    expect(names(next)).toEqual(['b'])
    expect(Number(metadataOf(next).resourceVersion)).toBeGreaterThan(Number(metadataOf(first).resourceVersion))
  })

  test('does not tell who may list one name alone what others are called', async () => {
    const query = 'limit=1&fieldSelector=metadata.name%3Dn19999'
    const one = await listOf(numbers(20_000).row, {}, ({ name }) => name === 'n19999').read(query)
    expect(one.names).toEqual(['n19999'])
    expect(one.metadata).toEqual({ resourceVersion: '7' })
    const open = await listOf(numbers(20_000).row).read(query)
    expect(open.metadata.continue).toBeDefined()
  })
})

describe('a list by metadata.name', () => {
  const named = (name: string) => `?fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`

  test('is of the newest revision, so that a watch goes on from there', async () => {
    const { asAdmin, objects } = await apiWorld()
    const role = await objects.create('roles', 'demo', { metadata: { name: 'a' }, rules: [] })
    const later = await objects.create('roles', 'demo', { metadata: { name: 'b' }, rules: [] })
    const found = await asAdmin('GET', `${roles}${named('a')}&limit=500&resourceVersion=0`)
    expect(names(found)).toEqual(['a'])
    expect(found.body.items).toMatchObject([{ metadata: { resourceVersion: role.metadata.resourceVersion } }])
    const none = await asAdmin('GET', `${roles}${named('none')}`)
    expect(names(none)).toEqual([])
    for (const answer of [found, none]) {
      expect(Number(metadataOf(answer).resourceVersion)).toBeGreaterThanOrEqual(Number(later.metadata.resourceVersion))
    }
  })

  test.each(['imagestreamtags', 'imagetags', 'imagestreams'])(
    'shows of %s what lists and watches show',
    async (kind) => {
      const { asAdmin, importTag, watch, adminToken } = await imagesWorld()
      await importTag('prod')
      await importTag('test')
      const path = `${imageApi}/${inDemo}/${kind}`
      const [item] = (await asAdmin('GET', path)).body.items as [{ metadata: { name: string } }]
      const selected = await asAdmin('GET', `${path}${named(item.metadata.name)}`)
      expect(selected.body.items).toEqual([item])
      const next = await watch(`${path}${named(item.metadata.name)}&watch=1`, adminToken)
      expect((await next())?.object).toMatchObject(item)
      const alone = await asAdmin('GET', `${path}/${item.metadata.name}`)
      if (kind !== 'imagestreams') expect(alone.body).toMatchObject({ image: { dockerImageMetadata: { Os: 'linux' } } })
    },
  )

  test('that no object can have is empty', async () => {
    const { asAdmin } = await apiWorld()
    for (const name of ['no-colon', 'a:b:c', 'a/b', '%', '..', '', 'x'.repeat(300), '\u0000']) {
      const path = `${imageApi}/${inDemo}/imagestreamtags${named(name)}`
      expect([name, names(await asAdmin('GET', path))]).toEqual([name, []])
    }
  })

  test('goes by the other selectors too', async () => {
    const { asAdmin, objects } = await apiWorld()
    await objects.create('roles', 'demo', { metadata: { name: 'a', labels: { tier: 'x' } }, rules: [] })
    expect(names(await asAdmin('GET', `${roles}${named('a')}&labelSelector=tier%3Dx`))).toEqual(['a'])
    expect(names(await asAdmin('GET', `${roles}${named('a')}&labelSelector=tier%3Dy`))).toEqual([])
    expect(names(await asAdmin('GET', `${roles}?fieldSelector=metadata.name!%3Da`))).toEqual([])
  })

  test('shows no project that the caller may not see', async () => {
    const { send, asAdmin, robot, objects } = await apiWorld()
    await objects.create('namespaces', '', { metadata: { name: 'other' } })
    const token = await robot('ci', 'view')
    for (const path of ['/api/v1/namespaces', '/apis/project.openshift.io/v1/projects']) {
      expect(names(await send('GET', `${path}${named('other')}`, { token }))).toEqual([])
      expect(names(await send('GET', `${path}${named('demo')}`, { token }))).toEqual(['demo'])
      expect(names(await asAdmin('GET', `${path}${named('other')}`))).toEqual(['other'])
    }
  })
})

describe('resourceVersion of a list', () => {
  test.each([
    '',
    'resourceVersion=',
    'resourceVersion=0',
    'resourceVersion=1',
    'resourceVersion=1&resourceVersionMatch=NotOlderThan',
    'resourceVersion=0&resourceVersionMatch=NotOlderThan',
  ])('%j is answered with the newest state', async (query) => {
    const { asAdmin, objects } = await apiWorld()
    await objects.create('roles', 'demo', { metadata: { name: 'a' }, rules: [] })
    expect(names(await asAdmin('GET', `${roles}?${query}`))).toEqual(['a'])
  })

  test('of the future is a timeout that clients know by its cause', async () => {
    const { asAdmin } = await apiWorld()
    for (const query of ['resourceVersion=99999', 'resourceVersion=99999&resourceVersionMatch=Exact']) {
      const answer = await asAdmin('GET', `${roles}?${query}`)
      expect(answer).toMatchObject({
        status: 504,
        body: {
          reason: 'Timeout',
          code: 504,
          message: expect.stringMatching(/^Timeout: Too large resource version: 99999, current: [0-9]+$/),
          details: {
            retryAfterSeconds: 1,
            causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
          },
        },
      })
      expect(answer.headers.get('retry-after')).toBe('1')
    }
  })

  test('is served exactly while it is the newest, and is expired afterwards', async () => {
    const { asAdmin, objects } = await apiWorld()
    await objects.create('roles', 'demo', { metadata: { name: 'a' }, rules: [] })
    const { resourceVersion } = metadataOf(await asAdmin('GET', roles))
    const exact = `${roles}?resourceVersionMatch=Exact&resourceVersion=${resourceVersion}`
    const served = await asAdmin('GET', exact)
    expect([names(served), metadataOf(served)]).toEqual([['a'], { resourceVersion }])
    await objects.create('roles', 'demo', { metadata: { name: 'b' }, rules: [] })
    expect(await asAdmin('GET', exact)).toMatchObject(refusal(410, 'Expired', expect.stringContaining('too old')))
  })

  test('is not served exactly when it passed while the list was read', async () => {
    let revision = 7
    const { row } = numbers(3)
    const { list } = row.handlers
    row.handlers.list = (call) => {
      revision += 1
      return list?.(call) ?? Promise.reject(new Error())
    }
    const { read } = listOf(row, { newestRevision: async () => revision })
    await expect(read('resourceVersion=7&resourceVersionMatch=Exact')).rejects.toMatchObject({ code: 'EXPIRED' })
  })

  test.each([
    ['resourceVersion=abc', 400, /resourceVersion/],
    ['resourceVersion=-1', 400, /resourceVersion/],
    [`resourceVersion=${'9'.repeat(100)}`, 400, /resourceVersion/],
    ['resourceVersionMatch=Exact', 422, /forbidden unless resourceVersion is provided/],
    ['resourceVersionMatch=Exact&resourceVersion=0', 422, /forbidden for resourceVersion "0"/],
    ['resourceVersionMatch=Newest&resourceVersion=1', 422, /Unsupported value: "Newest"/],
    ['resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=x', 422, /forbidden when continue is provided/],
    ['resourceVersion=1&continue=x', 400, /not allowed when using continue/],
  ])('%s is refused', async (query, status, message) => {
    const { asAdmin } = await apiWorld()
    expect(await asAdmin('GET', `${roles}?${query}`)).toMatchObject({
      status,
      body: { kind: 'Status', message: expect.stringMatching(message) },
    })
  })
})

describe('selectors through the API', () => {
  test('narrow lists in every scope', async () => {
    const { asAdmin, objects } = await apiWorld()
    await objects.create('namespaces', '', { metadata: { name: 'other', labels: { tier: 'x' } } })
    for (const [project, name, tier] of [
      ['demo', 'a', 'x'],
      ['demo', 'b', 'y'],
      ['other', 'c', 'x'],
    ] as const) {
      await objects.create('roles', project, { metadata: { name, labels: { tier } }, rules: [] })
    }
    expect(names(await asAdmin('GET', `${roles}?labelSelector=tier%3Dx`))).toEqual(['a'])
    expect(names(await asAdmin('GET', `${rbacApi}/roles?labelSelector=tier+in+(x)`))).toEqual(['a', 'c'])
    expect(names(await asAdmin('GET', `${rbacApi}/roles?fieldSelector=metadata.namespace%3Ddemo`))).toEqual(['a', 'b'])
    expect(names(await asAdmin('GET', '/api/v1/namespaces?labelSelector=tier'))).toEqual(['other'])
  })

  test('that are hostile are refused', async () => {
    const { asAdmin } = await apiWorld()
    const hostile = [
      'x'.repeat(65_536),
      '('.repeat(5000),
      'a=\u0000',
      'a in (((',
      `${'a,'.repeat(3000)}a`,
      '__proto__',
      '=',
    ]
    for (const selector of hostile) {
      for (const name of ['labelSelector', 'fieldSelector']) {
        const answer = await asAdmin('GET', `${roles}?${name}=${encodeURIComponent(selector)}`)
        expect(answer).toMatchObject(refusal(400, 'BadRequest', expect.stringMatching(/Selector|field label/)))
      }
    }
    for (const limit of ['-1', 'abc', '1e12', 'NaN', '']) {
      expect((await asAdmin('GET', `${roles}?limit=${limit}`)).status).toBe(limit === '' ? 200 : 400)
    }
    expect((await asAdmin('GET', `${roles}?limit=1000000000000&nonsense=1&__proto__=x`)).status).toBe(200)
  })
})
