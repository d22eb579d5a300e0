/** Manifests in. */
import type { Hono } from 'hono'
import type { Authorizer } from '../../access/access.ts'
import { RegistryError } from '../../oci/errors.ts'
import { isTag, type StreamName } from '../../oci/reference.ts'
import type { Push, PushedManifest } from '../../push.ts'
import type { HttpEnv } from '../exchange.ts'
import { createManifestBodies, type ManifestBodies } from './manifest-bodies.ts'
import { requireDigest } from './parameters.ts'
import { pusherOf } from './pusher.ts'
import { pathOf, queryOf, type Repository } from './repository.ts'

export interface ManifestRoutesDeps {
  repository: Repository
  authorizer: Pick<Authorizer, 'can'>
  push: Pick<Push, 'manifest'>
  /** Default: with its own defaults. */
  manifestBodies?: ManifestBodies
}

/** Most tags that one request moves. */
const maxTags = 100

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests */
export function addManifestRoutes(app: Hono<HttpEnv>, deps: ManifestRoutesDeps): void {
  const { repository, authorizer, push, manifestBodies = createManifestBodies() } = deps
  app.put('/v2/:name{.+}/manifests/:reference', (c) => {
    const { name: written, reference } = c.req.param()
    const asked = { verb: 'push', reference, always: true }
    return repository(c, written, { ...asked, actions: ['push'] }, ({ name, token: { subject } }) => {
      const tags = readTags(reference, queryOf(c))
      const mediaType = readMediaType(c.req.header('content-type'))
      const by = pusherOf(authorizer, { subject, client: c.env.client, name })
      return manifestBodies.read(c.env, async (bytes) =>
        created(name, tags, await push.manifest(name, reference, by, { bytes, mediaType, tags })),
      )
    })
  })
}

/**
 * The tags besides the reference.
 *
 * @throws RegistryError DIGEST_INVALID, MANIFEST_INVALID for what is no tag, URI_TOO_LONG
 */
function readTags(reference: string, query: URLSearchParams): string[] {
  const tags = [...new Set(query.getAll('tag'))]
  if (tags.length > maxTags) {
    throw new RegistryError('URI_TOO_LONG', { message: `tag: at most ${maxTags} tags can be given at once` })
  }
  if (!reference.includes(':')) {
    requireTag(reference)
    if (tags.length === 0) return tags
    throw new RegistryError('BAD_REQUEST', { message: 'tag: tags can be given where the manifest is named by digest' })
  }
  requireDigest(reference)
  for (const tag of tags) requireTag(tag)
  return tags
}

function requireTag(tag: string): void {
  if (isTag(tag)) return
  const message = 'a tag has up to 128 letters, digits and . _ -, and does not begin with . or -'
  throw new RegistryError('MANIFEST_INVALID', { message, detail: { tag: tag.slice(0, 200) } })
}

/** Without its parameters, and in lower case; undefined when there is none. */
function readMediaType(contentType: string | undefined): string | undefined {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() || undefined
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
