/** A current kubectl and who works with it: projects, robots, rights, and what people are told when something is wrong. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Kubectl } from './support/kubectl.ts'
import { type KubectlWorld, startKubectlWorld, streamYaml } from './support/kubectl-world.ts'

let world: KubectlWorld
let kubectl: Kubectl

beforeAll(async () => {
  world = await startKubectlWorld()
  kubectl = await world.inProject('demo')
})

afterAll(() => world?.stop())

/** kubectl as a new service account of `project`, which may nothing yet. */
async function robot(name: string, project = 'demo'): Promise<Kubectl> {
  await kubectl('create', 'sa', name, '-n', project)
  const token = (await kubectl('create', 'token', name, '-n', project)).trim()
  return world.as(token, project)
}

describe('objects that kubectl makes itself', () => {
  test('are made, once, in protobuf, and read again', async () => {
    expect(await kubectl('create', 'namespace', 'made')).toBe('namespace/made created\n')
    expect(await kubectl.fails('create', 'namespace', 'made')).toContain('"made" already exists')
    expect(await kubectl('create', 'sa', 'ci')).toBe('serviceaccount/ci created\n')
    expect(await kubectl.fails('create', 'sa', 'ci')).toContain('already exists')
    await kubectl('create', 'cm', 'settings', '--from-literal=a=b', '--from-literal=empty=')
    expect((await kubectl.json('get', 'cm', 'settings')).data).toEqual({ a: 'b', empty: '' })
    await kubectl(
      'create',
      'role',
      'reader',
      '--verb=get,list',
      '--resource=imagestreams.image.openshift.io',
      '--resource-name=app',
    )
    expect((await kubectl.json('get', 'role', 'reader')).rules).toEqual([
      {
        apiGroups: ['image.openshift.io'],
        resources: ['imagestreams'],
        resourceNames: ['app'],
        verbs: ['get', 'list'],
      },
    ])
    await kubectl(
      'create',
      'rolebinding',
      'readers',
      '--role=reader',
      '--serviceaccount=demo:ci',
      '--user=ann',
      '--group=devs',
    )
    expect(await kubectl.json('get', 'rolebinding', 'readers')).toMatchObject({
      roleRef: { kind: 'Role', name: 'reader' },
      subjects: [
        { kind: 'User', name: 'ann' },
        { kind: 'Group', name: 'devs' },
        { kind: 'ServiceAccount', name: 'ci' },
      ],
    })
    expect(
      await kubectl('create', 'rolebinding', 'pullers', '--clusterrole=system:image-puller', '--group=devs'),
    ).toContain('created')
  })

  test('are not made as a dry run on the server, or what is none of Weir’s', async () => {
    for (const args of [
      ['namespace', 'dry'],
      ['sa', 'dry'],
      ['cm', 'dry', '--from-literal=a=b'],
      ['role', 'dry', '--verb=get', '--resource=imagestreams.image.openshift.io'],
      ['rolebinding', 'dry', '--clusterrole=view', '--user=ann'],
      ['clusterrole', 'dry', '--verb=get', '--resource=imagestreams.image.openshift.io'],
      ['clusterrolebinding', 'dry', '--clusterrole=view', '--user=ann'],
    ]) {
      expect(await kubectl('create', ...args, '--dry-run=server'), args[0]).toContain('(server dry run)')
      expect(await kubectl.fails('get', args[0] ?? '', 'dry'), args[0]).toContain('not found')
    }
    expect(await kubectl.fails('create', 'deployment', 'x', '--image=x')).toContain(
      'could not find the requested resource',
    )
    expect(await kubectl.fails('create', 'namespace', 'Not_A_Name')).toContain('metadata.name')
  })

  test('are reconciled, labelled, patched, edited and deleted like streams', async () => {
    const role = (...verbs: string[]) =>
      JSON.stringify({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'grown', namespace: 'demo' },
        rules: [{ apiGroups: ['image.openshift.io'], resources: ['imagestreams'], verbs }],
      })
    await kubectl.send(role('get'), 'auth', 'reconcile')
    await kubectl.send(role('get', 'watch'), 'auth', 'reconcile')
    expect((await kubectl.json('get', 'role', 'grown')).rules).toMatchObject([{ verbs: ['get'] }, { verbs: ['watch'] }])
    expect(await kubectl.send(role('get', 'watch'), 'apply', '--server-side', '--force-conflicts')).toContain(
      'serverside-applied',
    )
    await kubectl('create', 'cm', 'mine', '--from-literal=a=1')
    await kubectl('patch', 'cm', 'mine', '-p', '{"data":{"b":"2"}}')
    await kubectl('label', 'cm', 'mine', 'x=y')
    expect(await kubectl.edit('s/a: "1"/a: "3"/', 'cm', 'mine')).toMatchObject({ code: 0 })
    expect(await kubectl.json('get', 'cm', 'mine')).toMatchObject({
      data: { a: '3', b: '2' },
      metadata: { labels: { x: 'y' } },
    })
    await kubectl('delete', 'cm', '-l', 'x=y')
    expect(await kubectl.fails('get', 'cm', 'mine')).toContain('not found')
  })
})

describe('a token', () => {
  test('is the account’s: it may what the account may, and no longer when the account is gone', async () => {
    const ci = await robot('tokened')
    expect(await ci('auth', 'whoami')).toContain('system:serviceaccount:demo:tokened')
    expect(await ci.fails('get', 'is')).toContain(
      'User "system:serviceaccount:demo:tokened" cannot list resource "imagestreams"',
    )
    await kubectl('create', 'rolebinding', 'tokened', '--clusterrole=view', '--serviceaccount=demo:tokened')
    await vi.waitFor(() => ci('get', 'is'), { timeout: 10_000 })
    await kubectl('delete', 'sa', 'tokened')
    await vi.waitFor(async () => expect(await ci.fails('get', 'is')).toContain('Unauthorized'), { timeout: 10_000 })
  })

  test('lives as long as was asked, and not for ever', async () => {
    await kubectl('create', 'sa', 'brief')
    const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    const { exp, iat } = claims(await kubectl('create', 'token', 'brief', '--duration=20m'))
    expect(exp - iat).toBe(1200)
    expect(await kubectl.fails('create', 'token', 'nobody')).toContain('serviceaccounts "nobody" not found')
    expect(await kubectl.fails('create', 'token', 'brief', '--audience=elsewhere')).toContain('spec.audiences')
    expect(await kubectl.fails('create', 'token', 'brief', '--duration=99999h')).toContain('auth.maxTokenLifetime')
  })

  test('that is none is refused, and no password is asked for', async () => {
    const wrong = await world.as('nonsense', 'demo')
    expect(await wrong.fails('get', 'is')).toContain('You must be logged in to the server')
  })
})

describe('rights', () => {
  test('are told by auth can-i and whoami', async () => {
    const ci = await robot('asking')
    expect(await kubectl('auth', 'can-i', 'get', 'imagestreams/layers')).toBe('yes\n')
    expect((await ci.try(['auth', 'can-i', 'get', 'imagestreams', '--subresource=layers'])).stdout).toBe('no\n')
    await kubectl(
      'create',
      'rolebinding',
      'asking',
      '--clusterrole=system:image-puller',
      '--serviceaccount=demo:asking',
    )
    await vi.waitFor(async () => {
      expect((await ci.try(['auth', 'can-i', 'get', 'imagestreams', '--subresource=layers'])).stdout).toBe('yes\n')
    })
    expect((await ci.try(['auth', 'can-i', 'update', 'imagestreams', '--subresource=layers'])).stdout).toBe('no\n')
    expect((await ci.try(['auth', 'can-i', 'create', 'imagestreams'])).stdout).toBe('no\n')
  })

  test('are missed in words that name them, whatever is tried, and nothing is done', async () => {
    await kubectl.send(streamYaml('guarded', { one: world.app(1) }), 'create')
    await kubectl('wait', 'istag/guarded:one', '--for=create', '--timeout=20s')
    const before = await kubectl.json('get', 'is', 'guarded')
    const ci = await robot('curious')
    await kubectl('create', 'rolebinding', 'curious', '--clusterrole=view', '--serviceaccount=demo:curious')
    await vi.waitFor(() => ci('get', 'is', 'guarded'), { timeout: 10_000 })
    const yaml = streamYaml('guarded', { one: world.app(2) })
    const cannot = (verb: string, resource = 'imagestreams') =>
      `cannot ${verb} resource "${resource}" in API group "image.openshift.io" in the namespace "demo"`
    expect(await ci.refuses(yaml, 'apply')).toContain(cannot('patch'))
    expect(await ci.refuses(yaml, 'apply', '--server-side')).toContain(cannot('patch'))
    expect(await ci.refuses(streamYaml('theirs'), 'create')).toContain(cannot('create'))
    expect(await ci.refuses(streamYaml('theirs'), 'apply', '--server-side')).toContain(cannot('patch'))
    expect(await ci.fails('patch', 'is', 'guarded', '--type=merge', '-p', '{}')).toContain(cannot('patch'))
    expect(await ci.fails('label', 'is', 'guarded', 'a=b')).toContain(cannot('patch'))
    expect(await ci.fails('delete', 'is', 'guarded')).toContain(cannot('delete'))
    expect(await ci.fails('delete', 'is', '--all')).toContain(cannot('delete'))
    expect(await ci.fails('delete', 'istag', 'guarded:one')).toContain(cannot('delete', 'imagestreamtags'))
    expect(await ci.fails('get', 'is', '-A')).toContain('at the cluster scope')
    expect(await ci.fails('get', 'is', '-n', 'elsewhere')).toContain('cannot list')
    expect(await ci.fails('create', 'token', 'curious')).toContain('cannot create resource "serviceaccounts/token"')
    expect(
      await ci.fails('create', 'rolebinding', 'more', '--clusterrole=admin', '--serviceaccount=demo:curious'),
    ).toContain('cannot create resource "rolebindings"')
    expect(await ci.fails('delete', 'project', 'demo')).toContain('cannot delete resource "projects"')
    expect(await kubectl.json('get', 'is', 'guarded')).toEqual(before)
    const watching = await ci.try(['get', 'is', '-w', '-n', 'elsewhere', '--request-timeout=5s'])
    expect(watching.stderr).toContain('cannot list')
  })

  test('do not reach over projects by a tag’s source', async () => {
    const other = await world.inProject('owner')
    await other.send(streamYaml('private', { one: world.app(1) }), 'create')
    await other('wait', 'istag/private:one', '--for=create', '--timeout=20s')
    const ci = await robot('reaching')
    await kubectl('create', 'rolebinding', 'reaching', '--clusterrole=edit', '--serviceaccount=demo:reaching')
    await vi.waitFor(() => ci('get', 'is'), { timeout: 10_000 })
    const taking = streamYaml(
      'taken',
      {},
      { spec: { tags: [{ name: 'x', from: { kind: 'ImageStreamTag', namespace: 'owner', name: 'private:one' } }] } },
    )
    expect(await ci.refuses(taking, 'apply')).toContain('spec.tags[x].from.name: Forbidden')
    expect(await ci.fails('get', 'is', 'taken')).toContain('not found')
    await kubectl(
      'create',
      'rolebinding',
      'from-demo',
      '-n',
      'owner',
      '--clusterrole=system:image-puller',
      '--serviceaccount=demo:reaching',
    )
    await vi.waitFor(() => ci.send(taking, 'apply'), { timeout: 10_000 })
    expect((await ci.json('get', 'istag', 'taken:x')).image.metadata.name).toBe(world.digest(1))
  })

  test('can not be put on like a coat: --as is refused, and does nothing', async () => {
    await kubectl('create', 'cm', 'kept', '--from-literal=a=b')
    for (const args of [
      ['get', 'is', '--as=ann'],
      ['delete', 'cm', 'kept', '--as=system:serviceaccount:demo:ci'],
      ['auth', 'can-i', 'create', 'imagestreams', '--as=ann', '--as-group=devs'],
      ['get', 'is', '--as=ann', '--as-uid=1'],
    ]) {
      expect(await kubectl.fails(...args), args.join(' ')).toContain('Weir has no impersonation')
    }
    await kubectl('get', 'cm', 'kept')
  })
})

describe('a project', () => {
  test('that is deleted is gone with all that is in it when kubectl says so; the others stay', async () => {
    const leaving = await world.inProject('leaving')
    const staying = await world.inProject('staying')
    for (const each of [leaving, staying]) {
      for (const name of ['a', 'b', 'c']) await each.send(streamYaml(name, { one: world.app(1) }), 'create')
      await each('create', 'cm', 'settings', '--from-literal=a=b')
      await each('create', 'sa', 'ci')
      await each('create', 'rolebinding', 'ci', '--clusterrole=edit', '--serviceaccount=leaving:ci')
    }
    const token = (await leaving('create', 'token', 'ci')).trim()
    const ci = await world.as(token, 'staying')
    await vi.waitFor(() => ci('get', 'is'), { timeout: 10_000 })
    expect(await leaving('delete', 'project', 'leaving')).toContain('"leaving" deleted')
    expect(await kubectl.fails('get', 'project', 'leaving')).toContain('not found')
    expect(await kubectl.fails('get', 'namespace', 'leaving')).toContain('not found')
    for (const resource of ['is', 'istag', 'cm', 'sa', 'rolebindings']) {
      expect((await leaving.json('get', resource)).items, resource).toEqual([])
    }
    expect((await staying.json('get', 'is')).items).toHaveLength(3)
    await vi.waitFor(async () => expect(await ci.fails('get', 'is')).toContain('Unauthorized'), { timeout: 10_000 })
    // Its name can be used again, and what has it is new.
    await kubectl('create', 'namespace', 'leaving')
    expect((await leaving.json('get', 'is,cm,sa')).items).toEqual([])
    expect(await ci.fails('get', 'is', '-n', 'leaving')).toContain('Unauthorized')
    await leaving.send(streamYaml('a'), 'create')
    expect((await leaving.json('get', 'is', 'a')).spec.tags ?? []).toEqual([])
  })

  test('that is not there is told, and how to make it', async () => {
    expect(await kubectl.refuses(streamYaml('x'), 'create', '-n', 'nowhere')).toContain(
      'namespaces "nowhere" not found',
    )
    expect(await kubectl.refuses(streamYaml('x'), 'apply', '--server-side', '-n', 'nowhere')).toContain(
      'namespaces "nowhere" not found',
    )
    expect(await kubectl.fails('delete', 'project', 'nowhere')).toContain('"nowhere" not found')
  })
})

describe('what is wrong in a file is told by its field', () => {
  const tags = (...list: object[]) => streamYaml('wrong', {}, { spec: { tags: list } })
  const from = (kind: string, name: string, more: object = {}) => ({ name: 'tag', from: { kind, name }, ...more })

  test.each([
    ['a tag with a bad name', () => tags({ name: 'we!rd' }), 'spec.tags[we!rd].name: Invalid value: "we!rd"'],
    ['a tag without a name', () => tags({ from: { kind: 'DockerImage', name: 'docker.io/x/y' } }), 'name'],
    [
      'a reference that is a URL',
      () => tags(from('DockerImage', 'https://docker.io/x/y')),
      'spec.tags[tag].from.name: Invalid value',
    ],
    [
      'a registry that is not allowed',
      () => tags(from('DockerImage', 'evil.example.com/x/y')),
      'spec.tags[tag].from.name: Forbidden: importing images from registry "evil.example.com"',
    ],
    [
      'a kind that is none',
      () => tags(from('Dockerimage', 'docker.io/x/y')),
      "valid values are 'DockerImage', 'ImageStreamImage', 'ImageStreamTag'",
    ],
    [
      'a stream that is not there',
      () => tags(from('ImageStreamTag', 'nowhere:1')),
      'spec.tags[tag].from.name: Not found',
    ],
    [
      'an image that is not there',
      () => tags(from('ImageStreamImage', `nowhere@${world.digest(1)}`)),
      'spec.tags[tag].from.name: Not found',
    ],
    [
      'a schedule for a tag of a stream',
      () => tags(from('ImageStreamTag', 'wrong:x', { importPolicy: { scheduled: true } })),
      'scheduled',
    ],
    [
      'a policy that is none',
      () => tags(from('DockerImage', 'docker.io/x/y', { referencePolicy: { type: 'Remote' } })),
      'referencePolicy',
    ],
    ['a tag that follows itself', () => tags(from('ImageStreamTag', 'tag')), 'spec.tags[tag].from.name'],
    [
      'a field that is none',
      () => tags(from('DockerImage', 'docker.io/x/y', { form: 1 })),
      'unknown field "spec.tags[0].form"',
    ],
    ['a number for a name', () => tags({ name: 1 }), 'spec.tags[0].name: expected string'],
    ['a list for a map', () => streamYaml('wrong').replace('spec: {}', 'spec: []'), 'spec: expected object'],
    ['a stream with a bad name', () => streamYaml('Wrong_Name'), 'metadata.name: Invalid value: "Wrong_Name"'],
    ['a label that is none', () => streamYaml('wrong', {}, { labels: { 'a b': 'c' } }), 'metadata.labels'],
    ['another version', () => streamYaml('wrong').replace('/v1', '/v2'), 'image.openshift.io/v2'],
    ['another kind', () => streamYaml('wrong').replace('ImageStream', 'ImageStreem'), 'ImageStreem'],
    ['no YAML', () => 'apiVersion: [', 'error'],
  ])('%s', async (_, yaml, message) => {
    for (const args of [['create'], ['apply'], ['apply', '--server-side']]) {
      const told = await kubectl.refuses(yaml(), ...args)
      expect(told, args.join(' ')).toContain(message)
      expect(told, args.join(' ')).not.toMatch(/InternalError|unknown \(|request id/)
    }
    expect(await kubectl('get', 'is', 'wrong', '--ignore-not-found')).toBe('')
  })

  test('all that is wrong is told at once', async () => {
    const told = await kubectl.refuses(tags({ name: 'no!' }, from('DockerImage', 'evil.example.com/x/y')), 'apply')
    expect(told).toContain('* spec.tags[no!].name')
    expect(told).toContain('* spec.tags[tag].from.name')
  })

  test('an import that fails is in the stream, and not in the way of others', async () => {
    await kubectl.send(streamYaml('half', { good: world.app(1), missing: world.app(99) }), 'apply')
    await kubectl('wait', 'istag/half:good', '--for=create', '--timeout=20s')
    const reason = '--for=jsonpath={.status.tags[?(@.tag=="missing")].conditions[0].reason}=NotFound'
    await kubectl('wait', 'is/half', reason, '--timeout=20s')
    expect(await kubectl('get', 'itag')).toMatch(/half:missing +Tag +ImportFailed \(NotFound\)/)
  })
})
