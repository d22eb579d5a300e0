import { z } from 'zod'
import { parseObject } from '../body.ts'
import { required, requireValid } from '../fields.ts'
import { authenticationGroup, authorizationGroup } from '../groups.ts'
import type { Resource } from '../resource.ts'
import { selfSubjectAccessReviewSchema, selfSubjectReviewSchema } from '../schemas/reviews.ts'

const accessReview = z.object({
  spec: z
    .object({
      resourceAttributes: z
        .object({
          namespace: z.string().default(''),
          verb: z.string().default(''),
          group: z.string().default(''),
          resource: z.string().default(''),
          subresource: z.string().default(''),
          name: z.string().default(''),
        })
        .nullish(),
      nonResourceAttributes: z.object({}).nullish(),
    })
    .default({}),
})

const created = { metadata: { creationTimestamp: null } }

/** Who am I? Answered to everyone, anonymous included. */
export function selfSubjectReviews(): Resource {
  return {
    group: authenticationGroup,
    version: 'v1',
    resource: 'selfsubjectreviews',
    singular: 'selfsubjectreview',
    kind: 'SelfSubjectReview',
    schema: selfSubjectReviewSchema,
    namespaced: false,
    admission: { create: 'anyone' },
    dryRun: true,
    handlers: {
      create: async ({ subject: { name, uid, groups } }) => ({
        ...created,
        status: { userInfo: { username: name, ...(uid === undefined ? {} : { uid }), groups } },
      }),
    },
  }
}

/** May I? Answered to everyone about himself. */
export function selfSubjectAccessReviews(): Resource {
  const resource = 'selfsubjectaccessreviews'
  const group = authorizationGroup
  return {
    group,
    version: 'v1',
    resource,
    singular: 'selfsubjectaccessreview',
    kind: 'SelfSubjectAccessReview',
    schema: selfSubjectAccessReviewSchema,
    namespaced: false,
    admission: { create: 'anyone' },
    dryRun: true,
    handlers: {
      create: async (call, body) => {
        const { spec } = parseObject(accessReview, body)
        const asked = spec.resourceAttributes
        if (!asked && !spec.nonResourceAttributes) {
          const cause = required(
            'spec.resourceAttributes',
            'exactly one of resourceAttributes and nonResourceAttributes',
          )
          requireValid([cause], { name: '', kind: resource, group })
        }
        return { ...created, spec, status: { allowed: asked ? call.can(rightAsked(asked)) : false } }
      },
    },
  }
}

type Asked = NonNullable<z.infer<typeof accessReview>['spec']['resourceAttributes']>

function rightAsked({ namespace, verb, group, resource, subresource, name }: Asked) {
  return {
    verb,
    group,
    resource: subresource === '' ? resource : `${resource}/${subresource}`,
    name,
    project: namespace,
  }
}
