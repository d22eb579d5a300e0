import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestHex } from '../../../src/oci/digest.ts'
import { piecesOf, type TestImage, type TestIndex } from '../../support/images.ts'
import { must } from './process.ts'

/** The tag of the image in a layout. */
export const layoutTag = 'fixture'

/** An image that lies in a folder, for clients that push from one. */
export interface Laid {
  image: TestImage | TestIndex
  /** An OCI image layout. */
  directory: string
  /** The same as a tar archive. */
  archive: string
}

/** Lays an image into `directory` as an OCI image layout: the bytes are those of the image, one for one. */
export async function layOut(directory: string, image: TestImage | TestIndex): Promise<Laid> {
  const blobs = join(directory, 'layout/blobs/sha256')
  await mkdir(blobs, { recursive: true })
  for (const { digest, bytes } of piecesOf(image)) await writeFile(join(blobs, digestHex(digest)), bytes)
  const { mediaType, digest, bytes } = image.manifest
  const annotations = { 'org.opencontainers.image.ref.name': layoutTag }
  const index = { schemaVersion: 2, manifests: [{ mediaType, digest, size: bytes.length, annotations }] }
  const layout = join(directory, 'layout')
  await writeFile(join(layout, 'index.json'), JSON.stringify(index))
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  const archive = join(directory, 'layout.tar')
  await must('tar', ['-cf', archive, '-C', layout, 'oci-layout', 'index.json', 'blobs'])
  return { image, directory: layout, archive }
}
