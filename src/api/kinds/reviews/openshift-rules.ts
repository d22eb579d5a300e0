import { z } from 'zod'
import type { Rbac, Subject } from '../../../access/access.ts'
import type { FieldCause } from '../../../oci/errors.ts'
import { parseObject } from '../../body.ts'
import { forbiddenField, requireValid } from '../../fields.ts'
import { openshiftAuthorizationGroup as group } from '../../groups.ts'
import type { Resource } from '../../resource.ts'
import {
  openshiftSelfSubjectRulesReviewSchema,
  openshiftSubjectRulesReviewSchema,
} from '../../schemas/openshift-reviews.ts'
import { checkSubject, heldRules, shownRule, subjectFrom, text, texts } from './decide.ts'
import { created, review } from './review.ts'

/** Reviews of all rights in a project as OpenShift has them, `authorization.openshift.io/v1`. */

export interface OpenshiftRulesOptions {
  authorizer: Pick<Rbac, 'rulesFor'>
}

const selfReview = z.object({ spec: z.object({ scopes: texts }).nullish() })
const subjectReview = z.object({ spec: z.object({ user: text, groups: texts, scopes: texts }).nullish() })

/** What may I in this project? Answered to everyone about himself. */
export function openshiftSelfSubjectRulesReviews({ authorizer }: OpenshiftRulesOptions): Resource {
  const resource = 'selfsubjectrulesreviews'
  return review({
    group,
    resource,
    kind: 'SelfSubjectRulesReview',
    schema: openshiftSelfSubjectRulesReviewSchema,
    namespaced: true,
    admission: 'handler',
    create: async ({ subject, project }, body) => {
      const { scopes = [] } = parseObject(selfReview, body).spec ?? {}
      requireValid(checkScopes(scopes), { name: '', kind: resource, group })
      return { ...created, spec: { scopes: null }, status: statusOf(authorizer, subject, project) }
    },
  })
}

/** What may somebody in this project? For those who may ask there. */
export function openshiftSubjectRulesReviews({ authorizer }: OpenshiftRulesOptions): Resource {
  const resource = 'subjectrulesreviews'
  return review({
    group,
    resource,
    kind: 'SubjectRulesReview',
    schema: openshiftSubjectRulesReviewSchema,
    namespaced: true,
    create: async ({ project }, body) => {
      const { scopes, ...asked } = parseObject(subjectReview, body).spec ?? { user: '', groups: [], scopes: [] }
      requireValid([...checkSubject(asked, 'spec.'), ...checkScopes(scopes)], { name: '', kind: resource, group })
      const status = statusOf(authorizer, subjectFrom(asked), project)
      return { ...created, spec: { ...asked, scopes: null }, status }
    },
  })
}

function statusOf(authorizer: Pick<Rbac, 'rulesFor'>, subject: Subject, project: string): object {
  const { rules, error } = heldRules(authorizer, subject, project)
  return { rules: rules.map(shownRule), ...(error !== undefined && { evaluationError: error }) }
}

function checkScopes(scopes: readonly string[]): FieldCause[] {
  return scopes.length > 0 ? [forbiddenField('spec.scopes', 'tokens have no scopes here')] : []
}
