/** Manifests in. */
import type { Hono } from 'hono'
import type { Authorizer } from '../../access/access.ts'
import { readManifestTarget } from '../../oci/manifest-target.ts'
import type { StreamName } from '../../oci/reference.ts'
import type { Push, PushedManifest } from '../../push.ts'
import type { HttpEnv } from '../exchange.ts'
import { createManifestBodies, type ManifestBodies } from './manifest-bodies.ts'
import { pusherOf } from './pusher.ts'
import { pathOf, queryOf, type Repository } from './repository.ts'

export interface ManifestRoutesDeps {
  repository: Repository
  authorizer: Pick<Authorizer, 'can'>
  push: Pick<Push, 'manifest'>
  /** Default: with its own defaults. */
  manifestBodies?: ManifestBodies
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests */
export function addManifestRoutes(app: Hono<HttpEnv>, deps: ManifestRoutesDeps): void {
  const { repository, authorizer, push, manifestBodies = createManifestBodies() } = deps
  app.put('/v2/:name{.+}/manifests/:reference', (c) => {
    const { name: written, reference } = c.req.param()
    const asked = { verb: 'push', reference, always: true }
    return repository(c, written, { ...asked, actions: ['push'] }, ({ name, token: { subject } }) => {
      const tags = queryOf(c).getAll('tag')
      // Refused before the body comes.
      readManifestTarget(reference, tags)
      const mediaType = c.req.header('content-type')
      const by = pusherOf(authorizer, { subject, client: c.env.client, name })
      return manifestBodies.read(c.env, subject.name, async (bytes) =>
        created(name, tags, await push.manifest(name, reference, by, { bytes, mediaType, tags })),
      )
    })
  })
}

function created(name: StreamName, asked: readonly string[], pushed: PushedManifest): Response {
  const { digest, subject, tags } = pushed
  const moved = tags.filter((tag) => asked.includes(tag))
  const headers = {
    location: `${pathOf(name)}/manifests/${digest}`,
    'docker-content-digest': digest,
    'content-length': '0',
    ...(subject !== undefined && { 'oci-subject': subject }),
    ...(moved.length > 0 && { 'oci-tag': moved.join(', ') }),
  }
  return new Response(null, { status: 201, headers })
}
