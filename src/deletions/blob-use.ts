import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Store } from '../store/store.ts'
import { streamLink } from '../streams/link-records.ts'
import type { Links } from '../streams/streams.ts'
import { type LivingStream, type ReadLink, readLinks } from './links.ts'

/** Most links that are looked through for each manifest that may be. */
const linksForEach = 10
const atOnce = 16

/**
 * A manifest that the stream received and that names a blob.
 *
 * @throws RegistryError UNSUPPORTED when the stream has too many to look through them
 */
export async function manifestNaming(
  { store, links, maxManifests }: { store: Pick<Store, 'range'>; links: Pick<Links, 'image'>; maxManifests: number },
  stream: LivingStream,
  blob: Digest,
): Promise<Digest | undefined> {
  let looked = 0
  let manifests = 0
  let some: ReadLink[] = []
  for await (const link of readLinks(store, stream)) {
    looked += 1
    if (link.record.received) {
      manifests += 1
      some.push(link)
    }
    if (looked > maxManifests * linksForEach || manifests > maxManifests) throw tooMany(stream)
    if (some.length < atOnce) continue
    const found = await firstNaming(some)
    if (found !== undefined) return found
    some = []
  }
  return firstNaming(some)

  async function firstNaming(received: readonly ReadLink[]): Promise<Digest | undefined> {
    const named = await Promise.all(received.map(names))
    return received[named.indexOf(true)]?.digest
  }

  async function names({ digest, record }: ReadLink): Promise<boolean> {
    const { manifestType } = streamLink(digest, record)
    const image = manifestType === undefined ? undefined : await links.image(digest, manifestType)
    return image?.config?.digest === blob || image?.layers.some((layer) => layer.digest === blob) === true
  }
}

function tooMany({ project, stream }: LivingStream): RegistryError {
  return new RegistryError('UNSUPPORTED', {
    message: `${project}/${stream} has too many manifests to find out whether one of them names the blob: delete the images that do, and the blob goes by itself`,
  })
}
