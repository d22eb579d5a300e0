import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import { isWantedPlatform } from './content-policy.ts'
import type { ImageRecord } from './records.ts'
import type { Links, StreamLink } from './streams.ts'

/** One part of an image: a manifest (of an index too), or a config or layer. */
export interface Part {
  digest: Digest
  kind: 'manifest' | 'blob'
  mediaType: string
  size: number | undefined
  /** How the stream has it; undefined while the manifest that names it was not read. */
  link: StreamLink | undefined
  /** Whether pulls for the platforms asked about need it. */
  isWanted: boolean
  /** A manifest that nobody read yet: what it names is not known. */
  isUnread: boolean
}

/** Layers that only their `urls` give: no registry has to have them. */
const foreignLayer = /(?:\.nondistributable\.|rootfs\.foreign\.)/

/** Most parts that are looked at of one image. */
export const maxPartsOfImage = 2000

export interface ClosureOptions {
  /** Leaves out what is not wanted, and looks no further there; default false. */
  wantedAlone?: boolean
  /** Stops looking once there are more parts than this: an index may name as many as it likes. Default: never. */
  maxParts?: number
}

/** Everything that an image of a stream, or several, are made of, as far as their manifests were read, the first image first; each once. */
export async function closureOf(
  links: Pick<Links, 'get' | 'image'>,
  name: StreamName,
  image: Digest | readonly Digest[],
  platforms: readonly string[],
  { wantedAlone = false, maxParts = Number.POSITIVE_INFINITY }: ClosureOptions = {},
): Promise<Part[]> {
  const parts = new Map<Digest, Part>()
  for (const digest of typeof image === 'string' ? [image] : image) await addManifest(digest, true)
  return [...parts.values()]

  function isLeftOut(isWanted: boolean): boolean {
    return (wantedAlone && !isWanted) || parts.size > maxParts
  }

  async function addManifest(manifest: Digest, isWanted: boolean): Promise<void> {
    const before = parts.get(manifest)
    if (before !== undefined && (before.isWanted || !isWanted)) return
    if (isLeftOut(isWanted)) return
    const link = await links.get(name, manifest)
    const image = link?.manifestType === undefined ? undefined : await links.image(manifest, link.manifestType)
    parts.set(manifest, {
      digest: manifest,
      kind: 'manifest',
      mediaType: link?.manifestType ?? link?.mediaType ?? '',
      size: image?.size ?? link?.size,
      link,
      isWanted,
      isUnread: image === undefined,
    })
    if (image === undefined) return
    for (const child of image.manifests) await addManifest(child.digest, isWanted && isWantedPlatform(child, platforms))
    for (const blob of blobsOf(image)) await addBlob(blob, isWanted)
  }

  async function addBlob({ digest: blob, mediaType, size }: Descriptor, isWanted: boolean): Promise<void> {
    const before = parts.get(blob)
    if (before !== undefined) {
      before.isWanted ||= isWanted
      return
    }
    if (isLeftOut(isWanted)) return
    const link = await links.get(name, blob)
    parts.set(blob, {
      digest: blob,
      kind: 'blob',
      mediaType,
      size: link?.size ?? size,
      link,
      isWanted,
      isUnread: false,
    })
  }
}

type Descriptor = ImageRecord['layers'][number]

function blobsOf({ config, layers }: ImageRecord): Descriptor[] {
  const own = layers.filter(({ mediaType }) => !foreignLayer.test(mediaType))
  return config === undefined ? own : [config, ...own]
}
