import { type Buffers, bufferBytes } from './buffers.ts'

/** The newest bytes of a file, in memory. */
export interface Tail {
  /** Where in the file they end. */
  readonly end: number
  append(piece: Buffer): void
  /** The memory of all bytes from `start` on: it stays as it is until they are dropped. */
  views(start: number): Buffer[]
  /** Copies bytes from `at` on, before `end`, at least one, of which all are there. */
  read(at: number, end: number, into: Buffer): Buffer
  /** Forgets blocks whose bytes are all before `place`. */
  dropBefore(place: number): void
}

/** Pieces are copied into blocks one after the other, so that they can be as small as they come. */
export function createTail(buffers: Buffers): Tail {
  const blocks: Buffer[] = []
  /** Where the first block begins: at a multiple of their size. */
  let start = 0
  let end = 0

  /** What one block has from `at` on. */
  function view(at: number, until: number): Buffer {
    const block = blocks[Math.floor((at - start) / bufferBytes)]
    if (block === undefined || at >= end) throw new RangeError(`byte ${at} is not among those from ${start} to ${end}`)
    const from = (at - start) % bufferBytes
    return block.subarray(from, from + Math.min(until, end) - at)
  }

  return {
    get end() {
      return end
    },
    append(piece) {
      for (let copied = 0; copied < piece.length; ) {
        const from = (end - start) % bufferBytes
        if (from === 0) blocks.push(buffers.take())
        const count = piece.copy(blocks.at(-1) as Buffer, from, copied)
        copied += count
        end += count
      }
    },
    views(from) {
      const views: Buffer[] = []
      for (let at = from; at < end; ) {
        const next = view(at, end)
        views.push(next)
        at += next.length
      }
      return views
    },
    read(at, until, into) {
      return into.subarray(0, view(at, until).copy(into))
    },
    dropBefore(place) {
      while (blocks.length > 0 && start + bufferBytes <= place) {
        buffers.give(blocks.shift() as Buffer)
        start += bufferBytes
      }
    },
  }
}
