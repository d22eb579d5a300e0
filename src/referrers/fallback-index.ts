import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/digest.ts'
import { failureOf } from '../oci/errors.ts'
import { fallbackTagOf } from '../oci/fallback-tag.ts'
import { parseManifest } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { StreamName } from '../oci/reference.ts'
import { stringMap } from '../oci/referrer.ts'
import type { ReferrerRecords } from '../streams/referrer-records.ts'
import type { Links, Pins } from '../streams/streams.ts'
import type { OtherReferrers } from './page.ts'

export interface FallbackIndexOptions {
  pins: Pick<Pins, 'pin'>
  links: Pick<Links, 'get'>
  referrerRecords: Pick<ReferrerRecords, 'fallback'>
  obtain(name: StreamName, digest: Digest): Promise<{ mediaType: string; bytes: Buffer | undefined }>
}

/** Most entries of one index that are listed. */
const maxEntries = 1000
/** Most bytes of the indexes whose entries are remembered: a listing of many pages reads one once. */
const maxRememberedBytes = 8 * 1024 * 1024

type Entries = OtherReferrers['referrers']

/** Lists what was pushed in an index under the tag of the referrers tag schema, as far as the stream has it. */
export function createFallbackIndex({ pins, links, referrerRecords, obtain }: FallbackIndexOptions): {
  list(name: StreamName, subject: Digest): Promise<OtherReferrers>
} {
  /** Of what has a digest: the same for ever. */
  const remembered = new LRUCache<Digest, { entries: Entries; bytes: number }>({
    maxSize: maxRememberedBytes,
    sizeCalculation: ({ bytes }) => bytes,
  })

  function entriesOf(index: Digest, bytes: Buffer): Entries {
    const known = remembered.get(index)?.entries
    if (known !== undefined) return known
    const entries = readEntries(bytes)
    remembered.set(index, { entries, bytes: bytes.length })
    return entries
  }

  async function indexOf(name: StreamName, tag: string): Promise<Digest | undefined> {
    const pin = await pins.pin(name, tag)
    if (pin !== undefined) return pin.digest
    const pushed = await referrerRecords.fallback(name, tag)
    return pushed?.by === undefined ? undefined : pushed.image
  }

  return {
    async list(name, subject) {
      const index = await indexOf(name, fallbackTagOf(subject))
      if (index === undefined) return { referrers: [] }
      try {
        const { bytes, mediaType } = await obtain(name, index)
        if (bytes === undefined || mediaType !== mediaTypes.ociIndex) return { referrers: [] }
        const listed = await Promise.all(
          entriesOf(index, bytes).map(async (entry) => ({ entry, link: await links.get(name, entry.digest) })),
        )
        return { referrers: listed.flatMap(({ entry, link }) => (link?.manifestType === undefined ? [] : [entry])) }
      } catch (error) {
        return { referrers: [], failure: failureOf(error) }
      }
    },
  }
}

function readEntries(bytes: Buffer): Entries {
  const manifest = parseManifest(bytes, mediaTypes.ociIndex)
  const { manifests: written } = JSON.parse(bytes.toString('utf8')) as { manifests?: Record<string, unknown>[] | null }
  if (manifest.kind !== 'index') return []
  return manifest.manifests.slice(0, maxEntries).map(({ digest, mediaType, size }, i) => {
    const { artifactType, annotations } = written?.[i] ?? {}
    const told = stringMap(annotations)
    return {
      mediaType,
      digest,
      size,
      ...(typeof artifactType === 'string' && artifactType !== '' ? { artifactType } : {}),
      ...(told === undefined ? {} : { annotations: told }),
    }
  })
}
