import { z } from 'zod'
import type { Authenticator, Client, Subject } from '../../../access/access.ts'
import { RegistryError } from '../../../oci/errors.ts'
import { parseObject } from '../../body.ts'
import { atMost, required, requireValid } from '../../fields.ts'
import { authenticationGroup as group } from '../../groups.ts'
import type { Resource } from '../../resource.ts'
import { selfSubjectReviewSchema, tokenReviewSchema } from '../../schemas/reviews.ts'
import { text, texts } from './decide.ts'
import { created, review } from './review.ts'

/** Reviews of who somebody is, `authentication.k8s.io/v1`. */

export interface TokenReviewOptions {
  authenticator: Pick<Authenticator, 'authenticate'>
  /** The audience of Weir's own tokens. */
  issuer: string
}

const tokenReview = z.object({ spec: z.object({ token: text, audiences: texts }).nullish() })

const maxAudiences = 100
/** Most characters of a token: more than fit into the headers of a request open nothing. */
const maxToken = 16 * 1024

/** Who am I? Answered to everyone, anonymous included. */
export function selfSubjectReviews(): Resource {
  return review({
    group,
    resource: 'selfsubjectreviews',
    kind: 'SelfSubjectReview',
    schema: selfSubjectReviewSchema,
    admission: 'anyone',
    create: async ({ subject }) => ({ ...created, status: { userInfo: userInfo(subject) } }),
  })
}

/**
 * Whose token is this? Answered to those who may ask, such as a cluster whose tokens are looked up here. What was asked is
 * not told back: an answer is kept in more places than a question.
 */
export function tokenReviews({ authenticator, issuer }: TokenReviewOptions): Resource {
  const resource = 'tokenreviews'
  return review({
    group,
    resource,
    kind: 'TokenReview',
    schema: tokenReviewSchema,
    create: async ({ client }, body) => {
      const { token = '', audiences = [] } = parseObject(tokenReview, body).spec ?? {}
      const causes = [
        ...(token === '' ? [required('spec.token', 'the token that is asked about')] : []),
        ...atMost('spec.audiences', audiences, maxAudiences),
      ]
      requireValid(causes, { name: '', kind: resource, group })
      const spec = { ...(audiences.length > 0 && { audiences }) }
      if (audiences.length > 0 && !audiences.includes(issuer)) {
        return { ...created, spec, status: refused(`tokens are for the audience ${JSON.stringify(issuer)} alone`) }
      }
      const found = await identify(authenticator, token, client)
      if (typeof found === 'string') return { ...created, spec, status: refused(found) }
      return { ...created, spec, status: { authenticated: true, user: userInfo(found), audiences: [issuer] } }
    },
  })
}

/**
 * Whose token it is, or why it is nobody's.
 *
 * @throws RegistryError when that can not be known now
 */
async function identify(
  authenticator: Pick<Authenticator, 'authenticate'>,
  token: string,
  client: Client,
): Promise<Subject | string> {
  if (token.length > maxToken) return 'the token is too long for any request'
  try {
    return (await authenticator.authenticate({ user: '', secret: token, client })) ?? 'the token is nobody’s'
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'UNAUTHORIZED') throw error
    return error.message.includes(token) ? 'the token is not valid' : error.message
  }
}

function refused(error: string): object {
  return { authenticated: false, user: {}, error }
}

function userInfo({ name, uid, groups, provider }: Subject): object {
  return {
    username: name,
    ...(uid !== undefined && { uid }),
    groups,
    ...(provider !== undefined && { extra: { 'weir.dev/provider': [provider] } }),
  }
}
