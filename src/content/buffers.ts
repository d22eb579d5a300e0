/** Large buffers for reading files, used again and again. */
export interface Buffers {
  /** A buffer of `bufferBytes`; what is in it is whatever was read last. */
  take(): Buffer
  /**
   * A buffer for who reads held bytes, which are there at once: `fewReadersBytes` for the first few, since what a piece costs is
   * then most of it; `manyReadersBytes` for the others, since what waits its turn to be sent has to stay in the processor's cache.
   */
  takeForDisk(): Buffer
  /** Gives a buffer back that nobody reads from or writes into any more; one of another length is let go. */
  give(buffer: Buffer): void
}

/** The size of a pooled buffer: larger ones cost more memory for each client and save nothing that can be measured. */
export const bufferBytes = 1024 * 1024

const fewReadersBytes = 4 * 1024 * 1024
const manyReadersBytes = 512 * 1024

/** How many have a buffer of {@link fewReadersBytes} at most. */
const fewReaders = 4

/** Of each size. */
const mostFreeBytes = 16 * 1024 * 1024

export function createBuffers(): Buffers {
  const free = new Map<number, Buffer[]>([bufferBytes, fewReadersBytes, manyReadersBytes].map((size) => [size, []]))
  let large = 0

  function take(size: number): Buffer {
    return free.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size)
  }

  return {
    take: () => take(bufferBytes),
    takeForDisk() {
      if (large >= fewReaders) return take(manyReadersBytes)
      large++
      return take(fewReadersBytes)
    },
    give(buffer) {
      const { length } = buffer
      if (length === fewReadersBytes) large--
      const same = free.get(length)
      if (same !== undefined && (same.length + 1) * length <= mostFreeBytes) same.push(buffer)
    },
  }
}
