/** A current kubectl reads: get in every form, describe, explain, wait and watch. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { parse } from 'yaml'
import type { Following, Kubectl } from './support/kubectl.ts'
import { type KubectlWorld, startKubectlWorld, streamYaml } from './support/kubectl-world.ts'

let world: KubectlWorld
let kubectl: Kubectl

beforeAll(async () => {
  world = await startKubectlWorld()
  kubectl = await world.inProject('demo')
  const more = await world.inProject('more')
  await kubectl.send(streamYaml('app', { v1: world.app(1), v2: world.app(2) }, { labels: { tier: 'front' } }), 'create')
  for (let i = 0; i < 7; i += 1) {
    const labels = { set: 'many', parity: i % 2 === 0 ? 'even' : 'odd' }
    await kubectl.send(streamYaml(`many-${i}`, {}, { labels }), 'create')
  }
  await more.send(streamYaml('app', { v1: world.app(1) }, { labels: { tier: 'back' } }), 'create')
  for (const [each, count] of [
    [kubectl, 2],
    [more, 1],
  ] as const) {
    await vi.waitFor(async () => expect((await each.json('get', 'istag')).items).toHaveLength(count), {
      timeout: 20_000,
    })
  }
})

afterAll(() => world?.stop())

/** The lines of a table, each as its cells. */
function cells(output: string): string[][] {
  return output
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/).map((cell) => cell.trim()))
}

const firsts = (output: string) => cells(output).map(([first]) => first)

describe('get', () => {
  test('shows the columns of each kind', async () => {
    const header = async (...args: string[]) => cells(await kubectl('get', ...args))[0]
    expect(await header('is')).toEqual(['NAME', 'IMAGE REPOSITORY', 'TAGS', 'UPDATED'])
    expect(await header('istag')).toEqual(['NAME', 'IMAGE REFERENCE', 'UPDATED'])
    expect(await header('istag', '-o', 'wide')).toEqual(['NAME', 'IMAGE REFERENCE', 'UPDATED', 'IMAGE NAME'])
    expect(await header('itag')).toEqual(['NAME', 'SPEC', 'STATUS', 'HISTORY', 'UPDATED'])
    expect(await header('images')).toEqual(['NAME', 'IMAGE REFERENCE'])
    expect(await header('is', 'app', '--subresource=status')).toEqual(['NAME', 'IMAGE REPOSITORY', 'TAGS', 'UPDATED'])
    expect(await header('projects')).toEqual(['NAME', 'DISPLAY NAME', 'STATUS'])
    expect(await header('namespaces')).toEqual(['NAME', 'STATUS', 'AGE'])
  })

  test('shows what an image stream and a tag stand at', async () => {
    const [, row] = cells(await kubectl('get', 'is', 'app'))
    expect(row?.slice(0, 2)).toEqual(['app', `${world.weir.host}/demo/app`])
    expect(row?.[2]?.split(',').sort()).toEqual(['v1', 'v2'])
    expect(row?.[3]).toMatch(/ago$/)
    const [, tag] = cells(await kubectl('get', 'istag', 'app:v1'))
    expect(tag?.slice(0, 2)).toEqual(['app:v1', `${world.weir.host}/demo/app@${world.digest(1)}`])
  })

  test('answers an object as JSON, YAML, KYAML, name, path, template and columns, all the same', async () => {
    const object = await kubectl.json('get', 'is', 'app')
    expect(object).toMatchObject({
      kind: 'ImageStream',
      apiVersion: 'image.openshift.io/v1',
      metadata: { name: 'app' },
    })
    expect(parse(await kubectl('get', 'is', 'app', '-o', 'yaml'))).toEqual(object)
    expect(parse(await kubectl('get', 'is', 'app', '-o', 'kyaml'))).toEqual(object)
    expect(await kubectl('get', 'is', 'app', '-o', 'name')).toBe('imagestream.image.openshift.io/app\n')
    const path = '{.status.tags[?(@.tag=="v2")].items[0].image}'
    expect(await kubectl('get', 'is', 'app', '-o', `jsonpath=${path}`)).toBe(world.digest(2))
    const template = '{{range .status.tags}}{{.tag}} {{end}}'
    expect(await kubectl('get', 'is', 'app', '-o', `go-template=${template}`)).toBe('v1 v2 ')
    const columns = 'STREAM:.metadata.name,TIER:.metadata.labels.tier'
    expect(cells(await kubectl('get', 'is', 'app', '-o', `custom-columns=${columns}`))).toEqual([
      ['STREAM', 'TIER'],
      ['app', 'front'],
    ])
    expect(await kubectl('get', '--raw', '/apis/image.openshift.io/v1/namespaces/demo/imagestreams/app')).toContain(
      '"app"',
    )
  })

  test('pages: all of a list in pieces is the list', async () => {
    const whole = await kubectl('get', 'is', '-o', 'name')
    expect(whole.trim().split('\n')).toHaveLength(8)
    expect(await kubectl('get', 'is', '-o', 'name', '--chunk-size=3')).toBe(whole)
    expect(await kubectl('get', 'is', '-o', 'name', '--chunk-size=0')).toBe(whole)
    expect(firsts(await kubectl('get', 'is', '--chunk-size=1'))).toEqual(firsts(await kubectl('get', 'is')))
    const odd = await kubectl('get', 'is', '-o', 'name', '-l', 'parity=odd')
    expect(await kubectl('get', 'is', '-o', 'name', '-l', 'parity=odd', '--chunk-size=1')).toBe(odd)
  })

  test.each([
    ['set=many', 7],
    ['set=many,parity=odd', 3],
    ['parity in (odd, even)', 7],
    ['parity notin (odd)', 5],
    ['!set', 1],
    ['set,parity!=odd', 4],
    ['tier=nowhere', 0],
  ])('selects by labels: %s', async (selector, count) => {
    const names = (await kubectl('get', 'is', '-o', 'name', '-l', selector)).split('\n').filter(Boolean)
    expect(names).toHaveLength(count)
  })

  test('selects by fields, and says which there are', async () => {
    expect(firsts(await kubectl('get', 'is', '--field-selector', 'metadata.name=app'))).toEqual(['NAME', 'app'])
    expect((await kubectl.json('get', 'is', '--field-selector', 'metadata.name!=app')).items).toHaveLength(7)
    expect((await kubectl.json('get', 'is', '-A', '--field-selector', 'metadata.namespace=more')).items).toHaveLength(1)
    const repository = `status.dockerImageRepository=${world.weir.host}/demo/app`
    expect((await kubectl.json('get', 'is', '--field-selector', repository)).items).toHaveLength(1)
    expect(await kubectl.fails('get', 'is', '--field-selector', 'spec.nope=1')).toContain(
      'field label not supported: spec.nope',
    )
    expect(await kubectl.fails('get', 'is', '-l', 'a b c')).toContain('a b c')
  })

  test('shows all projects, labels as columns, and sorted', async () => {
    expect(
      cells(await kubectl('get', 'is', '-A', '-l', 'tier', '-L', 'tier')).map(([project, name, , , , tier]) => [
        project,
        name,
        tier,
      ]),
    ).toEqual([
      ['NAMESPACE', 'NAME', 'TIER'],
      ['demo', 'app', 'front'],
      ['more', 'app', 'back'],
    ])
    expect(cells(await kubectl('get', 'is', 'app', '--show-labels'))[1]?.at(-1)).toBe('tier=front')
    expect(firsts(await kubectl('get', 'is', '--sort-by=.metadata.resourceVersion', '-l', 'set'))).toHaveLength(8)
    const all = await kubectl('get', 'all')
    expect(firsts(all), 'image streams are in the category all').toContain('app')
    expect(await kubectl('get', 'is', '--no-headers', 'app')).not.toContain('NAME')
    expect(cells(await kubectl('get', 'is', 'app', '--server-print=false'))[0]).toEqual(['NAME', 'AGE'])
  })

  test('tells what is not there, and what can not be read so', async () => {
    expect(await kubectl.fails('get', 'is', 'nope')).toBe(
      'Error from server (NotFound): imagestreams.image.openshift.io "nope" not found\n',
    )
    expect(await kubectl('get', 'is', 'nope', '--ignore-not-found')).toBe('')
    const some = await kubectl.try(['get', 'is', 'app', 'nope', '-o', 'name'])
    expect(some).toMatchObject({ code: 1, stdout: 'imagestream.image.openshift.io/app\n' })
    expect(await kubectl.fails('get', 'istag', 'app')).toContain('ImageStreamTags must be retrieved with <name>:<tag>')
    expect(await kubectl.fails('get', 'istag', 'app:nope')).toContain('"app:nope" not found')
    expect(await kubectl.fails('get', 'isimage')).toContain('MethodNotAllowed')
    expect(await kubectl.fails('get', 'pods')).toContain(`the server doesn't have a resource type "pods"`)
  })
})

describe('describe', () => {
  test('shows a stream, a tag with its image, and an image of a stream', async () => {
    const stream = await kubectl('describe', 'is', 'app')
    expect(stream).toMatch(/^Name: +app$/m)
    expect(stream).toMatch(/^Labels: +tier=front$/m)
    expect(stream).toContain(world.digest(1))
    expect(stream).toMatch(/^Events: +<none>$/m)
    const tag = await kubectl('describe', 'istag', 'app:v1')
    expect(tag).toMatch(/Architecture: +amd64/)
    expect(tag).toMatch(/Docker Image Reference: +\S+demo\/app@sha256:/)
    const image = await kubectl('describe', 'isimage', `app@${world.digest(2)}`)
    expect(image).toContain(`app@${world.digest(2)}`)
    expect(await kubectl.fails('describe', 'is', 'nope')).toContain('not found')
    expect(await kubectl.fails('describe', 'istag', 'app:nope')).toContain('not found')
  })

  test('shows the kinds that kubectl knows itself', async () => {
    await kubectl('create', 'sa', 'shown')
    await kubectl('create', 'cm', 'shown', '--from-literal=key=value')
    await kubectl('create', 'role', 'shown', '--verb=get', '--resource=imagestreams.image.openshift.io/layers')
    await kubectl('create', 'rolebinding', 'shown', '--role=shown', '--serviceaccount=demo:shown')
    expect(await kubectl('describe', 'namespace', 'demo')).toMatch(/^Status: +Active$/m)
    expect(await kubectl('describe', 'project', 'demo')).toMatch(/Phase: +Active/)
    expect(await kubectl('describe', 'sa', 'shown')).toMatch(/^Name: +shown$/m)
    expect(await kubectl('describe', 'cm', 'shown')).toContain('key:\n----\nvalue')
    expect(await kubectl('describe', 'role', 'shown')).toContain('imagestreams.image.openshift.io/layers')
    expect(await kubectl('describe', 'rolebinding', 'shown')).toMatch(/ServiceAccount +shown +demo/)
  })
})

describe('the checks of a scheduled tag', () => {
  test('are shown in columns, as an object and by describe', async () => {
    const scheduled = {
      name: 'v1',
      from: { kind: 'DockerImage', name: world.app(1) },
      importPolicy: { scheduled: true },
    }
    await kubectl.send(streamYaml('checked.often', {}, { spec: { tags: [scheduled] } }), 'apply')
    const get = async () => cells(await kubectl('get', 'tagchecks', '--field-selector', 'stream=checked.often'))
    await vi.waitFor(async () => expect((await get())[1]?.[3]).toBe('Unchanged'), { timeout: 20_000 })
    const [header, row] = await get()
    expect(header).toEqual(['NAME', 'FROM', 'LAST CHECK', 'RESULT', 'NEXT CHECK'])
    expect(row?.slice(0, 2)).toEqual(['checked.often:v1', world.app(1)])
    expect(row?.[2]).toMatch(/^\d+s$/)
    expect(row?.[4]).toMatch(/^\d+(?:s|m|m\d+s)$/)
    expect(await kubectl.json('get', 'tagcheck', 'checked.often:v1')).toMatchObject({
      kind: 'TagCheck',
      interval: '15m',
      lastCheck: { result: 'Unchanged', image: world.digest(1), failures: 0 },
    })
    expect(await kubectl('describe', 'tagcheck', 'checked.often:v1')).toMatch(/^ +Result: +Unchanged$/m)
    expect(await kubectl('get', 'tagchecks', '-A', '-o', 'name')).toContain('tagcheck.weir.dev/checked.often:v1\n')
  })
})

describe('explain', () => {
  test('tells of every resource that is served, from top to bottom', async () => {
    const resources = (await kubectl('api-resources', '-o', 'name')).trim().split('\n')
    expect(resources).toEqual(
      expect.arrayContaining(['imagestreams.image.openshift.io', 'tagevents.weir.dev', 'namespaces']),
    )
    for (const resource of resources) {
      const told = await kubectl('explain', resource, '--recursive')
      expect(told, resource).toMatch(/^KIND: +\w+$/m)
      expect(told, resource).toMatch(/^DESCRIPTION:\n {4}\S/m)
      expect(told, resource).toMatch(/^ {2}metadata\t<ObjectMeta>/m)
    }
  })

  test('tells of a field and of its fields, and what is none', async () => {
    const field = await kubectl('explain', 'is.spec.tags.importPolicy')
    expect(field).toMatch(/^FIELD: importPolicy <\w+>$/m)
    expect(field).toMatch(/scheduled\t<boolean>/)
    expect(await kubectl('explain', 'istag.image.dockerImageLayers')).toContain('mediaType')
    expect(await kubectl.fails('explain', 'is.spec.nope')).toContain('field "nope" does not exist')
    expect(await kubectl.fails('explain', 'nope')).toContain('nope')
  })
})

describe('wait', () => {
  test('ends when a stream is there, is so, and is gone', async () => {
    const waiting = kubectl('wait', 'is/late', '--for=create', '--timeout=20s')
    await kubectl.send(streamYaml('late', { one: world.app(1) }), 'create')
    expect(await waiting).toContain('condition met')
    await kubectl('wait', 'istag/late:one', '--for=create', '--timeout=20s')
    const stands = `--for=jsonpath={.status.tags[0].items[0].image}=${world.digest(1)}`
    expect(await kubectl('wait', 'is/late', stands, '--timeout=20s')).toContain('condition met')
    const moving = kubectl(
      'wait',
      'istag/late:one',
      `--for=jsonpath={.image.metadata.name}=${world.digest(2)}`,
      '--timeout=20s',
    )
    const tag = { spec: { tags: [{ name: 'one', from: { name: world.app(2) } }] } }
    await kubectl('patch', 'is', 'late', '-p', JSON.stringify(tag))
    expect(await moving).toContain('condition met')
    const leaving = kubectl.follow('wait', 'is', '-l', 'set=many', '--for=delete', '--timeout=20s', '-v=6')
    await vi.waitFor(() => expect(leaving.notes.join('\n')).toContain('watch=true'), { timeout: 20_000 })
    await kubectl('delete', 'is', '-l', 'set=many')
    expect(await leaving.ended).toBe(0)
    expect(leaving.lines.at(-1)).toContain('many-6 condition met')
  })

  test('ends in its time when nothing comes', async () => {
    expect(await kubectl.fails('wait', 'is/app', '--for=jsonpath={.metadata.name}=other', '--timeout=1s')).toContain(
      'timed out',
    )
    expect(await kubectl.fails('wait', 'is/nope', '--for=jsonpath={.metadata.name}=nope', '--timeout=1s')).toContain(
      'not found',
    )
    expect(await kubectl.fails('wait', 'is/app', '--for=delete', '--timeout=1s')).toContain('timed out')
  })
})

describe('watch', () => {
  const source = (version: number) =>
    JSON.stringify({ spec: { tags: [{ name: 'one', from: { kind: 'DockerImage', name: world.app(version) } }] } })

  async function told(following: Following, ...patterns: RegExp[]): Promise<void> {
    await vi.waitFor(
      () => {
        for (const pattern of patterns) expect(following.lines.join('\n')).toMatch(pattern)
      },
      { timeout: 20_000 },
    )
  }

  test('sees a tag move and go, as a stream, as a tag and in one stream of JSON', async () => {
    await kubectl.send(streamYaml('seen', { one: world.app(1) }), 'create')
    await kubectl('wait', 'istag/seen:one', '--for=create', '--timeout=20s')
    const watches = {
      tags: kubectl.follow('get', 'istag', '-w', '--output-watch-events'),
      itags: kubectl.follow('get', 'itag', 'seen:one', '-w', '--output-watch-events'),
      streams: kubectl.follow('get', 'is', '-w', '--output-watch-events'),
      json: kubectl.follow(
        'get',
        'is',
        '-w',
        '-o',
        'jsonpath={.metadata.name} {.status.tags[0].items[0].image}{"\\n"}',
      ),
    }
    try {
      await told(watches.tags, new RegExp(`ADDED +seen:one +\\S+@${world.digest(1)}`))
      await told(watches.itags, new RegExp(`ADDED +seen:one +Tag +image/${world.digest(1)}`))
      await told(watches.streams, /ADDED +seen /)
      await told(watches.json, new RegExp(`^seen ${world.digest(1)}$`, 'm'))
      await kubectl('patch', 'is', 'seen', '-p', source(2))
      await told(watches.tags, new RegExp(`MODIFIED +seen:one +\\S+@${world.digest(2)}`))
      await told(watches.itags, new RegExp(`MODIFIED +seen:one +Tag +image/${world.digest(2)} +2`))
      await told(watches.streams, /MODIFIED +seen /)
      await told(watches.json, new RegExp(`^seen ${world.digest(2)}$`, 'm'))
      await kubectl('delete', 'istag', 'seen:one')
      await told(watches.tags, /DELETED +seen:one/)
      await told(watches.itags, /DELETED +seen:one/)
      await kubectl('delete', 'is', 'seen')
      await told(watches.streams, /DELETED +seen /)
    } finally {
      for (const watch of Object.values(watches)) await watch.stop()
    }
    const events = watches.tags.lines.filter((line) => line.includes('seen:one')).map((line) => line.split(/\s+/)[0])
    expect([events[0], events.at(-1), new Set(events.slice(1, -1))]).toEqual([
      'ADDED',
      'DELETED',
      new Set(['MODIFIED']),
    ])
  })

  test('sees only what its selector selects', async () => {
    const front = kubectl.follow('get', 'is', '-w', '-l', 'colour=red', '--output-watch-events')
    try {
      await kubectl.send(streamYaml('blue', {}, { labels: { colour: 'blue' } }), 'create')
      await kubectl.send(streamYaml('red', {}, { labels: { colour: 'red' } }), 'create')
      await told(front, /ADDED +red /)
      await kubectl('label', 'is', 'red', 'colour=blue', '--overwrite')
      await told(front, /DELETED +red /)
      await kubectl('label', 'is', 'blue', 'colour=red', '--overwrite')
      await told(front, /ADDED +blue /)
    } finally {
      await front.stop()
    }
    expect(front.lines.filter((line) => line.includes('blue'))).toHaveLength(1)
  })

  test('ends by itself when it is told to', async () => {
    const { code, stdout } = await kubectl.try(['get', 'is', 'app', '-w', '--request-timeout=1s'])
    expect({ code, names: firsts(stdout) }).toEqual({ code: 0, names: ['NAME', 'app'] })
  })
})
