import { write } from 'node:fs'
import { promisify } from 'node:util'
import { maxLineBytes } from './format-line.ts'
import type { Sink } from './sink.ts'

const writeSome = promisify(write)
const newline = 0x0a

/** Writes lines to an open file, the log's stdout mostly, in pieces that no other writer's lines come between. */
export function createStdoutSink(fd: number): Sink {
  let isTorn = false
  return {
    async append(lines) {
      let written = 0
      try {
        if (isTorn) await writeSome(fd, '\n')
        isTorn = false
        while (written < lines.length) {
          const piece = lines.subarray(written, endOfPiece(lines, written))
          const { bytesWritten } = await writeSome(fd, piece)
          written += bytesWritten
          isTorn = bytesWritten > 0 && lines[written - 1] !== newline
        }
        return { written }
      } catch (error) {
        return { written, error }
      }
    },
    close: async () => undefined,
  }
}

/** After the last line that ends within a piece from `start`. */
function endOfPiece(lines: Buffer, start: number): number {
  if (lines.length - start <= maxLineBytes) return lines.length
  return lines.lastIndexOf(newline, start + maxLineBytes - 1) + 1
}
