import type { Digest } from '../../src/oci/digest.ts'
import { isManifestType } from '../../src/oci/media-types.ts'
import { type Piece, piecesOf, type TestImage, type TestIndex } from './images.ts'

/** What a fake upstream holds, by repository. */
export interface FakeRepositories {
  put(repository: string, content: TestImage | TestIndex | Piece, options?: { tag?: string }): void
  tag(repository: string, tag: string, digest: Digest): void
  untag(repository: string, tag: string): void
  remove(digest: Digest): void
  manifest(repository: string, reference: string): Piece | undefined
  blob(repository: string, digest: string): Piece | undefined
  /** In byte order; undefined when there is no such repository. */
  tags(repository: string): string[] | undefined
}

interface FakeRepository {
  manifests: Map<string, Piece>
  blobs: Map<string, Piece>
  tags: Map<string, Digest>
}

export function createFakeRepositories(): FakeRepositories {
  const repositories = new Map<string, FakeRepository>()

  function open(name: string): FakeRepository {
    const known = repositories.get(name) ?? { manifests: new Map(), blobs: new Map(), tags: new Map() }
    repositories.set(name, known)
    return known
  }

  return {
    put(name, content, options = {}) {
      const repository = open(name)
      const pieces = 'bytes' in content ? [content] : piecesOf(content)
      for (const piece of pieces) {
        const kind = isManifestType(piece.mediaType) ? repository.manifests : repository.blobs
        kind.set(piece.digest, piece)
      }
      const digest = 'bytes' in content ? content.digest : content.manifest.digest
      if (options.tag !== undefined) repository.tags.set(options.tag, digest)
    },
    tag(name, tag, digest) {
      open(name).tags.set(tag, digest)
    },
    untag(name, tag) {
      open(name).tags.delete(tag)
    },
    remove(digest) {
      for (const { manifests, blobs } of repositories.values()) {
        manifests.delete(digest)
        blobs.delete(digest)
      }
    },
    manifest(name, reference) {
      const repository = repositories.get(name)
      return repository?.manifests.get(repository.tags.get(reference) ?? reference)
    },
    blob(name, digest) {
      return repositories.get(name)?.blobs.get(digest)
    },
    tags(name) {
      const tags = repositories.get(name)?.tags
      return tags && [...tags.keys()].sort()
    },
  }
}
