import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Store } from '../store/store.ts'
import { type LivingStream, readLinks } from './links.ts'

/** Each level is one look through all links of the stream. */
const maxLevels = 8

/**
 * Refuses to take an image out of an index that a tag stands at, or out of one that such an index names.
 *
 * @param standing what tags of the stream stand at, each with one of them
 * @throws RegistryError INVALID
 */
export async function requireInNoIndex(
  store: Pick<Store, 'range'>,
  stream: LivingStream,
  digest: Digest,
  standing: ReadonlyMap<Digest, string>,
): Promise<void> {
  if (standing.size === 0) return
  const seen = new Set([digest])
  let named = new Set([digest])
  for (let level = 0; named.size > 0; level++) {
    if (level === maxLevels) throw refusal(stream, digest, `indexes name it that are nested deeper than ${maxLevels}`)
    const naming = new Set<Digest>()
    for await (const { digest: index, record } of readLinks(store, stream)) {
      if (seen.has(index) || !record.children?.some((child) => named.has(child))) continue
      const tag = standing.get(index)
      if (tag !== undefined) throw refusal(stream, digest, `the index ${index} names it, at which tag "${tag}" stands`)
      seen.add(index)
      naming.add(index)
    }
    named = naming
  }
}

function refusal({ stream }: LivingStream, digest: Digest, why: string): RegistryError {
  const text = `${digest} is needed: ${why}; delete that index before, or its tags`
  return new RegistryError('INVALID', {
    message: text,
    causes: [{ field: 'image', reason: 'FieldValueForbidden', message: `Forbidden: ${text}` }],
    detail: { digest },
    subject: { name: `${stream}@${digest}`, kind: 'imagestreamimages', group: 'image.openshift.io' },
  })
}
