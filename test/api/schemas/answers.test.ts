import { expect, test } from 'vitest'
import type { ZodObject } from 'zod'
import {
  configMapSchema,
  namespaceSchema,
  serviceAccountSchema,
  tokenRequestSchema,
} from '../../../src/api/schemas/core.ts'
import { imageStreamImportSchema } from '../../../src/api/schemas/image-commands.ts'
import {
  imageStreamImageSchema,
  imageStreamLayersSchema,
  imageStreamSchema,
  imageStreamTagSchema,
  imageTagSchema,
} from '../../../src/api/schemas/image-streams.ts'
import { imageSchema } from '../../../src/api/schemas/images.ts'
import {
  openshiftSelfSubjectRulesReviewSchema,
  openshiftSubjectRulesReviewSchema,
} from '../../../src/api/schemas/openshift-reviews.ts'
import { projectSchema, userSchema } from '../../../src/api/schemas/projects.ts'
import { clusterRoleBindingSchema, clusterRoleSchema, roleBindingSchema } from '../../../src/api/schemas/rbac.ts'
import {
  localSubjectAccessReviewSchema,
  selfSubjectAccessReviewSchema,
  selfSubjectReviewSchema,
  selfSubjectRulesReviewSchema,
  subjectAccessReviewSchema,
  tokenReviewSchema,
} from '../../../src/api/schemas/reviews.ts'
import { tagEventSchema } from '../../../src/api/schemas/tag-events.ts'
import { examineFields } from '../../../src/api/unknown-fields.ts'
import { imagesWorld, importOf, imports, v1, v2 } from '../kinds/images.ts'
import { imageApi, inDemo, rbacApi, weirApi } from '../world.ts'

// A patch is made of what is answered, and its result is looked through for fields that the schema does not know.
test('what is answered has no field that its schema does not know, and none of another type', async () => {
  const { asAdmin, importTag, from, registry } = await imagesWorld()
  await importTag('prod')
  registry.put('lib/app', v2, { tag: 'v1' })
  await importTag('prod')
  await asAdmin('POST', `${weirApi}/${inDemo}/tagevents`, {
    kind: 'Rollback',
    stream: 'app',
    tag: 'prod',
    reason: 'bad',
  })
  const imported = await asAdmin('POST', imports, importOf(from, 'other'))
  const failed = await asAdmin('POST', imports, importOf(`${registry.host}/lib/none:v1`, 'failed'))
  await asAdmin('POST', `/api/v1/${inDemo}/serviceaccounts`, { metadata: { name: 'ci' } })
  await asAdmin('POST', `/api/v1/${inDemo}/configmaps`, { metadata: { name: 'c' }, data: { a: 'b' } })
  await asAdmin('POST', `${rbacApi}/clusterroles`, {
    metadata: { name: 'all' },
    aggregationRule: {
      clusterRoleSelectors: [{ matchLabels: {}, matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }],
    },
  })
  await asAdmin('POST', `${rbacApi}/clusterrolebindings`, {
    metadata: { name: 'all' },
    subjects: [{ kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }],
    roleRef: { kind: 'ClusterRole', name: 'all' },
  })
  const token = await asAdmin('POST', `/api/v1/${inDemo}/serviceaccounts/ci/token`, { kind: 'TokenRequest' })
  const who = await asAdmin('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {})
  const attributes = { resourceAttributes: { verb: 'get', resource: 'imagestreams', namespace: 'demo' } }
  const authorization = '/apis/authorization.k8s.io/v1'
  const may = await asAdmin('POST', `${authorization}/selfsubjectaccessreviews`, { spec: attributes })
  const ann = { spec: { user: 'ann', groups: ['devs'], ...attributes } }
  const mayAnn = await asAdmin('POST', `${authorization}/subjectaccessreviews`, ann)
  const mayThere = await asAdmin('POST', `${authorization}/${inDemo}/localsubjectaccessreviews`, ann)
  const rules = await asAdmin('POST', `${authorization}/selfsubjectrulesreviews`, { spec: { namespace: 'demo' } })
  const { token: ciToken } = (token.body as { status: { token: string } }).status
  const whose = await asAdmin('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: ciToken } })
  const oc = `/apis/authorization.openshift.io/v1/${inDemo}`
  const ocOwn = await asAdmin('POST', `${oc}/selfsubjectrulesreviews`, {})
  const ocAnn = await asAdmin('POST', `${oc}/subjectrulesreviews`, { spec: { user: 'ann' } })

  const image = `${imageApi}/${inDemo}`
  const digest = v1.manifest.digest
  const read = async (path: string) => (await asAdmin('GET', path)).body
  const items = async (path: string) => (await read(path)).items as object[]
  const answers: [string, ZodObject, object[]][] = [
    ['imagestreams', imageStreamSchema, [await read(`${image}/imagestreams/app`)]],
    ['imagestreamtags', imageStreamTagSchema, [await read(`${image}/imagestreamtags/app:prod`)]],
    ['imagestreamtags', imageStreamTagSchema, await items(`${image}/imagestreamtags`)],
    ['imagetags', imageTagSchema, [await read(`${image}/imagetags/app:prod`)]],
    ['imagetags', imageTagSchema, await items(`${image}/imagetags`)],
    ['imagestreamimages', imageStreamImageSchema, [await read(`${image}/imagestreamimages/app@${digest}`)]],
    ['layers', imageStreamLayersSchema, [await read(`${image}/imagestreams/app/layers`)]],
    ['images', imageSchema, await items(`${imageApi}/images`)],
    ['imagestreamimports', imageStreamImportSchema, [imported.body, failed.body]],
    ['tagevents', tagEventSchema, await items(`${weirApi}/${inDemo}/tagevents?fieldSelector=stream=app,tag=prod`)],
    ['namespaces', namespaceSchema, await items('/api/v1/namespaces')],
    ['projects', projectSchema, await items('/apis/project.openshift.io/v1/projects')],
    ['users', userSchema, [await read('/apis/user.openshift.io/v1/users/~')]],
    ['serviceaccounts', serviceAccountSchema, await items(`/api/v1/${inDemo}/serviceaccounts`)],
    ['token', tokenRequestSchema, [token.body]],
    ['configmaps', configMapSchema, await items(`/api/v1/${inDemo}/configmaps`)],
    ['rolebindings', roleBindingSchema, await items(`${rbacApi}/${inDemo}/rolebindings`)],
    ['clusterroles', clusterRoleSchema, await items(`${rbacApi}/clusterroles`)],
    ['clusterrolebindings', clusterRoleBindingSchema, await items(`${rbacApi}/clusterrolebindings`)],
    ['selfsubjectreviews', selfSubjectReviewSchema, [who.body]],
    ['selfsubjectaccessreviews', selfSubjectAccessReviewSchema, [may.body]],
    ['subjectaccessreviews', subjectAccessReviewSchema, [mayAnn.body]],
    ['localsubjectaccessreviews', localSubjectAccessReviewSchema, [mayThere.body]],
    ['selfsubjectrulesreviews', selfSubjectRulesReviewSchema, [rules.body]],
    ['tokenreviews', tokenReviewSchema, [whose.body]],
    ['selfsubjectrulesreviews', openshiftSelfSubjectRulesReviewSchema, [ocOwn.body]],
    ['subjectrulesreviews', openshiftSubjectRulesReviewSchema, [ocAnn.body]],
  ]
  for (const [resource, schema, objects] of answers) {
    for (const object of objects) {
      expect(object, resource).not.toHaveProperty('code')
      expect(examineFields(schema, object), resource).toEqual({ unknown: [], wrong: [] })
    }
  }
  const empty = answers.filter(([, , objects]) => objects.length === 0).map(([resource]) => resource)
  // The project is put straight into the store, with no binding in it.
  expect(empty).toEqual(['rolebindings'])
})
