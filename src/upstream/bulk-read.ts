import type { OnReadOpts, Socket } from 'node:net'

/** Majors of Node that were seen to call back with the socket as `this`, and to ask for memory for each read. */
const triedMajors: readonly number[] = [24, 25, 26]

/** What `bulkRead` gives where Node is one that it was tried with; nothing elsewhere: connections read as they always do. */
export function bulkReadWhereTried(version = process.versions.node): Partial<ReturnType<typeof bulkRead>> {
  return triedMajors.includes(Number.parseInt(version, 10)) ? bulkRead() : {}
}

/**
 * Lets connections read into the same memory again and again: new memory for each read costs more than the reading. Who reads
 * from such a socket must be done with a chunk before the event loop goes on.
 */
export function bulkRead(): { highWaterMark: number; onread: OnReadOpts } {
  const slabs = new WeakMap<Socket, Slabs>()
  // Node asks for memory right after it told of what came, and once before.
  let next: Buffer | undefined

  function onBytes(this: Socket, count: number, into: Uint8Array): boolean {
    const own = slabs.get(this) ?? createSlabs()
    slabs.set(this, own)
    next = own.after(into as Buffer, count, this.readableLength)
    return this.push(into.subarray(0, count))
  }

  return {
    highWaterMark: 2 * slabBytes,
    onread: {
      buffer() {
        const buffer = next ?? Buffer.allocUnsafeSlow(slabBytes)
        next = undefined
        return buffer
      },
      callback: onBytes,
    },
  }
}

const slabBytes = 256 * 1024
/** A rest of a slab that is still read into. */
const leastBytes = 64 * 1024

/** The memory of one connection: slabs in turn, as many as its high-water mark makes it need. */
interface Slabs {
  /** Where the next read goes, after `count` bytes came into `buffer`, and so many before them still wait to be read. */
  after(buffer: Buffer, count: number, waiting: number): Buffer
}

function createSlabs(): Slabs {
  /** Full ones, the oldest first, with how many bytes had come at their end. */
  const full: { slab: Buffer; end: number }[] = []
  let came = 0

  return {
    after(buffer, count, waiting) {
      came += count
      const rest = buffer.subarray(count)
      if (rest.length >= leastBytes) return rest
      // The parts of a header wait for its end: it is much smaller than the slab that was filled after the oldest.
      const [oldest] = full
      const isFree = oldest !== undefined && oldest.end <= came - count - waiting
      const slab = isFree ? full.shift()?.slab : undefined
      full.push({ slab: Buffer.from(buffer.buffer, 0, slabBytes), end: came })
      return slab ?? Buffer.allocUnsafeSlow(slabBytes)
    },
  }
}
