/**
 * oc, command by command, as requests: each row has what oc sends for a command and what it needs of the answers to go on.
 * Every answer must decode into the types that oc is compiled with. Here: who one is, projects, and what is shown.
 */
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { createOc, field, type OcAnswer, protobufBody, userAgents } from './support/oc.ts'
import {
  deleteOptions,
  docker,
  get,
  imageApi,
  ok,
  postImport,
  projectApi,
  putTag,
  rbacApi,
  refused,
  streams,
  tags,
  userSelf,
} from './support/oc-commands.ts'
import { useOcWorld } from './support/oc-world.ts'

const { images, index, app, digest, replay, rows, given, parts } = useOcWorld()

const nameOf = ({ metadata }: { metadata: { name: string } }) => metadata.name
describe('discovery', () => {
  const aggregated = (version: string) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
  const newest = `${aggregated('v2')},${aggregated('v2beta1')},application/json`
  const older = `${aggregated('v2beta1')},application/json`

  test.each([
    ['4.13', older, 'v2beta1'],
    ['current', newest, 'v2'],
  ] as const)('of oc %s gets the newest version that it lists', async (release, header, version) => {
    const oc = await createOc(parts().weir.kubeconfig, { release })
    expect(userAgents[release]).toMatch(/^oc\//)
    const needs = {
      status: 200,
      contentType: aggregated(version),
      body: { apiVersion: `apidiscovery.k8s.io/${version}` },
    }
    const [, groups] = await replay(
      ['/api', '/apis'].map((path) => () => get(`${path}?timeout=32s`, needs, { header })),
      oc,
    )
    const items = groups?.body.items as { metadata: { name: string }; versions: { resources: Resource[] }[] }[]
    const found = items.find(({ metadata }) => metadata.name === 'image.openshift.io')?.versions[0]?.resources
    const of = (name: string) => found?.find(({ resource }) => resource === name)
    expect(of('imagestreams')).toMatchObject({ shortNames: ['is'], categories: ['all'], scope: 'Namespaced' })
    expect(of('imagestreamtags')).toMatchObject({ shortNames: ['istag'], singularResource: 'imagestreamtag' })
    expect(of('imagetags')).toMatchObject({ shortNames: ['itag'] })
    expect(of('imagestreamimages')).toMatchObject({ shortNames: ['isimage'] })
  })

  interface Resource {
    resource: string
  }

  test('gets plain lists when it asks for nothing else, and an empty OpenAPI v2', async () => {
    const [groups] = await replay([
      () => get('/apis?timeout=32s', { status: 200, contentType: 'application/json' }, 'plain'),
    ])
    const listed: string[] = groups?.body.groups.map(
      ({ preferredVersion }: { preferredVersion: { groupVersion: string } }) => preferredVersion.groupVersion,
    )
    expect(listed).toEqual(expect.arrayContaining(['image.openshift.io/v1', 'project.openshift.io/v1']))
    for (const version of listed) {
      const { status, body } = await parts().admin.send({ method: 'GET', path: `/apis/${version}?timeout=32s` })
      expect({ status, kind: body.kind }).toEqual({ status: 200, kind: 'APIResourceList' })
    }
    // It asks for the older description too, and can do without.
    const accept = { header: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' }
    const v2 = await parts().admin.send({ method: 'GET', path: '/openapi/v2?timeout=32s', accept })
    expect(v2).toMatchObject({
      status: 200,
      contentType: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
      body: '\n\x032.0',
    })
    expect((await parts().admin.send({ method: 'GET', path: '/swagger-2.0.0.pb-v1?timeout=32s', accept })).status).toBe(
      404,
    )
  })
})

describe('people and projects', () => {
  const review = () =>
    protobufBody(
      'authentication.k8s.io/v1',
      'SelfSubjectReview',
      Buffer.concat([field(1, Buffer.alloc(0)), field(2, field(1, Buffer.alloc(0)))]),
    )
  const request = (name: string, more: object = {}) => ({
    kind: 'ProjectRequest',
    apiVersion: 'project.openshift.io/v1',
    metadata: { name, creationTimestamp: null },
    ...more,
  })
  const wrong = () => createOc(parts().weir.kubeconfig, { token: 'sha256~wrong' })
  const nobody = async () =>
    createOc(parts().weir.kubeconfig, { token: (await parts().weir.weir('token', 'nobody', '-n', 'demo')).trim() })

  rows([
    {
      command: 'oc login URL --token=T',
      steps: [
        () => ({ method: 'HEAD', path: '/', needs: { status: 200 } }),
        () => get(userSelf, ok({ kind: 'User', metadata: { name: 'weir:admin' } })),
        () => get(`${projectApi}/projects`, ok({ kind: 'ProjectList' })),
        () => get('/api/v1/namespaces/openshift/configmaps/motd', refused(404, 'NotFound'), 'protobuf'),
      ],
      leads: ([, , projects]) =>
        expect(projects?.body.items.map(nameOf)).toEqual(expect.arrayContaining(['demo', 'other'])),
    },
    {
      command: 'oc login URL --token=WRONG',
      as: wrong,
      steps: [() => get(userSelf, refused(401, 'Unauthorized'))],
    },
    { command: 'oc whoami (4.13)', steps: [() => get(userSelf, ok({ metadata: { name: 'weir:admin' } }))] },
    {
      command: 'oc whoami',
      steps: [
        () => ({
          method: 'POST',
          path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
          accept: 'protobuf',
          contentType: 'application/vnd.kubernetes.protobuf',
          body: review(),
          needs: { status: 201, body: { status: { userInfo: { username: 'weir:admin' } } } },
        }),
      ],
    },
    {
      command: 'oc projects (as one who has none)',
      as: nobody,
      steps: [() => get(`${projectApi}/projects`, ok({ kind: 'ProjectList', items: [] }))],
    },
    {
      command: 'oc project demo',
      steps: [() => get(`${projectApi}/projects/demo`, ok({ metadata: { name: 'demo' } }))],
    },
    {
      command: 'oc project nowhere',
      steps: [
        () =>
          get(
            `${projectApi}/projects/nowhere`,
            refused(404, 'NotFound', 'projects.project.openshift.io "nowhere" not found'),
          ),
        () => get(`${projectApi}/projects`, ok()),
      ],
    },
    {
      command: 'oc project demo (as one who has no right there)',
      as: nobody,
      steps: [() => get(`${projectApi}/projects/demo`, refused(403, 'Forbidden'))],
    },
    {
      command: 'oc new-project made --display-name=Made',
      steps: [
        () => get(`${projectApi}/projectrequests`, ok({ kind: 'Status', status: 'Success' })),
        () => ({
          method: 'POST',
          path: `${projectApi}/projectrequests`,
          body: request('made', { displayName: 'Made' }),
          needs: { status: 201, body: { kind: 'Project', metadata: { name: 'made' } } },
        }),
        () =>
          get(
            `${projectApi}/projects/made`,
            ok({ metadata: { annotations: { 'openshift.io/display-name': 'Made' } } }),
          ),
      ],
    },
    {
      command: 'oc new-project demo (that is there)',
      steps: [
        () => get(`${projectApi}/projectrequests`, ok({ kind: 'Status', status: 'Success' })),
        () => ({
          method: 'POST',
          path: `${projectApi}/projectrequests`,
          body: request('demo'),
          needs: refused(409, 'AlreadyExists'),
        }),
      ],
    },
    {
      command: 'oc new-project theirs (as one who may not)',
      as: nobody,
      steps: [() => get(`${projectApi}/projectrequests`, refused(403, 'Forbidden'))],
    },
    {
      command: 'oc version',
      steps: [
        () => get('/version', ok({ gitVersion: expect.stringMatching(/^v\d/) }), 'plain'),
        () => get('/apis/config.openshift.io/v1/clusterversions/version', { status: 404 }),
      ],
    },
    {
      command: 'oc policy add-role-to-user system:image-puller system:serviceaccount:other:puller -n demo',
      given: () => parts().weir.weir('token', 'puller', '-n', 'other'),
      steps: [
        () => get(`${rbacApi}/clusterroles/system:image-puller`, ok({ kind: 'ClusterRole' }), 'protobuf'),
        () => get(`${rbacApi}/namespaces/demo/rolebindings`, ok({ kind: 'RoleBindingList' }), 'protobuf'),
        () => ({
          method: 'POST',
          path: `${rbacApi}/namespaces/demo/rolebindings`,
          body: {
            kind: 'RoleBinding',
            apiVersion: 'rbac.authorization.k8s.io/v1',
            metadata: { name: 'system:image-puller', namespace: 'demo', creationTimestamp: null },
            subjects: [{ kind: 'ServiceAccount', name: 'puller', namespace: 'other' }],
            roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
          },
          needs: { status: 201, body: { kind: 'RoleBinding' } },
        }),
      ],
    },
    {
      command: 'oc delete project leaving',
      given: async () => {
        await parts().weir.weir('new-project', 'leaving')
        await given('app', { one: 1 }, 'leaving')
      },
      steps: [
        () => ({
          method: 'DELETE',
          path: `${projectApi}/projects/leaving`,
          accept: 'plain',
          body: deleteOptions,
          needs: ok(),
        }),
      ],
      async leads() {
        const gone = { method: 'GET', path: `${projectApi}/projects/leaving` } as const
        await vi.waitFor(async () => expect((await parts().admin.send(gone)).status).toBe(404), { timeout: 20_000 })
        await replay([() => get(`${streams('leaving')}/app`, refused(404, 'NotFound'))])
      },
    },
  ])
})

describe('get and describe', () => {
  beforeAll(async () => {
    await given('shown', { v1: 1, v2: 2 })
    await replay([
      () => putTag('shown:literal', { from: docker(app(3)), reference: true }),
      () => postImport('shown', { tags: { multi: `${parts().registry.host}/lib/index:1` } }),
    ])
  })

  /** A table with these columns, those of `-o wide` behind a `-`, and these rows. */
  function table({ body }: OcAnswer, columns: readonly string[], names: readonly string[]): void {
    const definitions = body.columnDefinitions as { name: string; priority: number }[]
    expect(definitions.map(({ name, priority }) => (priority > 0 ? `-${name}` : name))).toEqual(columns)
    const found = body.rows as { cells: unknown[]; object: { kind: string; metadata: { name: string } } }[]
    expect(found.map(({ cells }) => cells[0])).toEqual(names)
    for (const { cells, object } of found) {
      expect(cells).toHaveLength(columns.length)
      expect(object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { namespace: 'demo' } })
    }
  }

  const isTable = ok({ kind: 'Table' })
  const only = 'fieldSelector=metadata.name%3Dshown'

  rows([
    {
      command: 'oc get is',
      steps: [() => get(`${streams()}?${only}&limit=500`, isTable, 'table')],
      leads: ([first]) => first && table(first, ['Name', 'Image Repository', 'Tags', 'Updated'], ['shown']),
    },
    {
      command: 'oc get is shown',
      steps: [() => get(`${streams()}/shown`, isTable, 'table')],
      leads: ([first]) => expect(first?.body.rows[0].cells[1]).toBe(`${parts().weir.host}/demo/shown`),
    },
    {
      command: 'oc get istag shown:v1',
      steps: [() => get(`${tags()}/shown:v1`, isTable, 'table')],
      leads: ([first]) => first && table(first, ['Name', 'Image Reference', 'Updated', '-Image Name'], ['shown:v1']),
    },
    {
      command: 'oc get istag (only those that stand at an image)',
      steps: [() => get(`${tags()}?limit=500`, isTable, 'table')],
      leads: ([first]) => {
        const names = ((first?.body.rows ?? []) as { cells: string[] }[]).map(({ cells }) => cells[0])
        expect(names.filter((name) => name?.startsWith('shown:'))).toEqual(['shown:multi', 'shown:v1', 'shown:v2'])
      },
    },
    {
      command: 'oc get itag (also those that do not)',
      steps: [() => get(`${imageApi}/namespaces/demo/imagetags?limit=500`, isTable, 'table')],
      leads: ([first]) => {
        const found = ((first?.body.rows ?? []) as { cells: unknown[] }[]).filter(({ cells }) =>
          String(cells[0]).startsWith('shown:'),
        )
        expect(found.map(({ cells }) => [cells[0], cells[1]])).toEqual([
          ['shown:literal', 'Ref'],
          ['shown:multi', 'Tag'],
          ['shown:v1', 'Tag'],
          ['shown:v2', 'Tag'],
        ])
      },
    },
    {
      command: 'oc get isimage shown@DIGEST, and by a part of it',
      steps: [
        () => get(`${imageApi}/namespaces/demo/imagestreamimages/shown@${digest(1)}`, isTable, 'table'),
        () => get(`${imageApi}/namespaces/demo/imagestreamimages/shown@${digest(2).slice(7, 19)}`, isTable, 'table'),
        () =>
          get(`${imageApi}/namespaces/demo/imagestreamimages/shown@${digest(3)}`, refused(404, 'NotFound'), 'table'),
      ],
      leads: ([first]) =>
        first && table(first, ['Name', 'Updated', '-Image Reference', '-Image Name'], [`shown@${digest(1)}`]),
    },
    {
      command: 'oc get istag shown:nothing',
      steps: [
        () =>
          get(
            `${tags()}/shown:nothing`,
            refused(404, 'NotFound', 'imagestreamtags.image.openshift.io "shown:nothing" not found'),
            'table',
          ),
        () => get('/api/v1/namespaces/demo', ok({ kind: 'Namespace' }), 'protobuf'),
      ],
    },
    {
      command: 'oc get istag shown',
      steps: [
        () =>
          get(
            `${tags()}/shown`,
            refused(400, 'BadRequest', 'ImageStreamTags must be retrieved with <name>:<tag>'),
            'table',
          ),
      ],
    },
    {
      command: 'oc describe is shown',
      steps: [
        () => get(`${streams()}/shown`, ok(), 'plain'),
        () =>
          get(`${streams()}/shown`, ok({ kind: 'ImageStream', metadata: { creationTimestamp: expect.any(String) } })),
        () =>
          get(
            '/api/v1/namespaces/demo/events?fieldSelector=involvedObject.name%3Dshown',
            ok({ kind: 'EventList', items: [] }),
            'protobuf',
          ),
      ],
      leads: ([, found]) => {
        const { spec, status } = found?.body ?? {}
        expect(spec.tags.map(({ name }: { name: string }) => name)).toEqual(['literal', 'multi', 'v1', 'v2'])
        expect(status.tags.map(({ tag }: { tag: string }) => tag)).toEqual(['literal', 'multi', 'v1', 'v2'])
        expect(status.tags[0].items).toMatchObject([{ image: '', dockerImageReference: app(3) }])
        expect(status.publicDockerImageRepository).toBe(`${parts().weir.host}/demo/shown`)
      },
    },
    {
      command: 'oc describe istag shown:v1',
      steps: [
        () => get(`${tags()}/shown:v1`, ok(), 'plain'),
        () =>
          get(
            `${tags()}/shown:v1`,
            ok({
              image: {
                metadata: { name: digest(1) },
                dockerImageMetadata: {
                  kind: 'DockerImage',
                  Id: images[0]?.config.digest,
                  Created: '2026-01-01T00:00:00Z',
                  Architecture: 'amd64',
                  Config: { Labels: { seed: 'app 1' } },
                },
                dockerImageLayers: [{ name: images[0]?.layers[0]?.digest }],
              },
            }),
          ),
      ],
    },
    {
      command: 'oc describe istag shown:multi (an index)',
      steps: [
        () => get(`${tags()}/shown:multi`, ok(), 'plain'),
        () =>
          get(
            `${tags()}/shown:multi`,
            ok({
              image: {
                metadata: { name: index.manifest.digest },
                dockerImageMetadata: expect.objectContaining({ kind: 'DockerImage' }),
                dockerImageManifests: index.children.map(({ manifest }, i) => ({
                  digest: manifest.digest,
                  architecture: ['amd64', 'arm64'][i],
                  os: 'linux',
                })),
              },
            }),
          ),
      ],
    },
    {
      command: 'oc describe istag shown:literal (a reference)',
      steps: [() => get(`${tags()}/shown:literal`, refused(404, 'NotFound'), 'plain')],
    },
    {
      command: 'oc describe isimage shown@DIGEST, and of a platform of an index',
      steps: [
        () => get(`${imageApi}/namespaces/demo/imagestreamimages/shown@${digest(2)}`, ok(), 'plain'),
        () =>
          get(
            `${imageApi}/namespaces/demo/imagestreamimages/shown@${digest(2)}`,
            ok({ image: { dockerImageMetadata: { kind: 'DockerImage' } } }),
          ),
        () =>
          get(
            `${imageApi}/namespaces/demo/imagestreamimages/shown@${index.children[1]?.manifest.digest}`,
            ok({ image: { dockerImageMetadata: { Architecture: 'arm64' } } }),
          ),
      ],
    },
    {
      command: 'oc registry info --check',
      steps: [
        () => get(streams(), ok({ kind: 'ImageStreamList' })),
        () => get(streams('openshift'), ok({ items: [] })),
      ],
      async leads([list]) {
        expect(list?.body.items[0].status.publicDockerImageRepository).toMatch(
          new RegExp(`^${parts().weir.host}/demo/`),
        )
        const ping = await fetch(`http://${parts().weir.host}/v2/`)
        expect([ping.status, ping.headers.get('docker-distribution-api-version')]).toEqual([401, 'registry/2.0'])
        expect((await fetch(`http://${parts().weir.host}/healthz`)).status).toBe(200)
      },
    },
  ])
})
