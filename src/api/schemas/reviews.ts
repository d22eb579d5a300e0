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

const accessReviewSpec = z
  .object({
    resourceAttributes: object(resourceAttributes, 'What is to be done with which resource.'),
    nonResourceAttributes: object(nonResourceAttributes, 'What is to be done with a path.'),
  })
  .meta({
    id: `${authorization}.SelfSubjectAccessReviewSpec`,
    description: 'What the caller would do: exactly one of the two.',
  })

const accessReviewStatus = z
  .object({
    allowed: boolean('Whether it is allowed.'),
    denied: boolean('Whether it is denied, whatever else would allow it.'),
    reason: string('Why.'),
    evaluationError: string('What could not be evaluated.'),
  })
  .meta({ id: `${authorization}.SubjectAccessReviewStatus`, description: 'Whether it is allowed.' })

export const selfSubjectAccessReviewSchema = z
  .object({
    metadata,
    spec: object(accessReviewSpec, 'What the caller would do.'),
    status: object(accessReviewStatus, 'Whether he may. Set by the server.'),
  })
  .meta({ id: `${authorization}.SelfSubjectAccessReview`, description: 'Asks whether the caller may do something.' })

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
