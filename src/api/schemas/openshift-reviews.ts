import { z } from 'zod'
import { anyObject, atomicList, boolean, object, string } from './fields.ts'
import { metadata } from './metadata.ts'

/**
 * Questions about rights as OpenShift has them, `authorization.openshift.io/v1`. Those about single rights are answered with
 * another kind, of which no client sends any.
 *
 * @see https://github.com/openshift/api/blob/master/authorization/v1/types.go
 */

const group = 'com.github.openshift.api.authorization.v1'

const action = {
  metadata,
  namespace: string('The project; empty for all projects and for what is in none.'),
  verb: string('What is to be done: get, list, create and so on, or `*`.'),
  resourceAPIGroup: string('The API group of the resource; `*` is all.'),
  resourceAPIVersion: string('The API version of the resource. It makes no difference.'),
  resource: string('The resource, in the plural, with its subresource, as `imagestreams/layers`; `*` is all.'),
  resourceName: string('Name of the object; empty for all.'),
  path: string('A path that is no resource.'),
  isNonResourceURL: boolean('Whether the path is asked about.'),
  content: anyObject('The object to be created or updated. It makes no difference.'),
}

const user = string('Name of the user that is asked about. Without user and groups it is the caller.')
const groups = atomicList(z.string(), 'The groups that he is in; he is taken to be in no other.')
const scopes = atomicList(z.string(), 'Scopes of his token. There are none: it must be empty.')

export const subjectAccessReviewSchema = z
  .object({ ...action, user, groups, scopes })
  .meta({ id: `${group}.SubjectAccessReview`, description: 'Asks whether somebody may do something.' })

export const localSubjectAccessReviewSchema = z.object({ ...action, user, groups, scopes }).meta({
  id: `${group}.LocalSubjectAccessReview`,
  description: 'Asks whether somebody may do something in this project.',
})

export const resourceAccessReviewSchema = z
  .object(action)
  .meta({ id: `${group}.ResourceAccessReview`, description: 'Asks who may do something.' })

export const localResourceAccessReviewSchema = z
  .object(action)
  .meta({ id: `${group}.LocalResourceAccessReview`, description: 'Asks who may do something in this project.' })

const rule = z
  .object({
    verbs: atomicList(z.string(), 'What may be done; `*` is everything.'),
    apiGroups: atomicList(z.string(), 'The API groups of the resources; `*` is all.'),
    resources: atomicList(z.string(), 'The resources; `*` is all.'),
    resourceNames: atomicList(z.string(), 'The only names that the rule is for. Empty: all.'),
  })
  .meta({ id: `${group}.PolicyRule`, description: 'What may be done with which resources.' })

const rulesStatus = z
  .object({
    rules: atomicList(rule, 'What is allowed.'),
    evaluationError: string('Why there are more rules than are listed.'),
  })
  .meta({ id: `${group}.SubjectRulesReviewStatus`, description: 'What is allowed.' })

const status = object(rulesStatus, 'What is allowed. Set by the server.')

const selfSpec = z
  .object({ scopes })
  .meta({ id: `${group}.SelfSubjectRulesReviewSpec`, description: 'How the caller is looked at.' })

const subjectSpec = z
  .object({ user: string('Name of the user that is asked about.'), groups, scopes })
  .meta({ id: `${group}.SubjectRulesReviewSpec`, description: 'Who is asked about.' })

export const openshiftSelfSubjectRulesReviewSchema = z
  .object({ metadata, spec: object(selfSpec, 'How the caller is looked at.'), status })
  .meta({ id: `${group}.SelfSubjectRulesReview`, description: 'Asks what the caller may do in this project.' })

export const openshiftSubjectRulesReviewSchema = z
  .object({ metadata, spec: object(subjectSpec, 'Who is asked about.'), status })
  .meta({ id: `${group}.SubjectRulesReview`, description: 'Asks what somebody may do in this project.' })
