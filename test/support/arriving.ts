import type { Readable } from 'node:stream'
import type { Arriving } from '../../src/upstream/arriving.ts'

/** A stream as a body that is on its way. It spoils each piece when the next is asked for. */
export function arrivingFrom(stream: Readable): Pick<Arriving, 'read' | 'close'> {
  let wake: () => void = () => undefined
  for (const event of ['readable', 'end', 'error', 'close']) stream.on(event, () => wake())
  let given: Buffer | undefined
  return {
    async read() {
      given?.fill(0xff)
      for (;;) {
        const piece = stream.read() as Buffer | null
        if (piece !== null) {
          given = Buffer.from(piece)
          return given
        }
        if (stream.readableEnded) return undefined
        if (stream.errored) throw stream.errored
        if (stream.destroyed) throw new Error('the body is closed')
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    close: () => void stream.destroy(),
  }
}
