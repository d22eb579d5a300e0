import { z } from 'zod'
import { anyObject, atomicList, boolean, object, string } from './fields.ts'
import { metadata } from './metadata.ts'

/** Questions about rights and identities. They are answered, and not stored. */

const authorization = 'io.k8s.api.authorization.v1'
const authentication = 'io.k8s.api.authentication.v1'

const resourceAttributes = z
  .object({
    namespace: string('The project; empty for all projects and for what is in none.'),
    verb: string('What is to be done: get, list, create and so on, or `*`.'),
    group: string('The API group of the resource; `*` is all.'),
    version: string('The API version of the resource. It makes no difference.'),
    resource: string('The resource, in the plural; `*` is all.'),
    subresource: string('The subresource, as `layers`; empty for the resource itself.'),
    name: string('Name of the object; empty for all.'),
    fieldSelector: anyObject('The objects by their fields. It makes no difference.'),
    labelSelector: anyObject('The objects by their labels. It makes no difference.'),
  })
  .meta({ id: `${authorization}.ResourceAttributes`, description: 'What is to be done with which resource.' })

const nonResourceAttributes = z
  .object({ path: string('The path.'), verb: string('The method, in lower case.') })
  .meta({ id: `${authorization}.NonResourceAttributes`, description: 'What is to be done with a path.' })

const aboutResource = object(resourceAttributes, 'What is to be done with which resource.')
const aboutPath = object(nonResourceAttributes, 'What is to be done with a path.')

const extra = z
  .record(z.string(), z.array(z.string()))
  .nullish()
  .describe('What else is known of the user. It makes no difference.')

const selfSpec = z.object({ resourceAttributes: aboutResource, nonResourceAttributes: aboutPath }).meta({
  id: `${authorization}.SelfSubjectAccessReviewSpec`,
  description: 'What the caller would do: exactly one of the two.',
})

const subjectSpec = z
  .object({
    resourceAttributes: aboutResource,
    nonResourceAttributes: aboutPath,
    user: string('Name of the user that is asked about.'),
    groups: atomicList(z.string(), 'The groups that he is in; he is taken to be in no other.'),
    uid: string('UID of the user. It makes no difference.'),
    extra,
  })
  .meta({
    id: `${authorization}.SubjectAccessReviewSpec`,
    description: 'What somebody would do: exactly one of the two kinds of attributes, and a user, groups, or both.',
  })

const accessReviewStatus = z
  .object({
    allowed: boolean('Whether it is allowed.'),
    denied: boolean('Whether it is denied, whatever else would allow it. Never set: no rule denies.'),
    reason: string('Why.'),
    evaluationError: string('What could not be evaluated.'),
  })
  .meta({ id: `${authorization}.SubjectAccessReviewStatus`, description: 'Whether it is allowed.' })

const accessStatus = object(accessReviewStatus, 'Whether it is allowed. Set by the server.')

export const selfSubjectAccessReviewSchema = z
  .object({ metadata, spec: object(selfSpec, 'What the caller would do.'), status: accessStatus })
  .meta({ id: `${authorization}.SelfSubjectAccessReview`, description: 'Asks whether the caller may do something.' })

const subjectReviewFields = { metadata, spec: object(subjectSpec, 'Who would do what.'), status: accessStatus }

export const subjectAccessReviewSchema = z
  .object(subjectReviewFields)
  .meta({ id: `${authorization}.SubjectAccessReview`, description: 'Asks whether somebody may do something.' })

export const localSubjectAccessReviewSchema = z.object(subjectReviewFields).meta({
  id: `${authorization}.LocalSubjectAccessReview`,
  description: 'Asks whether somebody may do something in this project.',
})

const rulesReviewSpec = z
  .object({ namespace: string('The project.') })
  .meta({ id: `${authorization}.SelfSubjectRulesReviewSpec`, description: 'Where the caller would do something.' })

const resourceRule = z
  .object({
    verbs: atomicList(z.string(), 'What may be done; `*` is everything.'),
    apiGroups: atomicList(z.string(), 'The API groups of the resources; `*` is all.'),
    resources: atomicList(z.string(), 'The resources; `*` is all.'),
    resourceNames: atomicList(z.string(), 'The only names that the rule is for. Empty: all.'),
  })
  .meta({ id: `${authorization}.ResourceRule`, description: 'What may be done with which resources.' })

const nonResourceRule = z
  .object({
    verbs: atomicList(z.string(), 'What may be done; `*` is everything.'),
    nonResourceURLs: atomicList(z.string(), 'The paths.'),
  })
  .meta({ id: `${authorization}.NonResourceRule`, description: 'What may be done with which paths.' })

const rulesReviewStatus = z
  .object({
    resourceRules: atomicList(resourceRule, 'What the caller may do with resources.'),
    nonResourceRules: atomicList(nonResourceRule, 'What he may do with paths. Always empty.'),
    incomplete: boolean('Whether there are more rules than are listed.'),
    evaluationError: string('Why there are more.'),
  })
  .meta({ id: `${authorization}.SubjectRulesReviewStatus`, description: 'What is allowed.' })

export const selfSubjectRulesReviewSchema = z
  .object({
    metadata,
    spec: object(rulesReviewSpec, 'Where the caller would do something.'),
    status: object(rulesReviewStatus, 'What he may do there. Set by the server.'),
  })
  .meta({ id: `${authorization}.SelfSubjectRulesReview`, description: 'Asks what the caller may do in a project.' })

const userInfo = z
  .object({
    username: string('Name of the user.'),
    uid: string('UID of the user.'),
    groups: atomicList(z.string(), 'Groups that the user is in.'),
    extra: anyObject('What else is known of the user.'),
  })
  .meta({ id: `${authentication}.UserInfo`, description: 'Who somebody is.' })

const selfSubjectReviewStatus = z
  .object({ userInfo: object(userInfo, 'Who the caller is.') })
  .meta({ id: `${authentication}.SelfSubjectReviewStatus`, description: 'Who the caller is.' })

export const selfSubjectReviewSchema = z
  .object({ metadata, status: object(selfSubjectReviewStatus, 'Who the caller is. Set by the server.') })
  .meta({ id: `${authentication}.SelfSubjectReview`, description: 'Asks who the caller is.' })

const audiences = atomicList(z.string(), 'For whom the token is to be. Default: Weir, by its issuer URL.')

const tokenReviewSpec = z
  .object({ token: string('The token. It is not told back.'), audiences })
  .meta({ id: `${authentication}.TokenReviewSpec`, description: 'The token that is asked about.' })

const tokenReviewStatus = z
  .object({
    authenticated: boolean('Whether the token is good.'),
    user: object(userInfo, 'Whose it is.'),
    audiences,
    error: string('Why it is not good.'),
  })
  .meta({ id: `${authentication}.TokenReviewStatus`, description: 'Whose token it is.' })

export const tokenReviewSchema = z
  .object({
    metadata,
    spec: object(tokenReviewSpec, 'The token that is asked about.'),
    status: object(tokenReviewStatus, 'Whose it is. Set by the server.'),
  })
  .meta({ id: `${authentication}.TokenReview`, description: 'Asks whose token it is.' })
