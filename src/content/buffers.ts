/** Large buffers for reading files, used again and again. */
export interface Buffers {
  /** A buffer of `bufferBytes`; what is in it is whatever was read last. */
  take(): Buffer
  /** Gives a buffer back that nobody reads from or writes into any more. */
  give(buffer: Buffer): void
}

/** The size of a pooled buffer: larger ones cost more memory for each client and save nothing that can be measured. */
export const bufferBytes = 1024 * 1024

const mostFree = 16

export function createBuffers(): Buffers {
  const free: Buffer[] = []
  return {
    take: () => free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes),
    give(buffer) {
      if (free.length < mostFree) free.push(buffer)
    },
  }
}
