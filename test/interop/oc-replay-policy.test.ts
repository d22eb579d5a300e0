/**
 * oc, command by command, as requests: each row has what oc sends for a command and what it needs of the answers to go on.
 * Every answer must decode into the types that oc is compiled with. Here: who may do what, and who is asked.
 */
import { beforeAll, describe, expect, vi } from 'vitest'
import type { OcAnswer } from './support/oc.ts'
import { get, type MakeStep, ok, rbacApi, refused, rule, type Step } from './support/oc-commands.ts'
import {
  account,
  action,
  bindings,
  group,
  inProtobuf,
  newBinding,
  ocAuthorizationApi,
  type Subject,
  sendBinding,
  user,
} from './support/oc-policy.ts'
import { useOcWorld } from './support/oc-world.ts'

const { replay, rows, parts, robot } = useOcWorld()

const userApi = '/apis/user.openshift.io/v1'
const puller = 'system:image-puller'

/** The list of bindings by which oc looks for those of a role, and then for a name that is free. */
const list = (project: string): Step => get(bindings(project), ok(), 'protobuf')
const findRole = (role: string): Step => get(`${rbacApi}/clusterroles/${role}`, ok({ kind: 'ClusterRole' }), 'protobuf')
// Weir keeps no users and groups: oc warns of what it does not find, and goes on.
const findUser = (name: string): Step => get(`${userApi}/users/${name}`, refused(404, 'NotFound'))
const findGroup = (name: string): Step => get(`${userApi}/groups/${name}`, refused(404, 'NotFound'))
const findAccount = (project: string, name: string, needs = ok({ kind: 'ServiceAccount' })): Step =>
  get(`/api/v1/namespaces/${project}/serviceaccounts/${name}`, needs, 'protobuf')

const add = (project: string, name: string, role: string, subjects: Subject[], status = 201): Step =>
  sendBinding('POST', project, newBinding(project, name, role, subjects), { status })

/** The binding of that name in a list that was answered. */
// biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
const listed = (answer: OcAnswer | undefined, name: string): any =>
  answer?.body.items.find(({ metadata }: { metadata: { name: string } }) => metadata.name === name)

/** What `oc` writes back when it took a subject out: the binding without him, or its deletion when he was the last. */
const takeOut =
  (project: string, name: string, who: string): MakeStep =>
  (answers) => {
    const binding = listed(answers[0], name)
    const subjects = (binding.subjects as Subject[]).filter((subject) => subject.name !== who)
    if (subjects.length > 0) return sendBinding('PUT', project, { ...binding, subjects }, ok())
    return { method: 'DELETE', path: `${bindings(project)}/${name}`, accept: 'protobuf', needs: ok() }
  }

const rulesReview = (kind: string, spec: object) => ({
  kind,
  apiVersion: 'authorization.openshift.io/v1',
  spec: { scopes: null, ...spec },
  status: { rules: null },
})

const post = (path: string, body: object, needs: Step['needs'] = { status: 201 }): Step => ({
  method: 'POST',
  path,
  body,
  needs,
})

const inDemo = (resource: string) => `${ocAuthorizationApi}/namespaces/demo/${resource}`
const pulling = { verb: 'get', resource: 'imagestreams/layers' }

async function subjectsOf(project: string, name: string): Promise<Subject[] | undefined> {
  const { body } = await parts().admin.send({ method: 'GET', path: bindings(project) })
  return body.items.find(({ metadata }: { metadata: { name: string } }) => metadata.name === name)?.subjects
}

beforeAll(async () => {
  await parts().weir.weir('token', 'ci', '-n', 'demo')
})

describe('policy', () => {
  rows([
    {
      command: 'oc policy add-role-to-user system:image-puller ann',
      steps: [
        () => list('demo'),
        () => list('demo'),
        () => findRole(puller),
        () => findUser('ann'),
        () => add('demo', puller, puller, [user('ann')]),
      ],
      leads: async () => expect(await subjectsOf('demo', puller)).toEqual([user('ann')]),
    },
    {
      command: 'oc policy add-role-to-user system:image-puller ann (again: she has it)',
      steps: [() => list('demo')],
      leads: ([answer]) => {
        const { roleRef, subjects } = listed(answer, puller)
        expect({ roleRef, subjects }).toEqual({
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: puller },
          subjects: [user('ann')],
        })
      },
    },
    {
      command: 'oc policy add-role-to-user system:image-puller -z ci, and one of another project',
      steps: [
        () => list('demo'),
        () => list('demo'),
        () => findRole(puller),
        () => findAccount('other', 'puller', refused(404, 'NotFound')),
        () => findAccount('demo', 'ci'),
        () => add('demo', `${puller}-0`, puller, [account('other', 'puller'), account('demo', 'ci')]),
      ],
      leads: async () =>
        expect(await subjectsOf('demo', `${puller}-0`)).toEqual([account('other', 'puller'), account('demo', 'ci')]),
    },
    {
      command: 'oc policy add-role-to-group system:image-puller devs system:unauthenticated --rolebinding-name=open',
      steps: [
        () => get(`${bindings('demo')}/open`, refused(404, 'NotFound'), 'protobuf'),
        () => findRole(puller),
        () => findGroup('devs'),
        () => findGroup('system:unauthenticated'),
        () => add('demo', 'open', puller, [group('devs'), group('system:unauthenticated')]),
      ],
    },
    {
      command: 'oc policy add-role-to-user view ben --rolebinding-name=open (that binds another role)',
      steps: [() => get(`${bindings('demo')}/open`, ok({ roleRef: { name: puller } }), 'protobuf')],
    },
    {
      command: 'oc policy add-role-to-user system:image-puller ben --rolebinding-name=open',
      steps: [
        () => get(`${bindings('demo')}/open`, ok(), 'protobuf'),
        () => findRole(puller),
        () => findUser('ben'),
        ([found]) => {
          const binding = found?.body
          return sendBinding('PUT', 'demo', { ...binding, subjects: [...binding.subjects, user('ben')] }, ok())
        },
      ],
      leads: async () =>
        expect(await subjectsOf('demo', 'open')).toEqual([group('devs'), group('system:unauthenticated'), user('ben')]),
    },
    {
      command: 'oc policy add-role-to-user nothing ann (there is no such role: oc warns, and binds it)',
      steps: [
        () => list('demo'),
        () => list('demo'),
        () => get(`${rbacApi}/clusterroles/nothing`, refused(404, 'NotFound'), 'protobuf'),
        () => findUser('ann'),
        () => add('demo', 'nothing', 'nothing', [user('ann')]),
      ],
    },
    {
      command: 'oc policy add-role-to-user admin ann (as one who may not)',
      as: () => robot('watcher', [rule('imagestreams', 'get')]),
      steps: [() => get(bindings('demo'), refused(403, 'Forbidden'), 'protobuf')],
    },
    {
      command: 'oc policy who-can get imagestreams/layers (of which oc knows no group)',
      steps: [() => post(inDemo('localresourceaccessreviews'), action('LocalResourceAccessReview', pulling))],
      leads: ([answer]) =>
        expect(answer?.body).toMatchObject({
          kind: 'ResourceAccessReviewResponse',
          namespace: 'demo',
          users: ['ann', 'ben', 'system:serviceaccount:demo:ci', 'system:serviceaccount:other:puller', 'weir:admin'],
          groups: ['devs', 'system:masters', 'system:unauthenticated'],
          evalutionError: '',
        }),
    },
    {
      command: 'oc policy who-can delete imagestreams.image.openshift.io app',
      steps: [
        () => {
          const what = { verb: 'delete', resourceAPIGroup: 'image.openshift.io', resource: 'imagestreams' }
          const body = action('LocalResourceAccessReview', { ...what, resourceName: 'app' })
          return post(inDemo('localresourceaccessreviews'), body, {
            status: 201,
            body: { users: ['weir:admin'], groups: ['system:masters'] },
          })
        },
      ],
    },
    {
      command: 'oc policy who-can get imagestreams/layers (as one who may not)',
      as: () => robot('curious', [rule('imagestreams/layers', 'get')]),
      steps: [
        () =>
          post(
            inDemo('localresourceaccessreviews'),
            action('LocalResourceAccessReview', pulling),
            refused(403, 'Forbidden'),
          ),
      ],
    },
    {
      command: 'oc policy can-i get imagestreams/layers, and -A, and --user=ann',
      as: () => robot('asking', [rule('imagestreams/layers', 'get')]),
      steps: [
        { namespace: 'demo', groups: null },
        { groups: null },
        { namespace: 'demo', user: 'ann', groups: null },
      ].map((who, i) => () => {
        const body = action('SubjectAccessReview', { ...pulling, user: '', scopes: null, ...who })
        const needs: Step['needs'][] = [
          { status: 201, body: { kind: 'SubjectAccessReviewResponse', namespace: 'demo', allowed: true } },
          { status: 201, body: { allowed: true, reason: expect.any(String) } },
          refused(403, 'Forbidden'),
        ]
        if (i === 1)
          return post(`${ocAuthorizationApi}/subjectaccessreviews`, body, { status: 201, body: { allowed: false } })
        return post(`${ocAuthorizationApi}/subjectaccessreviews`, body, needs[i] ?? { status: 201 })
      }),
    },
    {
      command: 'oc policy can-i get imagestreams/layers --user=ann --groups=x (as the admin)',
      steps: [
        () => {
          const who = { namespace: 'demo', user: 'cher', groups: ['devs'], scopes: null }
          const body = action('SubjectAccessReview', { ...pulling, ...who })
          const reason = expect.stringContaining('RoleBinding "open/demo"')
          return post(`${ocAuthorizationApi}/subjectaccessreviews`, body, {
            status: 201,
            body: { allowed: true, reason },
          })
        },
      ],
    },
    {
      command: 'oc policy can-i --list, and --user=ann',
      as: () => robot('listing', [rule('imagestreams/layers', 'get'), ruleOf('subjectrulesreviews')]),
      steps: [
        () => post(inDemo('selfsubjectrulesreviews'), rulesReview('SelfSubjectRulesReview', {})),
        () => post(inDemo('subjectrulesreviews'), rulesReview('SubjectRulesReview', { user: 'ann', groups: null })),
      ],
      leads: (answers) => {
        const pull = expect.objectContaining({ verbs: ['get'], resources: ['imagestreams/layers'] })
        for (const { body } of answers) expect(body.status.rules).toContainEqual(pull)
      },
    },
    {
      command: 'oc auth can-i get imagestreams --subresource=layers',
      as: () => robot('certain', [rule('imagestreams/layers', 'get')]),
      steps: [
        () => ({
          method: 'POST',
          path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
          accept: 'protobuf',
          ...inProtobuf('SelfSubjectAccessReview', {
            spec: {
              resourceAttributes: {
                namespace: 'demo',
                verb: 'get',
                group: 'image.openshift.io',
                resource: 'imagestreams',
                subresource: 'layers',
              },
            },
          }),
          needs: { status: 201, body: { kind: 'SelfSubjectAccessReview', status: { allowed: true } } },
        }),
      ],
    },
    {
      command: 'oc auth can-i --list',
      as: () => robot('thorough', [rule('imagestreams/layers', 'get')]),
      steps: [
        () => ({
          method: 'POST',
          path: '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews',
          accept: 'protobuf',
          ...inProtobuf('SelfSubjectRulesReview', { spec: { namespace: 'demo' } }),
          needs: { status: 201, body: { status: { incomplete: false, nonResourceRules: [] } } },
        }),
      ],
      leads: ([answer]) =>
        expect(answer?.body.status.resourceRules).toContainEqual({
          verbs: ['get'],
          apiGroups: ['', 'image.openshift.io'],
          resources: ['imagestreams/layers'],
        }),
    },
    {
      command: 'oc policy remove-role-from-user system:image-puller ann',
      steps: [() => list('demo'), takeOut('demo', puller, 'ann'), takeOut('demo', 'open', 'ann')],
      async leads() {
        expect(await subjectsOf('demo', puller)).toBeUndefined()
        expect(await subjectsOf('demo', 'open')).toHaveLength(3)
        await mayNot('ann')
      },
    },
    {
      command: 'oc policy remove-role-from-group system:image-puller devs --rolebinding-name=open',
      steps: [
        () => get(`${bindings('demo')}/open`, ok(), 'protobuf'),
        ([found]) => {
          const { body } = found ?? {}
          const subjects = body.subjects.filter(({ name }: Subject) => name !== 'devs')
          return sendBinding('PUT', 'demo', { ...body, subjects }, ok())
        },
      ],
      leads: async () =>
        expect(await subjectsOf('demo', 'open')).toEqual([group('system:unauthenticated'), user('ben')]),
    },
  ])
})

describe('adm policy', () => {
  rows([
    {
      command: 'oc adm policy add-cluster-role-to-group view system:authenticated',
      steps: [
        () => list(''),
        () => list(''),
        () => findRole('view'),
        () => findGroup('system:authenticated'),
        () => add('', 'view', 'view', [group('system:authenticated')]),
      ],
      leads: async () => expect(await subjectsOf('', 'view')).toEqual([group('system:authenticated')]),
    },
    {
      command: 'oc adm policy add-cluster-role-to-user cluster-reader -z ci -n demo',
      steps: [
        () => list(''),
        () => list(''),
        () => findRole('cluster-reader'),
        () => findAccount('demo', 'ci'),
        () => add('', 'cluster-reader', 'cluster-reader', [account('demo', 'ci')]),
      ],
    },
    {
      command: 'oc adm policy who-can list imagestreams -A',
      steps: [
        () => {
          const what = { verb: 'list', resourceAPIGroup: 'image.openshift.io', resource: 'imagestreams' }
          return post(`${ocAuthorizationApi}/resourceaccessreviews`, action('ResourceAccessReview', what))
        },
      ],
      leads: ([answer]) =>
        expect(answer?.body).toMatchObject({
          namespace: '',
          users: ['system:serviceaccount:demo:ci'],
          groups: ['system:authenticated', 'system:masters'],
        }),
    },
    {
      command: 'oc adm policy who-can list imagestreams -A (as the admin of a project)',
      as: () => robot('boss', [ruleOf('localresourceaccessreviews')]),
      steps: [
        () =>
          post(
            `${ocAuthorizationApi}/resourceaccessreviews`,
            action('ResourceAccessReview', pulling),
            refused(403, 'Forbidden'),
          ),
      ],
    },
    {
      command: 'oc adm policy add-cluster-role-to-user cluster-admin eve (as the admin of a project)',
      as: () => robot('reaching', [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]),
      steps: [
        () => get(bindings(''), refused(403, 'Forbidden'), 'protobuf'),
        () =>
          sendBinding('POST', '', newBinding('', 'mine', 'cluster-admin', [user('eve')]), refused(403, 'Forbidden')),
      ],
    },
    {
      command: 'oc adm policy remove-cluster-role-from-group view system:authenticated',
      steps: [() => list(''), takeOut('', 'view', 'system:authenticated')],
      leads: async () => expect(await subjectsOf('', 'view')).toBeUndefined(),
    },
    {
      command: 'oc adm policy remove-cluster-role-from-user cluster-reader -z ci -n demo',
      steps: [() => list(''), takeOut('', 'cluster-reader', 'ci')],
      leads: async () => expect(await subjectsOf('', 'cluster-reader')).toBeUndefined(),
    },
  ])
})

/** To ask about others by this review of OpenShift's. */
function ruleOf(resource: string): object {
  return { apiGroups: ['authorization.openshift.io'], resources: [resource], verbs: ['create'] }
}

/** Waits until somebody may not pull in demo; whoever may there may by the group of everybody too. */
async function mayNot(name: string): Promise<void> {
  await vi.waitFor(async () => {
    const [answer] = await replay([
      () => post(inDemo('localresourceaccessreviews'), action('LocalResourceAccessReview', pulling)),
    ])
    expect(answer?.body.users).not.toContain(name)
  })
}
