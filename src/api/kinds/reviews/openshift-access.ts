import { z } from 'zod'
import type { Authorizer, Rbac } from '../../../access/access.ts'
import { serviceAccountUser } from '../../../access/identities.ts'
import type { FieldCause } from '../../../oci/errors.ts'
import { parseObject } from '../../body.ts'
import { forbiddenField, invalid, required, requireValid } from '../../fields.ts'
import { openshiftAuthorizationGroup as group, imageGroup } from '../../groups.ts'
import type { ApiObject, Call, Resource, Right } from '../../resource.ts'
import {
  localResourceAccessReviewSchema,
  localSubjectAccessReviewSchema,
  resourceAccessReviewSchema,
  subjectAccessReviewSchema,
} from '../../schemas/openshift-reviews.ts'
import { checkLengths, checkSubject, type Decision, decide, decidePath, subjectFrom, text, texts } from './decide.ts'
import { created, review } from './review.ts'

/**
 * Reviews of single rights as OpenShift has them, `authorization.openshift.io/v1`: what is asked stands in the object
 * itself, without a `spec`, and the answer is of another kind.
 *
 * @see https://github.com/openshift/api/blob/master/authorization/v1/types.go
 */

export interface OpenshiftAccessOptions {
  authorizer: Pick<Rbac, 'explain' | 'whoCan'>
}

const action = {
  namespace: text,
  verb: text,
  resourceAPIGroup: text,
  resource: text,
  resourceName: text,
  path: text,
  isNonResourceURL: z.boolean().nullish(),
}

const resourceReview = z.object(action)
const subjectReview = z.object({ ...action, user: text, groups: texts, scopes: texts })

type Action = z.infer<typeof resourceReview>
type AskedAbout = z.infer<typeof subjectReview>

// `oc` knows no resource called `imagestreams/layers`, and then asks about the core group, which has no streams.
const imageResources: ReadonlySet<string> = new Set([
  'images',
  'imagesignatures',
  'imagestreamimages',
  'imagestreamimports',
  'imagestreammappings',
  'imagestreams',
  'imagestreamtags',
  'imagetags',
])

/** May somebody? Without a user and groups it is the caller himself, who may ask. */
export function openshiftSubjectAccessReviews({ authorizer }: OpenshiftAccessOptions): Resource {
  const resource = 'subjectaccessreviews'
  return review({
    group,
    resource,
    kind: 'SubjectAccessReview',
    schema: subjectAccessReviewSchema,
    admission: 'handler',
    create: async (call, body) => {
      const asked = parseObject(subjectReview, body)
      requireAsker(call, asked.namespace, resource, isOfCaller(asked))
      requireValid(checkSubjectReview(asked), { name: '', kind: resource, group })
      return subjectAnswer(authorizer, call, asked, asked.namespace)
    },
  })
}

/** May somebody in this project? */
export function openshiftLocalSubjectAccessReviews({ authorizer }: OpenshiftAccessOptions): Resource {
  const resource = 'localsubjectaccessreviews'
  return review({
    group,
    resource,
    kind: 'LocalSubjectAccessReview',
    schema: localSubjectAccessReviewSchema,
    namespaced: true,
    admission: 'handler',
    create: async (call, body) => {
      const asked = parseObject(subjectReview, body)
      if (!isOfCaller(asked)) call.require(createIn(call.project, resource))
      const causes = [...checkSubjectReview(asked), ...checkLocal(asked, call.project)]
      requireValid(causes, { name: '', kind: resource, group })
      return subjectAnswer(authorizer, call, asked, call.project)
    },
  })
}

/** Who may, in all projects or in one? */
export function openshiftResourceAccessReviews({ authorizer }: OpenshiftAccessOptions): Resource {
  const resource = 'resourceaccessreviews'
  return review({
    group,
    resource,
    kind: 'ResourceAccessReview',
    schema: resourceAccessReviewSchema,
    admission: 'handler',
    create: async (call, body) => {
      const asked = parseObject(resourceReview, body)
      requireAsker(call, asked.namespace, resource, false)
      requireValid(checkResourceReview(asked), { name: '', kind: resource, group })
      return whoCanAnswer(authorizer, asked, asked.namespace)
    },
  })
}

/** Who may in this project? `oc policy who-can`. */
export function openshiftLocalResourceAccessReviews({ authorizer }: OpenshiftAccessOptions): Resource {
  const resource = 'localresourceaccessreviews'
  return review({
    group,
    resource,
    kind: 'LocalResourceAccessReview',
    schema: localResourceAccessReviewSchema,
    namespaced: true,
    create: async ({ project }, body) => {
      const asked = parseObject(resourceReview, body)
      const causes = [...checkResourceReview(asked), ...checkLocal(asked, project)]
      requireValid(causes, { name: '', kind: resource, group })
      return whoCanAnswer(authorizer, asked, project)
    },
  })
}

function isOfCaller({ user, groups }: AskedAbout): boolean {
  return user === '' && groups.length === 0
}

/**
 * Who may ask everywhere may ask about one project; who may ask there needs no more.
 *
 * @throws RegistryError FORBIDDEN
 */
function requireAsker(call: Call, namespace: string, resource: string, isAboutHimself: boolean): void {
  if (isAboutHimself || call.can(createIn('', resource))) return
  call.require(namespace === '' ? createIn('', resource) : createIn(namespace, `local${resource}`))
}

function createIn(project: string, resource: string): Right {
  return { verb: 'create', group, resource, name: '', project }
}

function subjectAnswer(
  authorizer: Pick<Authorizer, 'explain'>,
  call: Call,
  asked: AskedAbout,
  namespace: string,
): ApiObject {
  const subject = isOfCaller(asked) ? call.subject : subjectFrom(asked)
  const decision: Decision = asked.isNonResourceURL
    ? decidePath(subject)
    : decide(authorizer, subject, rightAsked(asked, namespace))
  return { kind: 'SubjectAccessReviewResponse', ...created, namespace, ...decision }
}

function whoCanAnswer(authorizer: Pick<Rbac, 'whoCan'>, asked: Action, namespace: string): ApiObject {
  const { project, ...right } = rightAsked(asked, namespace)
  const { subjects, incomplete } = authorizer.whoCan(right, project)
  const users = new Set<string>()
  const groups = new Set<string>()
  for (const { kind, name, namespace = project, grant } of subjects) {
    if (kind === 'Group') groups.add(name)
    else users.add(kind === 'User' ? name : serviceAccountUser(namespace || grant.project, name))
  }
  return {
    kind: 'ResourceAccessReviewResponse',
    ...created,
    namespace,
    users: [...users].sort(),
    groups: [...groups].sort(),
    // Spelled as OpenShift spells it.
    evalutionError: incomplete ? `there are more than the ${subjects.length} that are listed` : '',
  }
}

function rightAsked({ verb, resourceAPIGroup, resource, resourceName }: Action, project: string): Right {
  const [plural = ''] = resource.split('/', 1)
  const isOfStreams = resourceAPIGroup === '' && imageResources.has(plural)
  return { verb, group: isOfStreams ? imageGroup : resourceAPIGroup, resource, name: resourceName, project }
}

function checkAction({ namespace, verb, resourceAPIGroup, resource, isNonResourceURL, path }: Action): FieldCause[] {
  if (verb === '') return [required('verb', 'what is to be done')]
  if (isNonResourceURL && path === '') return [required('path', 'the path that is asked about')]
  if (!isNonResourceURL && resource === '') return [required('resource', 'what it is to be done with')]
  return checkLengths({ namespace, verb, resourceAPIGroup, resource })
}

function checkResourceReview(asked: Action): FieldCause[] {
  if (!asked.isNonResourceURL) return checkAction(asked)
  return [forbiddenField('isNonResourceURL', 'no rule is about paths')]
}

function checkSubjectReview(asked: AskedAbout): FieldCause[] {
  return [
    ...checkAction(asked),
    ...(isOfCaller(asked) ? [] : checkSubject(asked, '')),
    // An answer that leaves them out would promise more than such a token opens.
    ...(asked.scopes.length > 0 ? [forbiddenField('scopes', 'tokens have no scopes here')] : []),
  ]
}

// Whoever may ask in one project must not be told of another.
function checkLocal({ namespace }: Action, project: string): FieldCause[] {
  if (namespace === '' || namespace === project) return []
  return [invalid('namespace', namespace, `namespace must be: ${project}`)]
}
