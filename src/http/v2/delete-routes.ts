/** What goes: tags, images by digest, blobs. */
import type { Hono } from 'hono'
import type { Deletions } from '../../deletions.ts'
import { RegistryError } from '../../oci/errors.ts'
import { isTag } from '../../oci/reference.ts'
import type { HttpEnv } from '../exchange.ts'
import { requireDigest } from './parameters.ts'
import type { Repository } from './repository.ts'

export interface DeleteRoutesDeps {
  repository: Repository
  deletions: Deletions
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#content-management */
export function addDeleteRoutes(app: Hono<HttpEnv>, { repository, deletions }: DeleteRoutesDeps): void {
  app.delete('/v2/:name{.+}/manifests/:reference', (c) => {
    const { name: written, reference } = c.req.param()
    const asked = { verb: 'delete', reference, always: true }
    return repository(c, written, { ...asked, actions: ['delete'] }, async ({ name, token: { subject } }) => {
      const by = { by: subject.name, client: c.env.client.userAgent }
      if (reference.includes(':')) await deletions.image(name, requireDigest(reference), by)
      else if (isTag(reference)) await deletions.tag(name, reference, by)
      else throw new RegistryError('MANIFEST_UNKNOWN', { detail: { tag: reference.slice(0, 200) } })
      return accepted()
    })
  })

  app.delete('/v2/:name{.+}/blobs/:digest', (c) => {
    const { name: written, digest } = c.req.param()
    const asked = { verb: 'delete', reference: digest, always: true }
    return repository(c, written, { ...asked, actions: ['delete'] }, async ({ name }) => {
      await deletions.blob(name, requireDigest(digest))
      return accepted()
    })
  })
}

function accepted(): Response {
  return new Response(null, { status: 202, headers: { 'content-length': '0' } })
}
