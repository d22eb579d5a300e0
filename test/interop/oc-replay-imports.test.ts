/**
 * oc, command by command, as requests: each row has what oc sends for a command and what it needs of the answers to go on.
 * Every answer must decode into the types that oc is compiled with. Here: imports, and changes of whole streams.
 */
import { beforeAll, describe, expect } from 'vitest'
import {
  deleteOptions,
  docker,
  get,
  imageApi,
  ok,
  postImport,
  refused,
  type Step,
  streams,
  tags,
} from './support/oc-commands.ts'
import { useOcWorld } from './support/oc-world.ts'

const { app, digest, rows, given, standing, comesToStand, parts } = useOcWorld()

const nameOf = ({ metadata }: { metadata: { name: string } }) => metadata.name
describe('import-image', () => {
  const image = (version: number) => ({ status: { status: 'Success' }, image: { metadata: { name: digest(version) } } })

  rows([
    {
      command: 'oc import-image fresh-import:one --from=REF (no stream, no --confirm: oc ends there)',
      steps: [() => get(`${streams()}/fresh-import`, refused(404, 'NotFound'))],
    },
    {
      command: 'oc import-image imp:one --from=REF --confirm',
      steps: [
        () => get(`${streams()}/imp`, refused(404, 'NotFound')),
        () =>
          postImport(
            'imp',
            { tags: { one: app(1) } },
            {
              status: 201,
              body: {
                kind: 'ImageStreamImport',
                status: {
                  import: { metadata: { name: 'imp' }, spec: { tags: [{ name: 'one' }] } },
                  images: [{ ...image(1), tag: 'one', image: { dockerImageMetadata: { kind: 'DockerImage' } } }],
                },
              },
            },
          ),
      ],
    },
    {
      command: 'oc import-image imp:one (nothing new: nothing is written)',
      steps: [
        () => get(`${streams()}/imp`, ok()),
        ([imp]) =>
          postImport(
            'imp',
            { tags: { one: app(1) }, resourceVersion: imp?.body.metadata.resourceVersion },
            { status: 201, body: { status: { images: [image(1)] } } },
          ),
        () => get(`${streams()}/imp`, ok()),
      ],
      leads: ([before, , after]) => expect(after?.body).toEqual(before?.body),
    },
    {
      command: 'oc import-image imp:two --from=REF (a tag more)',
      steps: [
        () => get(`${streams()}/imp`, ok()),
        ([imp]) => postImport('imp', { tags: { two: app(2) }, resourceVersion: imp?.body.metadata.resourceVersion }),
      ],
      leads: async () => expect(await standing('imp')).toEqual({ one: 1, two: 2 }),
    },
    {
      command: 'oc import-image imp --all (all tags of the stream)',
      steps: [
        () => get(`${streams()}/imp`, ok()),
        ([imp]) =>
          postImport(
            'imp',
            { tags: { one: app(1), two: app(2) }, resourceVersion: imp?.body.metadata.resourceVersion },
            {
              status: 201,
              body: { status: { images: [image(1), image(2)] } },
            },
          ),
      ],
    },
    {
      command: 'oc import-image imp:one --scheduled, and again without: it stays so',
      steps: [
        () => postImport('imp', { tags: { one: app(1) }, scheduled: true }),
        () => get(`${streams()}/imp`, ok({ spec: { tags: [{ name: 'one', importPolicy: { scheduled: true } }, {}] } })),
        // oc itself carries on what the tag has.
        () => postImport('imp', { tags: { one: app(1) }, scheduled: true }),
        () => get(`${streams()}/imp`, ok({ spec: { tags: [{ name: 'one', importPolicy: { scheduled: true } }, {}] } })),
      ],
    },
    {
      command: 'oc import-image imp:one --dry-run',
      steps: [
        () => get(`${streams()}/imp`, ok()),
        ([imp]) =>
          postImport(
            'imp',
            { tags: { one: app(3) }, dryRun: true, resourceVersion: imp?.body.metadata.resourceVersion },
            { status: 201, body: { status: { images: [image(3)] } } },
          ),
        () => get(`${streams()}/imp`, ok()),
      ],
      leads([before, dry, after]) {
        expect(dry?.body.status.import ?? null).toBeNull()
        expect(after?.body).toEqual(before?.body)
      },
    },
    {
      command: 'oc import-image imp:missing --from=REF (that is not there: exit 1, with why)',
      steps: [
        () =>
          postImport(
            'imp',
            { tags: { missing: `${parts().registry.host}/lib/app:missing`, one: app(1) } },
            {
              status: 201,
              body: {
                status: {
                  images: [{ status: { status: 'Failure', message: expect.stringContaining('not found') } }, image(1)],
                },
              },
            },
          ),
      ],
      leads: async () => expect(await standing('imp')).toMatchObject({ one: 1, two: 2 }),
    },
    {
      command: 'oc import-image repo --all --from=REPOSITORY --confirm',
      steps: [
        () => get(`${streams()}/repo`, refused(404, 'NotFound')),
        () =>
          postImport(
            'repo',
            { repository: `${parts().registry.host}/lib/few` },
            {
              status: 201,
              body: {
                status: {
                  repository: {
                    status: { status: 'Success' },
                    images: [{ tag: '1.2' }, { tag: '1.1' }, { tag: '1.0' }],
                  },
                },
              },
            },
          ),
      ],
      leads: async () => expect(await standing('repo')).toEqual({ '1.0': 1, '1.1': 2, '1.2': 3 }),
    },
    {
      command: 'oc import-image repo --all --from=REPOSITORY:TAG',
      steps: [
        () => postImport('repo', { repository: `${parts().registry.host}/lib/few:1.0` }, refused(422, 'Invalid')),
      ],
    },
    {
      command: 'oc import-image imp:one (while another tag moved: no conflict)',
      steps: [
        () => get(`${streams()}/imp`, ok()),
        () => postImport('imp', { tags: { two: app(3) } }),
        ([imp]) => postImport('imp', { tags: { one: app(2) }, resourceVersion: imp?.body.metadata.resourceVersion }),
      ],
      leads: async () => expect(await standing('imp')).toMatchObject({ one: 2, two: 3 }),
    },
    {
      command: 'oc import-image imp:one (while the same tag moved: conflict)',
      steps: [
        () => get(`${streams()}/imp`, ok()),
        () => postImport('imp', { tags: { one: app(3) } }),
        ([imp]) =>
          postImport(
            'imp',
            { tags: { one: app(1) }, resourceVersion: imp?.body.metadata.resourceVersion },
            refused(409, 'Conflict'),
          ),
      ],
      leads: async () => expect(await standing('imp')).toMatchObject({ one: 3 }),
    },
    {
      command: 'oc new-app imp:one (looks around, and asks what an image would be)',
      steps: [
        () => get(streams(), ok()),
        () => get(streams('openshift'), ok({ items: [] })),
        () => get(`${tags()}/imp:one`, ok()),
        () => get(`${imageApi}/namespaces/demo/imagestreamimages/imp@${digest(3)}`, ok()),
        () =>
          postImport(
            'newapp',
            { tags: { latest: app(1) }, dryRun: true },
            { status: 201, body: { status: { images: [image(1)] } } },
          ),
        () => get(`${streams()}/newapp`, refused(404, 'NotFound')),
      ],
    },
  ])
})

describe('set, edit, apply, label, delete, prune', () => {
  const strategic = 'application/strategic-merge-patch+json'
  const patch = (name: string, body: object, query = '', needs = ok()): Step => ({
    method: 'PATCH',
    path: `${streams()}/${name}${query}`,
    accept: 'plain',
    contentType: strategic,
    body,
    needs,
  })

  beforeAll(async () => {
    for (const stream of ['looked', 'edited', 'applied', 'labelled', 'deleted']) await given(stream, { a: 1, b: 2 })
  })

  rows([
    {
      command: 'oc set image-lookup looked',
      steps: [
        () => get(`${streams()}/looked`, ok(), 'plain'),
        () => patch('looked', { spec: { lookupPolicy: { local: true } } }, '?fieldManager=kubectl-set'),
      ],
      leads([before, after]) {
        expect(after?.body.spec.lookupPolicy).toEqual({ local: true })
        expect(after?.body.metadata.generation).toBe(Number(before?.body.metadata.generation) + 1)
        expect(after?.body.spec.tags).toEqual(before?.body.spec.tags)
        expect(after?.body.status).toEqual(before?.body.status)
      },
    },
    {
      command: 'oc set image-lookup looked --enabled=false; oc set image-lookup --list',
      steps: [
        () => get(`${streams()}/looked`, ok(), 'plain'),
        () => patch('looked', { spec: { lookupPolicy: { local: false } } }),
        () => get(`${streams()}?limit=500`, ok(), 'plain'),
      ],
      leads: ([, after]) => expect(after?.body.spec.lookupPolicy).toEqual({ local: false }),
    },
    {
      command: 'oc edit is edited (one tag has another source)',
      steps: [
        () => get(`${streams()}/edited`, ok(), 'plain'),
        () =>
          patch(
            'edited',
            {
              spec: {
                '$setElementOrder/tags': [{ name: 'a' }, { name: 'b' }],
                tags: [{ from: { name: app(3) }, name: 'b' }],
              },
            },
            '?fieldManager=kubectl-edit',
          ),
      ],
      async leads([before, after]) {
        const [a, b] = after?.body.spec.tags ?? []
        expect(a).toEqual(before?.body.spec.tags[0])
        expect(b).toMatchObject({
          name: 'b',
          from: docker(app(3)),
          generation: Number(before?.body.metadata.generation) + 1,
        })
        await comesToStand('edited', { a: 1, b: 3 })
      },
    },
    {
      command: 'oc edit is edited (a tag out, another in)',
      steps: [
        () =>
          patch('edited', {
            spec: {
              '$setElementOrder/tags': [{ name: 'b' }, { name: 'c' }],
              tags: [
                {
                  name: 'c',
                  from: { kind: 'ImageStreamTag', name: 'b' },
                  annotations: null,
                  generation: null,
                  importPolicy: {},
                  referencePolicy: { type: '' },
                },
                { $patch: 'delete', name: 'a' },
              ],
            },
          }),
      ],
      async leads([after]) {
        expect(after?.body.spec.tags.map(({ name }: { name: string }) => name)).toEqual(['b', 'c'])
        expect(await standing('edited')).toEqual({ a: 1, b: 3, c: 3 })
      },
    },
    {
      command: 'oc edit is edited (to what is refused)',
      steps: [
        () =>
          patch(
            'edited',
            { spec: { tags: [{ name: 'no!', from: docker(app(1)) }] } },
            '',
            refused(422, 'Invalid', expect.stringContaining('no!')),
          ),
        () =>
          patch(
            'edited',
            { spec: { tags: [{ from: docker(app(1)) }] } },
            '',
            refused(400, 'BadRequest', expect.stringContaining('name')),
          ),
        () =>
          patch(
            'edited',
            { metadata: { resourceVersion: '1' }, spec: { tags: [{ name: 'b', from: docker(app(1)) }] } },
            '',
            refused(409, 'Conflict'),
          ),
        () => get(`${streams()}/edited`, ok()),
      ],
      leads: (answers) =>
        expect(answers.at(-1)?.body.spec.tags.map(({ name }: { name: string }) => name)).toEqual(['b', 'c']),
    },
    {
      command: 'oc apply -f FILE (existing)',
      steps: [
        () => get(`${streams()}/applied`, ok(), 'plain'),
        () =>
          patch(
            'applied',
            {
              metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}\n' } },
              spec: {
                '$setElementOrder/tags': [{ name: 'b' }, { name: 'a' }],
                tags: [{ name: 'a', from: { kind: 'DockerImage', name: app(3) } }],
              },
            },
            '?fieldManager=kubectl-client-side-apply&fieldValidation=Ignore',
          ),
      ],
      async leads([, after]) {
        expect(after?.body.metadata.annotations).toMatchObject({
          'kubectl.kubernetes.io/last-applied-configuration': '{}\n',
        })
        await comesToStand('applied', { a: 3, b: 2 })
      },
    },
    {
      command: 'oc apply -f FILE (a tag gone from it; the order alone changes nothing)',
      steps: [
        () =>
          patch('applied', {
            spec: { '$setElementOrder/tags': [{ name: 'b' }], tags: [{ $patch: 'delete', name: 'a' }] },
          }),
        () => patch('applied', { spec: { '$setElementOrder/tags': [{ name: 'b' }] } }),
      ],
      leads([first, second]) {
        expect(first?.body.spec.tags).toMatchObject([{ name: 'b' }])
        expect(second?.body).toEqual(first?.body)
      },
    },
    {
      command: 'oc label is labelled a=b; oc annotate istag labelled:a c=d',
      steps: [
        () => patch('labelled', { metadata: { labels: { a: 'b' } } }, '?fieldManager=kubectl-label'),
        () => ({
          method: 'PATCH',
          path: `${tags()}/labelled:a?fieldManager=kubectl-annotate`,
          contentType: strategic,
          body: { metadata: { annotations: { c: 'd' } } },
          needs: ok({ tag: { annotations: { c: 'd' } } }),
        }),
      ],
      leads: async () => expect(await standing('labelled')).toEqual({ a: 1, b: 2 }),
    },
    {
      command: 'oc delete istag deleted:a; oc delete is deleted',
      steps: [
        () => ({ method: 'DELETE', path: `${tags()}/deleted:a`, accept: 'plain', body: deleteOptions, needs: ok() }),
        () => get(`${tags()}/deleted:a`, refused(404, 'NotFound'), 'plain'),
        () => ({ method: 'DELETE', path: `${streams()}/deleted`, accept: 'plain', body: deleteOptions, needs: ok() }),
        () => get(`${streams()}/deleted`, refused(404, 'NotFound'), 'plain'),
      ],
    },
    {
      command: 'oc adm prune images --confirm --prune-registry=false (what there is of it)',
      given: async () => {
        for (const version of [1, 2, 3, 1]) await given('pruned', { a: version, b: 1 })
      },
      steps: [
        () => get(`${imageApi}/imagestreams`, ok({ kind: 'ImageStreamList' })),
        () => get(`${imageApi}/images?limit=5000`, ok({ kind: 'ImageList' })),
        () => get(`${streams()}/pruned`, ok()),
        ([, , found]) => {
          const [a, ...others] = found?.body.status.tags ?? []
          const body = {
            ...found?.body,
            status: { ...found?.body.status, tags: [{ ...a, items: a.items.slice(0, 2) }, ...others] },
          }
          return { method: 'PUT', path: `${streams()}/pruned/status`, body, needs: ok({ kind: 'ImageStream' }) }
        },
        () => get(`${streams()}/pruned`, ok()),
      ],
      async leads([all, known, before, , after]) {
        expect(all?.body.items.map(nameOf)).toContain('pruned')
        expect(known?.body.items.map(nameOf)).toEqual(expect.arrayContaining([1, 2, 3].map(digest)))
        expect(before?.body.status.tags[0].items).toHaveLength(4)
        expect(after?.body.status.tags[0].items).toEqual(before?.body.status.tags[0].items.slice(0, 2))
        expect(after?.body.status.tags[1]).toEqual(before?.body.status.tags[1])
        expect(await standing('pruned')).toEqual({ a: 1, b: 1 })
      },
    },
  ])
})
