/** Gathers what comes in small pieces, and gives it out in large ones. */
export interface Pieces {
  readonly isEmpty: boolean
  /** There is as much as fits into one piece: no more should come. */
  readonly isFull: boolean
  /** Copies a chunk in, whose memory may change then. */
  put(chunk: Buffer): void
  /** What is there, good until the next call, which uses its memory again. */
  take(): Buffer
  /** Drops all that is there. @returns how many bytes that was */
  clear(): number
}

/** Enough that what is done for each piece costs little beside what is done for its bytes. */
const pieceBytes = 512 * 1024

export function createPieces(): Pieces {
  /** What is gathered, and what was given out last. */
  let filling: Buffer | undefined
  let given: Buffer | undefined
  let filled = 0
  /** Came when there was no room left. */
  let surplus: Buffer = Buffer.alloc(0)

  function fill(chunk: Buffer): Buffer {
    filling ??= Buffer.allocUnsafeSlow(pieceBytes)
    const copied = chunk.copy(filling, filled)
    filled += copied
    return chunk.subarray(copied)
  }

  return {
    get isEmpty() {
      return filled === 0
    },
    get isFull() {
      return surplus.length > 0 || filled === pieceBytes
    },
    put(chunk) {
      const rest = surplus.length > 0 ? chunk : fill(chunk)
      if (rest.length > 0) surplus = Buffer.concat([surplus, rest])
    },
    take() {
      const piece = filling?.subarray(0, filled) ?? Buffer.alloc(0)
      const spare = given
      given = filling
      filling = spare
      filled = 0
      if (surplus.length > 0) surplus = fill(surplus)
      return piece
    },
    clear() {
      const dropped = filled + surplus.length
      filled = 0
      surplus = Buffer.alloc(0)
      return dropped
    },
  }
}
