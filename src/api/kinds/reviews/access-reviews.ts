import { z } from 'zod'
import type { Authorizer, Subject } from '../../../access/access.ts'
import type { FieldCause } from '../../../oci/errors.ts'
import { parseObject } from '../../body.ts'
import { forbiddenField, invalid, required, requireValid } from '../../fields.ts'
import { authorizationGroup as group } from '../../groups.ts'
import type { Resource } from '../../resource.ts'
import {
  localSubjectAccessReviewSchema,
  selfSubjectAccessReviewSchema,
  subjectAccessReviewSchema,
} from '../../schemas/reviews.ts'
import { checkLengths, checkSubject, type Decision, decide, decidePath, subjectFrom, text, texts } from './decide.ts'
import { created, review } from './review.ts'

/** Reviews of single rights, `authorization.k8s.io/v1`. */

export interface AccessReviewOptions {
  authorizer: Pick<Authorizer, 'explain'>
}

const attributes = {
  resourceAttributes: z
    .object({ namespace: text, verb: text, group: text, resource: text, subresource: text, name: text })
    .nullish(),
  nonResourceAttributes: z.object({ path: text, verb: text }).nullish(),
}

const selfReview = z.object({ spec: z.object(attributes).nullish() })

const subjectReview = z.object({
  spec: z.object({ ...attributes, user: text, groups: texts, uid: text }).nullish(),
})

/** What is asked: about a resource, or about a path. */
type Asked = NonNullable<z.infer<typeof selfReview>['spec']>

const nothing: Asked = { resourceAttributes: null, nonResourceAttributes: null }
const nobody = { ...nothing, user: '', groups: [], uid: '' }

/** May I? Answered to everyone about himself. */
export function selfSubjectAccessReviews({ authorizer }: AccessReviewOptions): Resource {
  const resource = 'selfsubjectaccessreviews'
  return review({
    group,
    resource,
    kind: 'SelfSubjectAccessReview',
    schema: selfSubjectAccessReviewSchema,
    admission: 'anyone',
    create: async ({ subject }, body) => {
      const spec = parseObject(selfReview, body).spec ?? nothing
      requireValid(checkAsked(spec), { name: '', kind: resource, group })
      return { ...created, spec: withoutNull(spec), status: answer(authorizer, subject, spec) }
    },
  })
}

/** May somebody? Anywhere, for those who may ask about everybody. */
export function subjectAccessReviews({ authorizer }: AccessReviewOptions): Resource {
  const resource = 'subjectaccessreviews'
  return review({
    group,
    resource,
    kind: 'SubjectAccessReview',
    schema: subjectAccessReviewSchema,
    create: async (_call, body) => {
      const spec = parseObject(subjectReview, body).spec ?? nobody
      requireValid([...checkAsked(spec), ...checkSubject(spec, 'spec.')], { name: '', kind: resource, group })
      return { ...created, spec: withoutNull(spec), status: answer(authorizer, subjectFrom(spec), spec) }
    },
  })
}

/** May somebody in this project? For those who may ask there. */
export function localSubjectAccessReviews({ authorizer }: AccessReviewOptions): Resource {
  const resource = 'localsubjectaccessreviews'
  return review({
    group,
    resource,
    kind: 'LocalSubjectAccessReview',
    schema: localSubjectAccessReviewSchema,
    namespaced: true,
    create: async ({ project }, body) => {
      const spec = parseObject(subjectReview, body).spec ?? nobody
      const causes = [...checkAsked(spec), ...checkSubject(spec, 'spec.'), ...checkLocal(spec, project)]
      requireValid(causes, { name: '', kind: resource, group })
      const metadata = { ...created.metadata, namespace: project }
      return { metadata, spec: withoutNull(spec), status: answer(authorizer, subjectFrom(spec), spec) }
    },
  })
}

function answer(authorizer: Pick<Authorizer, 'explain'>, subject: Subject, asked: Asked): Decision {
  if (!asked.resourceAttributes) return decidePath(subject)
  const { namespace, verb, group, resource, subresource, name } = asked.resourceAttributes
  const whole = subresource === '' ? resource : `${resource}/${subresource}`
  return decide(authorizer, subject, { verb, group, resource: whole, name, project: namespace })
}

function checkAsked({ resourceAttributes, nonResourceAttributes }: Asked): FieldCause[] {
  const at = 'spec.resourceAttributes'
  if (resourceAttributes && nonResourceAttributes) {
    return [forbiddenField('spec.nonResourceAttributes', 'cannot be specified in combination with resourceAttributes')]
  }
  if (!resourceAttributes) {
    return nonResourceAttributes ? [] : [required(at, 'exactly one of resourceAttributes and nonResourceAttributes')]
  }
  const { namespace, verb, group, resource, subresource } = resourceAttributes
  return checkLengths({
    [`${at}.namespace`]: namespace,
    [`${at}.verb`]: verb,
    [`${at}.group`]: group,
    [`${at}.resource`]: resource,
    [`${at}.subresource`]: subresource,
  })
}

// Whoever may ask in one project must not be told of another, nor of the whole cluster.
function checkLocal({ resourceAttributes, nonResourceAttributes }: Asked, project: string): FieldCause[] {
  if (nonResourceAttributes) {
    return [forbiddenField('spec.nonResourceAttributes', 'disallowed on this kind of request')]
  }
  const namespace = resourceAttributes?.namespace ?? project
  if (namespace === project) return []
  return [invalid('spec.resourceAttributes.namespace', namespace, `must be ${project}, the namespace of the request`)]
}

/** The question as it is told back; of two kinds of attributes the one that was sent. */
function withoutNull(spec: Asked): object {
  return Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== null && value !== undefined))
}
