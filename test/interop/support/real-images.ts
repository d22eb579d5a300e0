import { createCipheriv, createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { digestOf } from '../../../src/oci/digest.ts'
import { mediaTypes } from '../../../src/oci/media-types.ts'
import { type Piece, piece, type TestImage, type TestIndex } from '../../support/images.ts'

/**
 * Makes an image that an engine can unpack: one layer, a tar file with one text file whose content is `seed`, and `padding`
 * bytes after it that do not compress.
 */
export function realImage(
  seed: string,
  options: { docker?: boolean; architecture?: string; padding?: number } = {},
): TestImage {
  const { docker = false, architecture = 'amd64', padding = 0 } = options
  const tar = tarFile('seed.txt', Buffer.concat([Buffer.from(`${seed}\n`), incompressible(seed, padding)]))
  const layer = piece(
    docker ? 'application/vnd.docker.image.rootfs.diff.tar.gzip' : 'application/vnd.oci.image.layer.v1.tar+gzip',
    gzipSync(tar),
  )
  const config = piece(
    docker ? 'application/vnd.docker.container.image.v1+json' : 'application/vnd.oci.image.config.v1+json',
    JSON.stringify({
      architecture,
      os: 'linux',
      created: '2026-01-01T00:00:00Z',
      config: { Labels: { seed } },
      rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
      history: [{ created: '2026-01-01T00:00:00Z', created_by: seed }],
    }),
  )
  const mediaType = docker ? mediaTypes.dockerManifest : mediaTypes.ociManifest
  const manifest = piece(
    mediaType,
    JSON.stringify({ schemaVersion: 2, mediaType, config: describe(config), layers: [describe(layer)] }),
  )
  return { manifest, config, layers: [layer] }
}

/** Makes an index of two platforms out of real images. */
export function realIndex(seed: string, options: { docker?: boolean } = {}): TestIndex {
  const { docker = false } = options
  const children = ['amd64', 'arm64'].map((architecture) =>
    realImage(`${seed} ${architecture}`, { docker, architecture }),
  )
  const manifests = children.map((child, i) => ({
    ...describe(child.manifest),
    platform: { architecture: i === 0 ? 'amd64' : 'arm64', os: 'linux' },
  }))
  const mediaType = docker ? mediaTypes.dockerManifestList : mediaTypes.ociIndex
  return { manifest: piece(mediaType, JSON.stringify({ schemaVersion: 2, mediaType, manifests })), children }
}

/** Bytes that follow from `seed` alone. */
function incompressible(seed: string, length: number): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}

/** A tar archive of one regular file (POSIX ustar). */
function tarFile(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write('0000644\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write('        ', 148)
  header.write('0', 156)
  header.write('ustar\0', 257)
  header.write('00', 263)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512)
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)])
}

function describe({ mediaType, digest, bytes }: Piece): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest, size: bytes.length }
}
