import { z } from 'zod'
import type { Rbac } from '../../../access/access.ts'
import { RegistryError } from '../../../oci/errors.ts'
import { parseObject } from '../../body.ts'
import { requireValid } from '../../fields.ts'
import { authorizationGroup as group } from '../../groups.ts'
import type { Resource } from '../../resource.ts'
import { selfSubjectRulesReviewSchema } from '../../schemas/reviews.ts'
import { checkLengths, heldRules, shownRule, text } from './decide.ts'
import { created, review } from './review.ts'

const rulesReview = z.object({ spec: z.object({ namespace: text }).nullish() })

/** What may I in a project? `kubectl auth can-i --list`. Answered to everyone about himself. */
export function selfSubjectRulesReviews({ authorizer }: { authorizer: Pick<Rbac, 'rulesFor'> }): Resource {
  const resource = 'selfsubjectrulesreviews'
  return review({
    group,
    resource,
    kind: 'SelfSubjectRulesReview',
    schema: selfSubjectRulesReviewSchema,
    // Everybody may, but the answer can be long: it takes a slot.
    admission: 'handler',
    create: async ({ subject }, body) => {
      const namespace = parseObject(rulesReview, body).spec?.namespace ?? ''
      requireValid(checkLengths({ 'spec.namespace': namespace }), { name: '', kind: resource, group })
      if (namespace === '')
        throw new RegistryError('BAD_REQUEST', { message: 'spec.namespace: no namespace on request' })
      const { rules, error } = heldRules(authorizer, subject, namespace)
      return {
        ...created,
        spec: { namespace },
        status: {
          resourceRules: rules.map(shownRule),
          nonResourceRules: [],
          incomplete: error !== undefined,
          ...(error !== undefined && { evaluationError: error }),
        },
      }
    },
  })
}
