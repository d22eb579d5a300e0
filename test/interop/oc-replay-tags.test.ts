/**
 * oc, command by command, as requests: each row has what oc sends for a command and what it needs of the answers to go on.
 * Every answer must decode into the types that oc is compiled with. Here: making streams and tags, and tagging.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { craneClient, skopeoClient } from './support/clients.ts'
import {
  createTag,
  docker,
  exact,
  get,
  imageApi,
  ok,
  postImport,
  postTag,
  putTag,
  refused,
  rule,
  type Step,
  streams,
  streamTag,
  tags,
} from './support/oc-commands.ts'
import { useOcWorld } from './support/oc-world.ts'

const { images, index, app, digest, replay, rows, given, streamOf, standing, comesToStand, robot, parts } = useOcWorld()

describe('create', () => {
  const stream = (name: string, more: object = {}) => ({
    kind: 'ImageStream',
    apiVersion: 'image.openshift.io/v1',
    metadata: { name, creationTimestamp: null },
    spec: { lookupPolicy: { local: false } },
    status: { dockerImageRepository: '' },
    ...more,
  })
  const post = (body: object, needs: Step['needs'] = { status: 201, body: { kind: 'ImageStream' } }): Step => ({
    method: 'POST',
    path: streams(),
    body,
    needs,
  })

  rows([
    {
      command: 'oc create imagestream made (twice)',
      steps: [() => post(stream('made')), () => post(stream('made'), refused(409, 'AlreadyExists'))],
    },
    {
      command: 'oc create imagestream local --lookup-local',
      steps: [
        () =>
          post(stream('local', { spec: { lookupPolicy: { local: true } } }), {
            status: 201,
            body: { spec: { lookupPolicy: { local: true } } },
          }),
      ],
    },
    {
      command: 'oc create imagestream Bad_Name',
      steps: [() => post(stream('Bad_Name'), refused(422, 'Invalid', expect.stringContaining('metadata.name')))],
    },
    {
      command: 'oc create -f FILE (which checks nothing on its side)',
      steps: [
        () => ({
          ...post({ ...stream('filed'), spec: { tags: [{ name: 'one', from: docker(app(1)), unknown: 1 }] } }),
          path: `${streams()}?fieldManager=kubectl-create&fieldValidation=Ignore`,
          accept: 'plain',
        }),
      ],
      leads: () => comesToStand('filed', { one: 1 }),
    },
    {
      command: 'oc create imagestreamtag bare:one',
      steps: [() => createTag('bare:one', {}, { status: 201, body: { tag: { name: 'one' } } })],
    },
    {
      command: 'oc create imagestreamtag ctag:image --from-image=REF --annotation=a=b',
      steps: [
        () =>
          createTag(
            'ctag:image',
            { from: docker(app(1)), annotations: { a: 'b' } },
            {
              status: 201,
              body: { tag: { name: 'image', from: docker(app(1)), annotations: { a: 'b' } } },
            },
          ),
      ],
      leads: () => comesToStand('ctag', { image: 1 }),
    },
    {
      command: 'oc create imagestreamtag ctag:copy --from=csource:v2',
      given: () => given('csource', { v2: 2 }),
      steps: [() => createTag('ctag:copy', { from: { kind: 'ImageStreamTag', name: 'csource:v2' } })],
      leads: async () => expect(await standing('ctag')).toMatchObject({ copy: 2 }),
    },
    {
      command: 'oc create imagestreamtag ctag:exact --from=demo/csource@DIGEST',
      steps: [
        () =>
          createTag('ctag:exact', {
            from: { kind: 'ImageStreamImage', name: `csource@${digest(2)}`, namespace: 'demo' },
          }),
      ],
      leads: async () => expect(await standing('ctag')).toMatchObject({ exact: 2 }),
    },
    {
      command: 'oc create imagestreamtag ctag:ref --from-image=REF --reference',
      steps: [
        () => createTag('ctag:ref', { from: docker(app(3)), reference: true }),
        () => get(`${tags()}/ctag:ref`, refused(404, 'NotFound')),
        () => get(`${imageApi}/namespaces/demo/imagetags/ctag:ref`, ok({ image: null })),
      ],
    },
    {
      command: 'oc create imagestreamtag ctag:often --from-image=REF --scheduled --insecure --reference-policy=local',
      steps: [
        () =>
          createTag(
            'ctag:often',
            { from: docker(app(1)), scheduled: true, insecure: true, policy: 'Local' },
            {
              status: 201,
              body: { tag: { importPolicy: { scheduled: true, insecure: true }, referencePolicy: { type: 'Local' } } },
            },
          ),
      ],
    },
    {
      command: 'oc create imagestreamtag ctag:copy --from=csource:v2 (that is there)',
      steps: [
        () =>
          createTag(
            'ctag:copy',
            { from: { kind: 'ImageStreamTag', name: 'csource:v2' } },
            refused(409, 'AlreadyExists'),
          ),
      ],
    },
    {
      command: 'oc create imagestreamtag ctag:no --from=csource:v2 --scheduled',
      steps: [
        () =>
          createTag(
            'ctag:no',
            { from: { kind: 'ImageStreamTag', name: 'csource:v2' }, scheduled: true },
            refused(422, 'Invalid', expect.stringContaining('scheduled')),
          ),
      ],
    },
    {
      command: 'oc create imagestreamtag ctag:no --from=nowhere:v2',
      steps: [
        () =>
          createTag(
            'ctag:no',
            { from: { kind: 'ImageStreamTag', name: 'nowhere:v2' } },
            refused(422, 'Invalid', expect.stringContaining('from.name')),
          ),
      ],
    },
  ])
})

describe('tag', () => {
  beforeAll(async () => {
    await given('src', { v1: 1, v2: 2, move: 1 })
    await given('hidden', { v1: 1 }, 'secret')
  })

  rows([
    {
      command: 'oc tag src:move dst:pinned',
      steps: [
        () => get(`${streams()}/src`, ok()),
        ([src]) =>
          putTag(
            'dst:pinned',
            { from: exact(src, 'move') },
            { status: [200, 201], body: { image: { metadata: { name: digest(1) } } } },
          ),
      ],
      async leads() {
        await replay([() => postImport('src', { tags: { move: app(3) } })])
        expect(await standing('src')).toMatchObject({ move: 3 })
        expect(await standing('dst'), 'a promotion is to a digest').toEqual({ pinned: 1 })
      },
    },
    {
      command: 'oc tag src:v1 dst:pinned (again, to another image)',
      steps: [() => get(`${streams()}/src`, ok()), ([src]) => putTag('dst:pinned', { from: exact(src, 'v2') })],
      leads: async () => expect(await standing('dst')).toEqual({ pinned: 2 }),
    },
    {
      command: 'oc tag src:v1 one:a two:b other/three:c',
      steps: [
        () => get(`${streams()}/src`, ok()),
        ([src]) => putTag('one:a', { from: exact(src, 'v1') }),
        ([src]) => putTag('two:b', { from: exact(src, 'v1') }),
        ([src]) => putTag('three:c', { from: exact(src, 'v1', 'demo') }, undefined, 'other'),
      ],
      async leads() {
        expect([await standing('one'), await standing('two'), await standing('three', 'other')]).toEqual([
          { a: 1 },
          { b: 1 },
          { c: 1 },
        ])
      },
    },
    {
      command: 'oc tag --source=docker REF external:one',
      steps: [() => putTag('external:one', { from: docker(app(1)) })],
      leads: () => comesToStand('external', { one: 1 }),
    },
    {
      command: 'oc tag --source=docker REF external:one (again: asks upstream again)',
      given: async () => {
        await parts().registry.put('lib/moving', images[0] ?? index, 'v')
        await replay([() => putTag('external:moves', { from: docker(`${parts().registry.host}/lib/moving:v`) })])
        await comesToStand('external', { moves: 1 })
        await parts().registry.put('lib/moving', images[1] ?? index, 'v')
      },
      steps: [() => putTag('external:moves', { from: docker(`${parts().registry.host}/lib/moving:v`) })],
      leads: () => comesToStand('external', { moves: 2 }),
    },
    {
      command: 'oc tag --alias src:move src:follows',
      steps: [() => putTag('src:follows', { from: { kind: 'ImageStreamTag', name: 'src:move' } })],
      async leads() {
        const { move } = await standing('src')
        expect((await standing('src')).follows).toBe(move)
        await replay([() => postImport('src', { tags: { move: app(2) } })])
        expect(await standing('src')).toMatchObject({ move: 2, follows: 2 })
      },
    },
    {
      command: 'oc tag --alias src:follows src:move (round and round)',
      steps: [
        () =>
          putTag(
            'src:move',
            { from: { kind: 'ImageStreamTag', name: 'src:follows' } },
            refused(422, 'Invalid', expect.stringContaining('from.name')),
          ),
      ],
      leads: async () => expect(await standing('src')).toMatchObject({ move: 2, follows: 2 }),
    },
    {
      command: 'oc tag --reference --source=docker REF external:literal',
      steps: [
        () => putTag('external:literal', { from: docker(app(3)), reference: true }),
        () => get(`${tags()}/external:literal`, refused(404, 'NotFound')),
        () =>
          get(
            `${imageApi}/namespaces/demo/imagetags/external:literal`,
            ok({ status: { items: [{ image: '', dockerImageReference: app(3) }] } }),
          ),
      ],
    },
    {
      command: 'oc tag external:literal dst:fromliteral (a reference has no image: its reference is taken)',
      steps: [
        () => get(`${streams()}/external`, ok()),
        ([found]) => putTag('dst:fromliteral', { from: exact(found, 'literal') }),
      ],
      leads: () => comesToStand('dst', { fromliteral: 3 }),
    },
    {
      command: 'oc tag --scheduled --insecure --import-mode=PreserveOriginal --source=docker REF external:often',
      steps: [
        () =>
          putTag(
            'external:often',
            { from: docker(app(1)), scheduled: true, insecure: true, importMode: 'PreserveOriginal' },
            {
              status: [200, 201],
              body: { tag: { importPolicy: { scheduled: true, insecure: true, importMode: 'PreserveOriginal' } } },
            },
          ),
        () => get(`${imageApi}/namespaces/demo/imagetags?limit=500`, ok(), 'table'),
      ],
      leads: ([, list]) => {
        const row = ((list?.body.rows ?? []) as { cells: string[] }[]).find(
          ({ cells }) => cells[0] === 'external:often',
        )
        expect(row?.cells[1]).toBe('Scheduled')
      },
    },
    {
      command: 'oc tag --reference-policy=local and =source src:v1 external:policy',
      steps: [
        () => get(`${streams()}/src`, ok()),
        ([src]) => putTag('external:policy', { from: exact(src, 'v1'), policy: 'Local' }),
        () =>
          get(
            `${tags()}/external:policy`,
            ok({ image: { dockerImageReference: `${parts().weir.host}/demo/external@${digest(1)}` } }),
          ),
        ([src]) => putTag('external:policy', { from: exact(src, 'v1'), policy: 'Source' }),
        () => get(`${tags()}/external:policy`, ok({ tag: { referencePolicy: { type: 'Source' } } })),
      ],
    },
    {
      command: 'oc tag -d external:one (twice)',
      steps: [
        () => ({
          method: 'DELETE',
          path: `${tags()}/external:one`,
          body: { kind: 'DeleteOptions', apiVersion: 'image.openshift.io/v1' },
          needs: ok({ kind: 'Status', status: 'Success' }),
        }),
        () => ({ method: 'DELETE', path: `${tags()}/external:one`, needs: refused(404, 'NotFound') }),
      ],
      async leads() {
        expect(await standing('external')).not.toHaveProperty('one')
        expect((await streamOf('external')).spec.tags.map(({ name }: { name: string }) => name)).not.toContain('one')
      },
    },
    {
      command: 'oc tag src:v1 dst:created (as one who may create tags, not update them)',
      as: () =>
        robot('creator', [
          rule('imagestreams', 'get'),
          rule('imagestreamtags', 'create'),
          rule('imagestreams/layers', 'get'),
        ]),
      steps: [
        () => get(`${streams()}/src`, ok()),
        ([src]) => putTag('dst:created', { from: exact(src, 'v1') }, refused(403, 'Forbidden')),
        ([src]) => postTag('dst:created', { from: exact(src, 'v1') }),
      ],
      leads: async () => expect(await standing('dst')).toMatchObject({ created: 1 }),
    },
    {
      command: 'oc tag src:v1 dst:old, and -d (as one who may only write whole streams)',
      as: () =>
        robot('streamer', [rule('imagestreams', 'get', 'create', 'update'), rule('imagestreams/layers', 'get')]),
      steps: [
        () => get(`${streams()}/src`, ok()),
        ([src]) => putTag('dst:old', { from: exact(src, 'v1') }, refused(403, 'Forbidden')),
        ([src]) => postTag('dst:old', { from: exact(src, 'v1') }, refused(403, 'Forbidden')),
        () => get(`${streams()}/dst`, ok()),
        ([src, , , dst]) => {
          const { tag } = streamTag('dst:old', { from: exact(src, 'v1') }) as { tag: object }
          const spec = { ...dst?.body.spec, tags: [...(dst?.body.spec.tags ?? []), tag] }
          return { method: 'PUT', path: `${streams()}/dst`, body: { ...dst?.body, spec }, needs: ok() }
        },
        () => ({ method: 'DELETE', path: `${tags()}/dst:old`, needs: refused(403, 'Forbidden') }),
        () =>
          get(
            `${streams()}/dst`,
            ok({ status: { tags: expect.arrayContaining([expect.objectContaining({ tag: 'old' })]) } }),
          ),
        (answers) => {
          const dst = answers.at(-1)?.body
          const left = dst.spec.tags.filter(({ name }: { name: string }) => name !== 'old')
          return {
            method: 'PUT',
            path: `${streams()}/dst`,
            body: { ...dst, spec: { ...dst.spec, tags: left } },
            needs: ok(),
          }
        },
      ],
      async leads() {
        const { spec } = await streamOf('dst')
        expect(spec.tags.map(({ name }: { name: string }) => name)).not.toContain('old')
        expect(await standing('dst'), 'status stays, as on OKD').toMatchObject({ old: 1, created: 1 })
      },
    },
    {
      command: 'oc tag src:v1 fresh:old (as one who may only write whole streams, and there is none)',
      as: () =>
        robot('streams2', [rule('imagestreams', 'get', 'create', 'update'), rule('imagestreams/layers', 'get')]),
      steps: [
        () => get(`${streams()}/src`, ok()),
        () => get(`${streams()}/fresh`, refused(404, 'NotFound')),
        ([src]) => {
          const { tag } = streamTag('fresh:old', { from: exact(src, 'v1') }) as { tag: object }
          const metadata = { name: 'fresh', creationTimestamp: null }
          const body = {
            metadata,
            spec: { lookupPolicy: { local: false }, tags: [tag] },
            status: { dockerImageRepository: '' },
          }
          return { method: 'POST', path: streams(), body, needs: { status: 201 } }
        },
      ],
      leads: async () => expect(await standing('fresh')).toEqual({ old: 1 }),
    },
    {
      command: 'oc tag src:v1 held:prod (that is held after a rollback: no other request helps)',
      given: async () => {
        await given('held', { prod: 1 })
        await given('held', { prod: 2 })
        await parts().weir.weir('rollback', 'demo/held:prod', '--reason', 'bad')
      },
      steps: [
        () => get(`${streams()}/src`, ok()),
        ([src]) =>
          putTag(
            'held:prod',
            { from: exact(src, 'v2') },
            refused(422, 'Invalid', expect.stringContaining('weir resume')),
          ),
        () =>
          postImport(
            'held',
            { tags: { prod: app(2) } },
            {
              status: 201,
              body: {
                status: {
                  images: [
                    { status: { status: 'Failure', code: 422, message: expect.stringContaining('weir resume') } },
                  ],
                },
              },
            },
          ),
      ],
      leads: async () => expect(await standing('held')).toEqual({ prod: 1 }),
    },
    {
      command: 'oc tag secret/hidden:v1 dst:stolen (as one who may not pull there)',
      as: () =>
        robot('thief', [rule('imagestreams', '*'), rule('imagestreamtags', '*'), rule('imagestreams/layers', '*')]),
      steps: [
        () => get(`${streams('secret')}/hidden`, refused(403, 'Forbidden')),
        () =>
          putTag(
            'dst:stolen',
            { from: { kind: 'ImageStreamImage', name: `hidden@${digest(1)}`, namespace: 'secret' } },
            refused(422, 'Invalid', expect.stringContaining('Forbidden')),
          ),
        () =>
          putTag(
            'dst:stolen',
            { from: { kind: 'ImageStreamTag', name: 'hidden:v1', namespace: 'secret' } },
            refused(422, 'Invalid', expect.stringContaining('Forbidden')),
          ),
      ],
      leads: async () => expect(await standing('dst')).not.toHaveProperty('stolen'),
    },
    {
      command: 'oc tag nowhere:v1 dst:x, and src:v1 nowhere/dst:x',
      steps: [
        () => get(`${streams()}/nowhere`, refused(404, 'NotFound')),
        () =>
          putTag(
            'dst:x',
            { from: { kind: 'ImageStreamImage', name: `src@${digest(1)}`, namespace: 'demo' } },
            refused(404, 'NotFound'),
            'nowhere',
          ),
        () =>
          postTag(
            'dst:x',
            { from: { kind: 'ImageStreamImage', name: `src@${digest(1)}`, namespace: 'demo' } },
            refused(404, 'NotFound'),
            'nowhere',
          ),
      ],
    },
    {
      command: 'oc tag src:v1 dst:no!',
      steps: [
        () => putTag('dst:no!', { from: docker(app(1)) }, refused(422, 'Invalid', expect.stringContaining('no!'))),
      ],
    },
  ])

  test('what was promoted across projects can be pulled there, by digest and tag, and by nobody else', async () => {
    const from = { kind: 'ImageStreamImage', name: `hidden@${digest(1)}`, namespace: 'secret' }
    await replay([() => putTag('promoted:prod', { from }, undefined, 'other')])
    const login = async (project: string) => {
      const password = (await parts().weir.weir('token', 'puller', '-n', project)).trim()
      return { username: 'puller', password }
    }
    await parts().weir.weir('grant', 'pull', 'serviceaccount:puller', '-n', 'other')
    const [insider, stranger] = [await login('other'), await login('demo')]
    for (const client of [craneClient(parts().directory), skopeoClient(parts().directory)]) {
      const pulled = await client.pull(`${parts().weir.host}/other/promoted:prod`, insider)
      expect(pulled, pulled.stderr).toMatchObject({ code: 0, digest: digest(1) })
      expect((await client.pull(`${parts().weir.host}/other/promoted@${digest(1)}`, insider)).code).toBe(0)
      expect(
        (await client.pull(`${parts().weir.host}/secret/hidden:v1`, insider)).code,
        'not from where it came',
      ).not.toBe(0)
      expect((await client.pull(`${parts().weir.host}/other/promoted:prod`, stranger)).code).not.toBe(0)
    }
  })
})
