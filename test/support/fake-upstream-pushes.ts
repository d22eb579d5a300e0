/** How a fake upstream takes what is pushed: whole, checked, and a manifest only after what it names. */
import type { IncomingMessage } from 'node:http'
import { digestAlgorithm, digestOf, parseDigest } from '../../src/oci/digest.ts'
import { type FakeAnswer, fakeAnswer, fakeError } from './fake-upstream-answers.ts'
import type { FakeRepositories } from './fake-upstream-repositories.ts'

/** Answers a POST or PUT. */
export type FakePushes = (req: IncomingMessage) => FakeAnswer | Promise<FakeAnswer>

interface Named {
  config?: { digest: string }
  layers?: { digest: string }[]
  manifests?: { digest: string }[]
}

export function createFakePushes(repositories: FakeRepositories): FakePushes {
  /** Repositories by the id of an upload. */
  const uploads = new Map<string, string>()

  function begin(repository: string): FakeAnswer {
    const id = crypto.randomUUID()
    uploads.set(id, repository)
    // A query whose encoding would change if somebody wrote it anew.
    const location = `/v2/${repository}/blobs/uploads/${id}?_state=a%20b~c%2Fd%3D`
    return fakeAnswer(202, '', { location, range: '0-0', 'docker-upload-uuid': id })
  }

  function end(repository: string, id: string, url: URL, bytes: Buffer): FakeAnswer {
    if (uploads.get(id) !== repository) return fakeError(404, 'BLOB_UPLOAD_UNKNOWN')
    if (!url.search.startsWith('?_state=a%20b~c%2Fd%3D&')) return fakeError(400, 'BLOB_UPLOAD_INVALID')
    const digest = parseDigest(url.searchParams.get('digest') ?? '')
    if (digest === undefined) return fakeError(400, 'DIGEST_INVALID')
    uploads.delete(id)
    if (digestOf(bytes, digestAlgorithm(digest)) !== digest) return fakeError(400, 'DIGEST_INVALID')
    repositories.put(repository, { digest, mediaType: 'application/octet-stream', bytes })
    return fakeAnswer(201, '', { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest })
  }

  function takeManifest(repository: string, reference: string, mediaType: string, bytes: Buffer): FakeAnswer {
    const { config, layers = [], manifests = [] } = JSON.parse(bytes.toString()) as Named
    const isThere = [
      ...[...(config ? [config] : []), ...layers].map(({ digest }) => repositories.blob(repository, digest)),
      ...manifests.map(({ digest }) => repositories.manifest(repository, digest)),
    ]
    if (isThere.includes(undefined)) return fakeError(400, 'MANIFEST_BLOB_UNKNOWN')
    const named = parseDigest(reference)
    const digest = digestOf(bytes, named && digestAlgorithm(named))
    if (named !== undefined && named !== digest) return fakeError(400, 'DIGEST_INVALID')
    repositories.put(repository, { digest, mediaType, bytes }, named === undefined ? { tag: reference } : {})
    return fakeAnswer(201, '', { location: `/v2/${repository}/manifests/${digest}`, 'docker-content-digest': digest })
  }

  return async (req) => {
    const url = new URL(req.url ?? '/', 'http://any')
    const uploaded = /^\/v2\/(.+)\/blobs\/uploads\/([^/]*)$/.exec(url.pathname)
    const manifest = /^\/v2\/(.+)\/manifests\/([^/]+)$/.exec(url.pathname)
    // Of who breaks off nothing is taken.
    const bytes = await sent(req).catch(() => undefined)
    if (bytes === undefined) return fakeError(400, 'BLOB_UPLOAD_INVALID')
    if (uploaded && req.method === 'POST') return begin(uploaded[1] ?? '')
    if (uploaded && req.method === 'PUT') return end(uploaded[1] ?? '', uploaded[2] ?? '', url, bytes)
    if (!manifest || req.method !== 'PUT') return fakeError(404, 'NOT_FOUND')
    return takeManifest(manifest[1] ?? '', manifest[2] ?? '', req.headers['content-type'] ?? '', bytes)
  }
}

async function sent(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
