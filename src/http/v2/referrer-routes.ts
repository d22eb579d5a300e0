/** What refers to an image. */
import type { Hono } from 'hono'
import { parseDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { mediaTypes } from '../../oci/media-types.ts'
import type { Referrer, Referrers } from '../../referrers.ts'
import type { HttpEnv } from '../exchange.ts'
import { nextLink, readPage, single } from '../paging.ts'
import { pullMessage } from '../respond.ts'
import { formatWarning } from '../warning.ts'
import { requireDigest } from './parameters.ts'
import { pathOf, queryOf, type Repository } from './repository.ts'

export interface ReferrerRoutesDeps {
  repository: Repository
  referrers: Pick<Referrers, 'list'>
}

const pageRules = { maxLimit: 1000, isEntry: (last: string) => parseDigest(last) !== undefined }

// RFC 6838 4.2, and what follows a type in practice.
const artifactTypePattern = /^[A-Za-z0-9][\x21-\x7e ]{0,254}$/

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers */
export function addReferrerRoutes(app: Hono<HttpEnv>, { repository, referrers }: ReferrerRoutesDeps): void {
  app.get('/v2/:name{.+}/referrers/:digest', (c) => {
    const { name: written, digest } = c.req.param()
    const asked = { verb: 'list', reference: digest, always: false }
    return repository(c, written, { ...asked, actions: ['pull'] }, async ({ name }) => {
      const subject = requireDigest(digest)
      const query = queryOf(c)
      const { limit, last } = readPage(query, pageRules)
      const filter = readFilter(query)
      const after = last === undefined ? undefined : requireDigest(last)
      const page = { ...(limit !== undefined && { limit }), ...(after !== undefined && { after }) }
      const found = await referrers.list(name, subject, { ...filter, ...page })
      const path = `${pathOf(name)}/referrers/${subject}`
      return answer(c.req.method, found.referrers, {
        ...(found.next !== undefined && { link: nextLink(path, limit, found.next, filter) }),
        ...(filter.artifactType !== undefined && { 'oci-filters-applied': 'artifactType' }),
        ...(found.failure !== undefined && {
          warning: formatWarning(`there may be more: ${pullMessage(found.failure)}`),
        }),
      })
    })
  })
}

/** @throws RegistryError BAD_REQUEST */
function readFilter(query: URLSearchParams): { artifactType?: string } {
  const artifactType = single(query, 'artifactType')
  if (!artifactType) return {}
  if (!artifactTypePattern.test(artifactType)) {
    throw new RegistryError('BAD_REQUEST', { message: 'artifactType: write a media type' })
  }
  return { artifactType }
}

function answer(method: string, manifests: readonly Referrer[], headers: Record<string, string>): Response {
  const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
  const described = { 'content-type': mediaTypes.ociIndex, 'content-length': String(body.length), ...headers }
  return new Response(method === 'HEAD' ? null : body, { headers: described })
}
