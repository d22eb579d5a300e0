/** A current kubectl applies what is in Git: a directory of YAML, changed and applied again, pruned, and by kustomize. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { stringify } from 'yaml'
import type { Kubectl } from './support/kubectl.ts'
import { type KubectlWorld, startKubectlWorld, streamYaml } from './support/kubectl-world.ts'

let world: KubectlWorld

beforeAll(async () => {
  world = await startKubectlWorld()
})

afterAll(() => world?.stop())

/** A directory as it is checked out: each `commit` has exactly these files. */
function checkout(name: string): { path: string; commit(files: Record<string, string>): Promise<void> } {
  const path = join(world.directory, name)
  return {
    path,
    async commit(files) {
      await rm(path, { recursive: true, force: true })
      for (const [file, content] of Object.entries(files)) {
        await mkdir(dirname(join(path, file)), { recursive: true })
        await writeFile(join(path, file), content)
      }
    },
  }
}

/** The version of `lib/app` that each tag stands at. */
async function standing(kubectl: Kubectl, name: string): Promise<Record<string, number>> {
  const { status } = await kubectl.json('get', 'is', name)
  const tags = (status.tags ?? []) as { tag: string; items: { image: string }[] | null }[]
  const version = (image: string | undefined) => [1, 2, 3].find((each) => world.digest(each) === image) ?? 0
  return Object.fromEntries(tags.map(({ tag, items }) => [tag, version(items?.[0]?.image)]))
}

async function comesToStand(kubectl: Kubectl, name: string, versions: Record<string, number>): Promise<void> {
  await vi.waitFor(async () => expect(await standing(kubectl, name)).toEqual(versions), { timeout: 30_000 })
}

const generations = async (kubectl: Kubectl, name: string) => {
  const { metadata, spec } = await kubectl.json('get', 'is', name)
  const tags = (spec.tags as { name: string; generation: number }[]).map((tag) => [tag.name, tag.generation] as const)
  return { stream: metadata.generation as number, version: metadata.resourceVersion as string, tags: new Map(tags) }
}

/** 30 tags: ten releases, ten that follow them, five that are exactly an image, five that come from another stream. */
function thirty(release: (i: number) => number): Record<string, string> {
  const two = (i: number) => String(i).padStart(2, '0')
  const ten = Array.from({ length: 10 }, (_, i) => i)
  return Object.fromEntries([
    ...ten.map((i) => [`v${two(i)}`, world.app(release(i))]),
    ...ten.map((i) => [`stage-${two(i)}`, `istag/${i % 2 === 0 ? 'app:' : ''}v${two(i)}`]),
    ...ten.slice(0, 5).map((i) => [`exact-${two(i)}`, `isimage/base@${world.digest((i % 3) + 1)}`]),
    ...ten.slice(0, 5).map((i) => [`base-${two(i)}`, `istag/base:v${(i % 3) + 1}`]),
  ])
}

/** Where the 30 tags then stand. */
function thirtyStand(release: (i: number) => number): Record<string, number> {
  const stands = (tag: string) => {
    const i = Number(tag.slice(-2))
    return tag.startsWith('v') || tag.startsWith('stage') ? release(i) : (i % 3) + 1
  }
  return Object.fromEntries(Object.keys(thirty(release)).map((tag) => [tag, stands(tag)]))
}

describe.each([
  ['client-side', []],
  ['server-side', ['--server-side']],
])('a directory that is applied %s', (side, flags) => {
  const project = `git-${side}`
  let kubectl: Kubectl
  let git: ReturnType<typeof checkout>
  const apply = () => kubectl('apply', ...flags, '-R', '-f', git.path)
  const before = (i: number) => (i % 3) + 1
  const after = (i: number) => (i === 4 ? 3 : before(i))

  const files = (release: (i: number) => number, tags = thirty(release)) => ({
    'streams/app.yaml': streamYaml('app', tags, { labels: { 'part-of': 'shop' } }),
    'access/robots.yaml': [
      stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'deploy' } }),
      stringify({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'deploy' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
        subjects: [{ kind: 'ServiceAccount', name: 'deploy', namespace: project }],
      }),
    ].join('---\n'),
    'settings.yaml': stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'shop' }, data: { a: 'b' } }),
  })

  beforeAll(async () => {
    kubectl = await world.inProject(project)
    git = checkout(project)
    await kubectl.send(streamYaml('base', { v1: world.app(1), v2: world.app(2), v3: world.app(3) }), 'create')
    await comesToStand(kubectl, 'base', { v1: 1, v2: 2, v3: 3 })
  })

  test('has all its tags stand where the files say', async () => {
    await git.commit(files(before))
    const output = await apply()
    for (const made of ['imagestream', 'serviceaccount', 'rolebinding', 'configmap']) expect(output).toContain(made)
    await comesToStand(kubectl, 'app', thirtyStand(before))
    expect(Object.keys(await standing(kubectl, 'app'))).toHaveLength(30)
  })

  test('changes nothing when it is applied again', async () => {
    const was = await generations(kubectl, 'app')
    await apply()
    expect(await generations(kubectl, 'app')).toEqual(was)
    expect((await kubectl.try(['diff', ...flags, '-R', '-f', git.path])).code).toBe(0)
  })

  test('moves the tag that changed and the one that follows it, and no other', async () => {
    const was = await generations(kubectl, 'app')
    await git.commit(files(after))
    await apply()
    await comesToStand(kubectl, 'app', thirtyStand(after))
    const is = await generations(kubectl, 'app')
    expect(is.stream).toBe(was.stream + 1)
    const changed = [...is.tags].filter(([tag, generation]) => was.tags.get(tag) !== generation)
    expect(changed).toEqual([['v04', is.stream]])
    const { items } = await kubectl
      .json('get', 'is', 'app')
      .then(({ status }) => status.tags.find(({ tag }: { tag: string }) => tag === 'stage-04'))
    expect(items.map(({ image }: { image: string }) => image)).toEqual([world.digest(3), world.digest(2)])
  })

  test('loses what left the files; what else was changed meanwhile stays', async () => {
    await kubectl('annotate', 'is', 'app', 'example.com/seen=yes')
    const { v09: _gone, 'stage-09': _followed, ...left } = thirty(after)
    await git.commit(files(after, left))
    await apply()
    const { metadata, spec } = await kubectl.json('get', 'is', 'app')
    expect(spec.tags.map(({ name }: { name: string }) => name)).toEqual(Object.keys(left).sort())
    expect(metadata.annotations).toMatchObject({ 'example.com/seen': 'yes' })
    expect(await standing(kubectl, 'app'), 'what was accepted stays').toEqual(thirtyStand(after))
  })

  test('is refused as a whole object for one wrong tag, and the other files are applied', async () => {
    const was = await generations(kubectl, 'app')
    const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'shop' }, data: { a: 'changed' } }
    const wrong = { ...thirty(before), 'wrong!': world.app(1) }
    await git.commit({ ...files(before, wrong), 'settings.yaml': stringify(settings) })
    const applied = await kubectl.try(['apply', ...flags, '-R', '-f', git.path])
    expect(applied).toMatchObject({ code: 1, stderr: expect.stringContaining('spec.tags[wrong!].name') })
    expect(await generations(kubectl, 'app')).toEqual(was)
    expect((await kubectl.json('get', 'cm', 'shop')).data).toEqual({ a: 'changed' })
  })
})

describe('from Git also', () => {
  test('prune takes away streams that left, by label, and no others', async () => {
    const kubectl = await world.inProject('git-prune')
    const git = checkout('git-prune')
    const file = (name: string) => streamYaml(name, { one: world.app(1) }, { labels: { 'part-of': 'shop' } })
    await kubectl.send(streamYaml('by-hand', {}, { labels: { 'part-of': 'shop' } }), 'create')
    const prune = () =>
      kubectl(
        'apply',
        '-f',
        git.path,
        '--prune',
        '-l',
        'part-of=shop',
        '--prune-allowlist=image.openshift.io/v1/ImageStream',
      )
    await git.commit({ 'a.yaml': file('a'), 'b.yaml': file('b') })
    await prune()
    await git.commit({ 'a.yaml': file('a') })
    expect(await prune()).toContain('imagestream.image.openshift.io/b pruned')
    expect(await kubectl('get', 'is', '-o', 'name')).toBe(
      'imagestream.image.openshift.io/a\nimagestream.image.openshift.io/by-hand\n',
    )
  })

  test('an apply set, which a configmap stands for, takes away what left it', async () => {
    const kubectl = await world.inProject('git-set')
    const git = checkout('git-set')
    const apply = () =>
      kubectl.try(
        ['apply', '--server-side', '--force-conflicts', '-f', git.path, '--prune', '--applyset=configmaps/set'],
        {
          env: { KUBECTL_APPLYSET: 'true' },
        },
      )
    await git.commit({ 'a.yaml': streamYaml('a', { one: world.app(1) }), 'b.yaml': streamYaml('b') })
    const first = await apply()
    expect(first, first.stderr).toMatchObject({ code: 0 })
    await git.commit({ 'a.yaml': streamYaml('a', { one: world.app(1) }) })
    const second = await apply()
    expect(second, second.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('b pruned') })
    expect(await kubectl('get', 'is', '-o', 'name')).toBe('imagestream.image.openshift.io/a\n')
  })

  test('kustomize builds streams for each project', async () => {
    const kubectl = await world.inProject('git-stage')
    const git = checkout('git-kustomize')
    await git.commit({
      'base/app.yaml': streamYaml('app', { one: world.app(1) }),
      'base/kustomization.yaml': stringify({ resources: ['app.yaml'] }),
      'stage/kustomization.yaml': stringify({
        resources: ['../base'],
        namePrefix: 'stage-',
        labels: [{ pairs: { env: 'stage' } }],
        patches: [
          {
            target: { kind: 'ImageStream' },
            patch: JSON.stringify([{ op: 'replace', path: '/spec/tags/0/from/name', value: world.app(2) }]),
          },
        ],
      }),
    })
    await kubectl('apply', '-k', join(git.path, 'stage'))
    await comesToStand(kubectl, 'stage-app', { one: 2 })
    expect((await kubectl.json('get', 'is', 'stage-app')).metadata.labels).toEqual({ env: 'stage' })
    expect(await kubectl('apply', '-k', join(git.path, 'stage'))).toContain('unchanged')
  })

  test('a tag of another stream that stands at nothing yet leaves the tag empty until it is asked for again', async () => {
    const kubectl = await world.inProject('git-early')
    await kubectl.send(streamYaml('source', {}, { spec: { tags: [{ name: 'one' }] } }), 'create')
    const yaml = streamYaml('early', { one: 'istag/source:one' })
    await kubectl.send(yaml, 'apply')
    const one = { name: 'one', from: { kind: 'DockerImage', name: world.app(1) } }
    await kubectl('patch', 'is', 'source', '-p', JSON.stringify({ spec: { tags: [one] } }))
    await comesToStand(kubectl, 'source', { one: 1 })
    expect(await kubectl.send(yaml, 'apply')).toContain('unchanged')
    expect((await standing(kubectl, 'early')).one ?? 0).toBe(0)
    await kubectl('patch', 'is', 'early', '-p', JSON.stringify({ spec: { tags: [{ name: 'one', generation: 0 }] } }))
    expect(await standing(kubectl, 'early')).toEqual({ one: 1 })
  })
})
