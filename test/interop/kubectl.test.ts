/** A current kubectl writes image streams: create, apply, edit, replace, patch, server-side apply, label, annotate, delete. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Kubectl } from './support/kubectl.ts'
import { type KubectlWorld, startKubectlWorld, streamYaml } from './support/kubectl-world.ts'
import { realImage } from './support/real-images.ts'

let world: KubectlWorld
let kubectl: Kubectl

beforeAll(async () => {
  world = await startKubectlWorld()
  kubectl = await world.inProject('demo')
  console.log(`client: kubectl ${/v[0-9.]+/.exec(await kubectl('version', '--client'))?.[0]}`)
})

afterAll(() => world?.stop())

const app = (version: number) => world.app(version)

/** What a stream has now. */
interface Seen {
  version: string
  generation: number
  /** Source of each spec tag. */
  wanted: Record<string, string>
  /** Number of the version of `lib/app` that each status tag stands at. */
  stands: Record<string, number | undefined>
  labels: Record<string, string> | undefined
}

async function seen(name: string): Promise<Seen> {
  const { metadata, spec, status } = await kubectl.json('get', 'is', name)
  return {
    version: metadata.resourceVersion,
    generation: metadata.generation,
    wanted: Object.fromEntries((spec.tags ?? []).map((tag: Spec) => [tag.name, tag.from?.name ?? ''])),
    stands: Object.fromEntries((status.tags ?? []).map(({ tag, items }: Status) => [tag, versionOf(items)])),
    labels: metadata.labels,
  }
}

interface Spec {
  name: string
  from?: { name: string }
}

interface Status {
  tag: string
  items: { image: string }[] | null
}

function versionOf(items: Status['items']): number | undefined {
  return [1, 2, 3].find((version) => world.digest(version) === items?.[0]?.image)
}

/** Waits until tags stand where they should: what `DockerImage` sources have is imported behind the answer. */
async function standing(name: string, stands: Record<string, number>): Promise<void> {
  await vi.waitFor(async () => expect((await seen(name)).stands).toMatchObject(stands), { timeout: 20_000 })
}

describe('create and apply', () => {
  test('make a stream once, and the import follows', async () => {
    const yaml = streamYaml('made', { one: app(1) })
    expect(await kubectl.send(yaml, 'create')).toBe('imagestream.image.openshift.io/made created\n')
    await standing('made', { one: 1 })
    expect(await kubectl.refuses(yaml, 'create')).toContain('imagestreams.image.openshift.io "made" already exists')
    expect(await seen('made')).toMatchObject({ wanted: { one: app(1) }, generation: 1 })
  })

  test('leave everything as it is when applied again', async () => {
    const yaml = streamYaml('again', { one: app(1), two: app(2) }, { labels: { team: 'red' } })
    expect(await kubectl.send(yaml, 'apply')).toBe('imagestream.image.openshift.io/again created\n')
    await standing('again', { one: 1, two: 2 })
    const before = await seen('again')
    expect(await kubectl.send(yaml, 'apply')).toBe('imagestream.image.openshift.io/again unchanged\n')
    expect((await kubectl.try(['diff', '-f', '-'], { input: yaml })).code).toBe(0)
    expect(await seen('again')).toEqual(before)
  })

  test('move what changed in the file, and that alone', async () => {
    const file = (two: number) => streamYaml('moved', { follows: 'istag/two', one: app(1), two: app(two) })
    await kubectl.send(file(2), 'apply')
    await standing('moved', { one: 1, two: 2, follows: 2 })
    const { generation } = await seen('moved')
    const diff = await kubectl.try(['diff', '-f', '-'], { input: file(3) })
    expect(diff).toMatchObject({ code: 1 })
    expect(diff.stdout).toMatch(/^-.*lib\/app:2$/m)
    expect(diff.stdout).toMatch(/^\+.*lib\/app:3$/m)
    expect((await seen('moved')).generation, 'a diff writes nothing').toBe(generation)
    expect(await kubectl.send(file(3), 'apply')).toContain('configured')
    await standing('moved', { one: 1, two: 3, follows: 3 })
    const tags = (await kubectl.json('get', 'is', 'moved')).spec.tags as { name: string; generation: number }[]
    expect(tags.map((tag) => [tag.name, tag.generation])).toEqual([
      ['follows', generation],
      ['one', generation],
      ['two', generation + 1],
    ])
  })

  test('take out of the wishes what is taken out of the file; what was accepted stays', async () => {
    await kubectl.send(streamYaml('less', { one: app(1), two: app(2) }), 'apply')
    await standing('less', { one: 1, two: 2 })
    // Somebody else's tag is not the file's.
    await kubectl('patch', 'is', 'less', '-p', JSON.stringify({ spec: { tags: [{ name: 'theirs' }] } }))
    expect(await kubectl.send(streamYaml('less', { one: app(1) }), 'apply')).toContain('configured')
    expect(await seen('less')).toMatchObject({ wanted: { one: app(1), theirs: '' }, stands: { one: 1, two: 2 } })
    expect(Object.keys((await seen('less')).wanted)).toEqual(['one', 'theirs'])
  })

  test('change nothing when the file has the tags in another order', async () => {
    const yaml = streamYaml('order', { z: app(1), a: app(2) })
    await kubectl.send(yaml, 'apply')
    await standing('order', { z: 1, a: 2 })
    const before = await seen('order')
    // kubectl says so of a patch that sorts alone, as on OKD, where tags are sorted by name too.
    expect(await kubectl.send(yaml, 'apply')).toContain('configured')
    expect(await seen('order')).toEqual(before)
  })

  test('refuse a file with an unknown field, and nothing of it is done', async () => {
    await kubectl.send(streamYaml('strict', { one: app(1) }), 'apply')
    const before = await seen('strict')
    const wrong = streamYaml('strict', { one: app(2) }, { spec: { tagz: [] } })
    for (const args of [['apply'], ['apply', '--server-side'], ['replace']]) {
      expect(await kubectl.refuses(wrong, ...args), args.join(' ')).toContain('unknown field "spec.tagz"')
    }
    expect((await seen('strict')).wanted).toEqual(before.wanted)
    const warned = await kubectl.try(['apply', '--validate=warn', '-f', '-'], { input: wrong })
    expect(warned).toMatchObject({ code: 0, stderr: expect.stringContaining('Warning: unknown field "spec.tagz"') })
    expect((await seen('strict')).wanted).toEqual({ one: app(2) })
  })

  test('write nothing as a dry run on the server', async () => {
    const yaml = streamYaml('dry', { one: app(1) })
    for (const args of [['create'], ['apply'], ['apply', '--server-side']]) {
      expect(await kubectl.send(yaml, ...args, '--dry-run=server')).toContain('(server dry run)')
    }
    expect(await kubectl.fails('get', 'is', 'dry')).toContain('not found')
    await kubectl.send(yaml, 'apply')
    await standing('dry', { one: 1 })
    const before = await seen('dry')
    const more = streamYaml('dry', { one: app(2) })
    for (const args of [['apply'], ['apply', '--server-side', '--force-conflicts']]) {
      expect(await kubectl.send(more, ...args, '--dry-run=server', '-o', 'yaml')).toContain('lib/app:2')
    }
    await kubectl('label', 'is', 'dry', 'a=b', '--dry-run=server')
    await kubectl('patch', 'is', 'dry', '--type=merge', '-p', '{"spec":{"tags":[]}}', '--dry-run=server')
    await kubectl('delete', 'istag', 'dry:one', '--dry-run=server')
    await kubectl('delete', 'is', 'dry', '--dry-run=server')
    expect(await seen('dry')).toEqual(before)
    expect(await kubectl.refuses(streamYaml('dry', { 'no!': app(1) }), 'apply', '--dry-run=server')).toContain('no!')
  })
})

describe('edit', () => {
  test('changes a stream, and one tag by itself', async () => {
    await kubectl.send(streamYaml('edited', { one: app(1) }, { labels: { team: 'red' } }), 'create')
    await standing('edited', { one: 1 })
    const label = await kubectl.edit('s/team: red/team: blue/', 'is', 'edited')
    expect(label).toMatchObject({ code: 0, stdout: 'imagestream.image.openshift.io/edited edited\n' })
    expect((await seen('edited')).labels).toEqual({ team: 'blue' })
    expect(await kubectl.edit('s,lib/app:1,lib/app:2,', 'istag', 'edited:one')).toMatchObject({ code: 0 })
    await standing('edited', { one: 2 })
    const nothing = await kubectl.edit('s/nothing/nothing/', 'is', 'edited')
    expect(nothing.stdout + nothing.stderr).toContain('Edit cancelled, no changes made')
  })

  test('shows why what was edited is refused, and changes nothing', async () => {
    await kubectl.send(streamYaml('misedited', { one: app(1) }), 'create')
    await standing('misedited', { one: 1 })
    const before = await seen('misedited')
    const refused = await kubectl.edit('s/name: one$/name: no!/', 'is', 'misedited')
    expect(refused.code).not.toBe(0)
    // kubectl tells why in the file that it opens again and keeps.
    const [, kept = ''] = /has been stored to "(.+)"/.exec(refused.stderr) ?? []
    expect(await readFile(kept, 'utf8')).toContain('# * spec.tags[no!].name: Invalid value: "no!": must match')
    expect(await seen('misedited')).toEqual(before)
  })
})

describe('replace', () => {
  test('puts what was read and changed', async () => {
    await kubectl.send(streamYaml('replaced', { one: app(1), two: app(1) }), 'create')
    await standing('replaced', { one: 1, two: 1 })
    const read = await kubectl('get', 'is', 'replaced', '-o', 'yaml')
    expect(await kubectl.send(read.replace('lib/app:1', 'lib/app:2'), 'replace')).toContain('replaced')
    await standing('replaced', { one: 2, two: 1 })
  })

  test('refuses what was read before a wish changed that it would undo', async () => {
    await kubectl.send(streamYaml('raced', { one: app(1), two: app(1) }), 'create')
    await standing('raced', { one: 1, two: 1 })
    const read = await kubectl('get', 'is', 'raced', '-o', 'yaml')
    const two = { name: 'two', from: { kind: 'DockerImage', name: app(3) } }
    await kubectl('patch', 'is', 'raced', '-p', JSON.stringify({ spec: { tags: [two] } }))
    await standing('raced', { two: 3 })
    const one = await kubectl.try(['replace', '-f', '-'], { input: read.replace('lib/app:1', 'lib/app:2') })
    expect(one, one.stderr).toMatchObject({ code: 1, stderr: expect.stringContaining('Conflict') })
    expect((await seen('raced')).wanted).toEqual({ one: app(1), two: app(3) })
  })

  test('takes what was read before another tag only moved', async () => {
    const source = `${world.registry.host}/lib/raced:v`
    await world.registry.put('lib/raced', realImage('app 1'), 'v')
    await kubectl.send(streamYaml('outrun', { one: app(1), two: source }), 'create')
    await standing('outrun', { one: 1, two: 1 })
    const read = await kubectl('get', 'is', 'outrun', '-o', 'yaml')
    await world.registry.put('lib/raced', realImage('app 2'), 'v')
    const asked = { from: { kind: 'DockerImage', name: source }, to: { name: 'two' } }
    const command = { metadata: { name: 'outrun' }, spec: { import: true, images: [asked] } }
    const kind = { apiVersion: 'image.openshift.io/v1', kind: 'ImageStreamImport' }
    await kubectl.send(JSON.stringify({ ...kind, ...command }), 'create')
    expect((await seen('outrun')).stands).toEqual({ one: 1, two: 2 })
    await kubectl.send(read.replace('lib/app:1', 'lib/app:3'), 'replace')
    await standing('outrun', { one: 3, two: 2 })
  })

  test('makes a stream anew by force: nothing of the first one is in it', async () => {
    await kubectl.send(streamYaml('forced', { one: app(1), two: app(2) }), 'create')
    await standing('forced', { one: 1, two: 2 })
    const { uid } = (await kubectl.json('get', 'is', 'forced')).metadata
    expect(await kubectl.send(streamYaml('forced', { one: app(3) }), 'replace', '--force')).toContain('replaced')
    await standing('forced', { one: 3 })
    expect((await seen('forced')).stands).toEqual({ one: 3 })
    expect((await kubectl.json('get', 'is', 'forced')).metadata.uid).not.toBe(uid)
  })
})

describe('patch', () => {
  const patch = (name: string, type: string, body: unknown, ...more: string[]) =>
    kubectl.try(['patch', 'is', name, `--type=${type}`, '-p', JSON.stringify(body), ...more])

  beforeAll(async () => {
    await kubectl.send(streamYaml('patched', { one: app(1), two: app(1) }, { labels: { a: '1' } }), 'create')
    await standing('patched', { one: 1, two: 1 })
  })

  test('strategic changes one tag by its name, and takes one out', async () => {
    const one = { name: 'one', from: { kind: 'DockerImage', name: app(2) } }
    expect(await patch('patched', 'strategic', { spec: { tags: [one] } })).toMatchObject({ code: 0 })
    await standing('patched', { one: 2, two: 1 })
    const three = { name: 'three', from: { kind: 'ImageStreamTag', name: 'one' } }
    await patch('patched', 'strategic', { spec: { tags: [three] } })
    await standing('patched', { one: 2, two: 1, three: 2 })
    await patch('patched', 'strategic', { spec: { tags: [{ name: 'three', $patch: 'delete' }] } })
    expect(Object.keys((await seen('patched')).wanted)).toEqual(['one', 'two'])
  })

  test('merge replaces the list of tags as a whole', async () => {
    const two = { name: 'two', from: { kind: 'DockerImage', name: app(3) } }
    expect(await patch('patched', 'merge', { metadata: { labels: { a: null, b: '2' } } })).toMatchObject({ code: 0 })
    expect((await seen('patched')).labels).toEqual({ b: '2' })
    await patch('patched', 'merge', { spec: { tags: [two] } })
    await standing('patched', { two: 3 })
    expect((await seen('patched')).wanted).toEqual({ two: app(3) })
  })

  test('json adds, tests and removes at a path', async () => {
    const added = await patch('patched', 'json', [
      { op: 'test', path: '/spec/tags/0/name', value: 'two' },
      { op: 'add', path: '/spec/tags/-', value: { name: 'alpha', from: { kind: 'ImageStreamTag', name: 'two' } } },
    ])
    expect(added).toMatchObject({ code: 0, stdout: 'imagestream.image.openshift.io/patched patched\n' })
    await standing('patched', { alpha: 3 })
    await patch('patched', 'json', [{ op: 'remove', path: '/spec/tags/0' }])
    expect(Object.keys((await seen('patched')).wanted)).toEqual(['two'])
  })

  test.each([
    ['json', [{ op: 'test', path: '/spec/tags/0/name', value: 'one' }], 'the test failed'],
    ['json', [{ op: 'replace', path: '/spec/tags/7/name', value: 'x' }], 'tags/7'],
    ['merge', { spec: { tags: [{ name: 'no!' }] } }, 'spec.tags[no!].name'],
    ['merge', { spec: { tags: 'x' } }, 'spec.tags'],
    ['strategic', { spec: { tags: [{ from: { kind: 'DockerImage', name: 'x/y' } }] } }, 'name'],
    ['strategic', { metadata: { resourceVersion: '1' }, spec: { tags: [{ name: 'two', from: null }] } }, 'Conflict'],
    ['merge', { metadata: { name: 'other' } }, 'other'],
  ])('%s refuses %j clearly, and nothing changes', async (type, body, message) => {
    const before = await seen('patched')
    const refused = await patch('patched', type, body)
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toContain(message)
    expect(refused.stderr).not.toMatch(/InternalError|500/)
    expect(await seen('patched')).toEqual(before)
  })

  test('of status does not move a tag', async () => {
    const before = await seen('patched')
    const status = { tags: [{ tag: 'two', items: [{ image: world.digest(1), dockerImageReference: app(1) }] }] }
    await patch('patched', 'merge', { status }, '--subresource=status')
    await patch('patched', 'merge', { status })
    expect((await seen('patched')).stands).toEqual(before.stands)
  })
})

describe('server-side apply', () => {
  const apply = (yaml: string, ...more: string[]) =>
    kubectl.try(['apply', '--server-side', ...more, '-f', '-'], { input: yaml })
  const managers = async (name: string) => {
    const { metadata } = await kubectl.json('get', 'is', name, '--show-managed-fields')
    return (metadata.managedFields as { manager: string; operation: string }[]).map(({ manager }) => manager)
  }

  test('makes a stream, and leaves it as it is when applied again', async () => {
    const yaml = streamYaml('ssa', { one: app(1), two: app(2) }, { labels: { team: 'red' } })
    const made = await apply(yaml)
    expect(made).toMatchObject({ code: 0, stdout: 'imagestream.image.openshift.io/ssa serverside-applied\n' })
    await standing('ssa', { one: 1, two: 2 })
    const before = await seen('ssa')
    expect(await apply(yaml)).toMatchObject({ code: 0 })
    expect(await seen('ssa')).toEqual(before)
    expect(await managers('ssa')).toEqual(['kubectl'])
  })

  test('takes out what this manager applied and no longer does', async () => {
    await apply(streamYaml('ssa-less', { one: app(1), two: app(2) }))
    await apply(streamYaml('ssa-less', { theirs: app(3) }), '--field-manager=other')
    await standing('ssa-less', { one: 1, two: 2, theirs: 3 })
    await apply(streamYaml('ssa-less', { one: app(1) }))
    expect((await seen('ssa-less')).wanted).toEqual({ one: app(1), theirs: app(3) })
  })

  test('tells two managers of their conflict, by field; by force the second wins', async () => {
    await apply(streamYaml('contested', { one: app(1), two: app(1) }))
    await standing('contested', { one: 1, two: 1 })
    const theirs = streamYaml('contested', { one: app(2) })
    const refused = await apply(theirs, '--field-manager=other')
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toContain('conflict with "kubectl": .spec.tags[name="one"].from.name')
    expect((await seen('contested')).wanted).toEqual({ one: app(1), two: app(1) })
    expect(await apply(theirs, '--field-manager=other', '--force-conflicts')).toMatchObject({ code: 0 })
    await standing('contested', { one: 2, two: 1 })
    expect(await managers('contested')).toEqual(['kubectl', 'other'])
    const back = await apply(streamYaml('contested', { one: app(1), two: app(1) }))
    expect(back.stderr).toContain('conflict with "other"')
    const agreed = await apply(streamYaml('contested', { one: app(2), two: app(1) }))
    expect(agreed, 'the same value is no conflict').toMatchObject({ code: 0 })
  })

  test('sees that another way of writing took a field', async () => {
    await apply(streamYaml('taken', { one: app(1) }))
    const one = { name: 'one', from: { kind: 'DockerImage', name: app(2) } }
    await kubectl('patch', 'is', 'taken', '-p', JSON.stringify({ spec: { tags: [one] } }))
    const refused = await apply(streamYaml('taken', { one: app(1) }))
    expect(refused.stderr).toContain('conflict with "kubectl-patch"')
    expect(await apply(streamYaml('taken', { one: app(1) }), '--force-conflicts')).toMatchObject({ code: 0 })
    expect((await seen('taken')).wanted).toEqual({ one: app(1) })
  })

  test('takes over from client-side apply: what leaves the file then leaves the stream', async () => {
    await kubectl.send(streamYaml('migrated', { one: app(1), two: app(2) }), 'apply')
    await standing('migrated', { one: 1, two: 2 })
    const before = await seen('migrated')
    const first = await apply(streamYaml('migrated', { one: app(1), two: app(2) }))
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(await seen('migrated')).toMatchObject({ wanted: before.wanted, generation: before.generation })
    const second = await apply(streamYaml('migrated', { one: app(1) }))
    expect(second).toMatchObject({ code: 0, stderr: '' })
    expect((await seen('migrated')).wanted).toEqual({ one: app(1) })
    const last = await kubectl('apply', 'view-last-applied', 'is', 'migrated')
    expect(last).not.toContain('lib/app:2')
  })

  test('goes back to client-side apply', async () => {
    await apply(streamYaml('back', { one: app(1), two: app(2) }))
    await kubectl.send(streamYaml('back', { one: app(1), two: app(2) }), 'apply')
    await kubectl.send(streamYaml('back', { one: app(3) }), 'apply')
    await standing('back', { one: 3 })
    expect((await seen('back')).wanted).toEqual({ one: app(3) })
  })

  test('diffs on the server, and writes nothing', async () => {
    await apply(streamYaml('ssa-diff', { one: app(1) }))
    await standing('ssa-diff', { one: 1 })
    const before = await seen('ssa-diff')
    const diff = await kubectl.try(['diff', '--server-side', '-f', '-'], {
      input: streamYaml('ssa-diff', { one: app(2) }),
    })
    expect(diff).toMatchObject({ code: 1, stdout: expect.stringMatching(/^\+.*lib\/app:2$/m) })
    expect(await seen('ssa-diff')).toEqual(before)
  })
})

describe('label and annotate', () => {
  test('change a stream, not its generation', async () => {
    await kubectl.send(streamYaml('labelled', { one: app(1) }), 'create')
    await standing('labelled', { one: 1 })
    const { generation } = await seen('labelled')
    await kubectl('label', 'is', 'labelled', 'tier=front')
    expect(await kubectl.fails('label', 'is', 'labelled', 'tier=back')).toContain('--overwrite is false')
    await kubectl('label', 'is', 'labelled', 'tier=back', '--overwrite')
    await kubectl('annotate', 'is', 'labelled', 'example.com/owner=ann')
    expect(await seen('labelled')).toMatchObject({ labels: { tier: 'back' }, generation })
    await kubectl('label', 'is', 'labelled', 'tier-')
    expect((await seen('labelled')).labels).toBeUndefined()
    expect(await kubectl.fails('label', 'is', 'labelled', 'a=b', '--resource-version=1')).toMatch(/Conflict|modified/)
    expect(await kubectl.fails('annotate', 'is', 'labelled', 'a b=c')).toContain('a b')
  })

  test('change all that a selector selects', async () => {
    for (const name of ['many-a', 'many-b'])
      await kubectl.send(streamYaml(name, {}, { labels: { set: 'many' } }), 'create')
    await kubectl('annotate', 'is', '-l', 'set=many', 'seen=yes')
    const { items } = await kubectl.json('get', 'is', '-l', 'set=many')
    expect(items.map(({ metadata }: { metadata: { annotations: object } }) => metadata.annotations)).toEqual([
      { seen: 'yes' },
      { seen: 'yes' },
    ])
  })

  test('annotate the wish of one tag', async () => {
    await kubectl.send(streamYaml('noted', { one: app(1), two: app(2) }), 'create')
    await standing('noted', { one: 1, two: 2 })
    await kubectl('annotate', 'istag', 'noted:one', 'description=the first')
    const { spec } = await kubectl.json('get', 'is', 'noted')
    expect(spec.tags).toMatchObject([{ annotations: { description: 'the first' } }, { annotations: null }])
    expect(await seen('noted')).toMatchObject({ stands: { one: 1, two: 2 } })
    // Labels are the stream's: one of a tag alone would be lost.
    expect(await kubectl.fails('label', 'istag', 'noted:one', 'a=b')).toContain('metadata.labels')
  })
})

describe('delete', () => {
  const names = async () => (await kubectl('get', 'is', '-l', 'del', '-o', 'name')).trim().split('\n')

  test('takes one, those selected, and all of a kind, and nothing else', async () => {
    for (const name of ['del-a', 'del-b', 'del-c', 'del-d']) {
      const labels = { del: name < 'del-c' ? 'first' : 'second' }
      await kubectl.send(streamYaml(name, { one: app(1) }, { labels }), 'create')
    }
    expect(await kubectl('delete', 'is', 'del-a')).toBe(
      'imagestream.image.openshift.io "del-a" deleted from demo namespace\n',
    )
    expect(await names()).toHaveLength(3)
    await kubectl('delete', 'is', '-l', 'del=second')
    expect(await names()).toEqual(['imagestream.image.openshift.io/del-b'])
    expect(await kubectl.fails('delete', 'is', 'del-a')).toContain('not found')
    await kubectl('delete', 'is', 'del-a', '--ignore-not-found')
    expect(await kubectl.fails('get', 'istag', 'del-a:one')).toContain('not found')
    const other = await world.inProject('emptied')
    for (const name of ['empty-a', 'empty-b']) await other.send(streamYaml(name), 'create')
    await other('delete', 'is', '--all')
    expect((await other.json('get', 'is')).items).toEqual([])
    expect(await names()).toEqual(['imagestream.image.openshift.io/del-b'])
  })

  test('of a tag leaves the other tags; its name can be used again', async () => {
    await kubectl.send(streamYaml('untagged', { one: app(1), two: app(2) }), 'create')
    await standing('untagged', { one: 1, two: 2 })
    await kubectl('delete', 'istag', 'untagged:one')
    expect(await seen('untagged')).toMatchObject({ wanted: { two: app(2) }, stands: { two: 2 } })
    expect((await seen('untagged')).stands).not.toHaveProperty('one')
    expect(await kubectl.fails('delete', 'istag', 'untagged:one')).toContain('not found')
    const one = { name: 'one', from: { kind: 'DockerImage', name: app(3) } }
    await kubectl('patch', 'is', 'untagged', '-p', JSON.stringify({ spec: { tags: [one] } }))
    await standing('untagged', { one: 3, two: 2 })
  })
})
