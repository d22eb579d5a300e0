/** Bytes that follow from a seed and a place, so that a blob of any size is made as it is sent and is nowhere stored. */
import { createHash } from 'node:crypto'
import type { Digest } from '../../src/oci/digest.ts'

export interface GeneratedBlob {
  digest: Digest
  mediaType: string
  size: number
  /** From `start` to before `end`, in pieces of at most 1 MiB; they are shared and not to be written to. */
  pieces(start?: number, end?: number): Iterable<Buffer>
}

const blockBytes = 1024 * 1024
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'

let sharedBlock: Buffer | undefined

/**
 * Makes a blob. Its blocks are all alike but for their first 32 bytes, which follow from the seed and their number: bytes at a
 * wrong place, or of another blob, are noticed.
 */
export function generatedBlob(seed: string, size: number, mediaType: string = layerType): GeneratedBlob {
  const hash = createHash('sha256')
  for (const piece of piecesOf(seed, 0, size)) hash.update(piece)
  return {
    digest: `sha256:${hash.digest('hex')}` as Digest,
    mediaType,
    size,
    pieces: (start = 0, end = size) => piecesOf(seed, start, Math.min(end, size)),
  }
}

function* piecesOf(seed: string, start: number, end: number): Generator<Buffer> {
  sharedBlock ??= randomBlock()
  let at = start
  while (at < end) {
    const number = Math.floor(at / blockBytes)
    const within = at - number * blockBytes
    const stamp = createHash('sha256').update(`${seed} ${number}`).digest()
    const source = within < stamp.length ? stamp : sharedBlock
    const piece = source.subarray(within, Math.min(source.length, within + end - at))
    yield piece
    at += piece.length
  }
}

/** A block that does not shrink when it is compressed, the same in every process. */
function randomBlock(): Buffer {
  const block = Buffer.alloc(blockBytes)
  for (let at = 0; at < blockBytes; at += 32) createHash('sha256').update(String(at)).digest().copy(block, at)
  return block
}
