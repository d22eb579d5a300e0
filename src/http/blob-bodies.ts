import { RegistryError } from '../oci/errors.ts'
import type { Exchange } from './exchange.ts'

/** Lets so many bodies of blobs go out at the same time: each takes a piece of memory and an open file. */
export interface BlobBodies {
  /**
   * Takes a place when it is the answer's turn on its connection: of requests that a client sends before it has read the answers
   * (RFC 9112 9.3.2) one is worked on.
   *
   * @returns what gives the place back; undefined when the client has left
   * @throws RegistryError TOOMANYREQUESTS when all places are taken
   */
  enter(exchange: Pick<Exchange, 'incoming' | 'outgoing' | 'client'>): Promise<(() => void) | undefined>
}

export interface BlobBodiesOptions {
  /** Default 1024. */
  total?: number
  /** For one address; default half of `total`, so that nobody takes them all. */
  perAddress?: number
}

const retryAfterSeconds = 5

export function createBlobBodies({ total = 1024, perAddress = total / 2 }: BlobBodiesOptions = {}): BlobBodies {
  const byAddress = new Map<string, number>()
  let taken = 0

  return {
    async enter({ incoming, outgoing, client: { address } }) {
      if (!(await isItsTurn(incoming, outgoing))) return undefined
      const own = byAddress.get(address) ?? 0
      if (taken >= total || own >= perAddress) throw tooMany(taken >= total ? 'in all' : 'by your address')
      taken += 1
      byAddress.set(address, own + 1)
      let isInside = true
      return () => {
        if (!isInside) return
        isInside = false
        taken -= 1
        const left = (byAddress.get(address) ?? 1) - 1
        if (left > 0) byAddress.set(address, left)
        else byAddress.delete(address)
      }
    },
  }
}

function tooMany(whose: string): RegistryError {
  const message = `too many blobs are being pulled at the same time ${whose}, try again`
  return new RegistryError('TOOMANYREQUESTS', { message, retryAfterSeconds })
}

/** Node gives an answer its socket when those before it are out. @returns whether the client is still there then */
function isItsTurn(incoming: Exchange['incoming'], outgoing: Exchange['outgoing']): Promise<boolean> {
  const { socket } = incoming
  if (socket.destroyed || outgoing.destroyed) return Promise.resolve(false)
  if (outgoing.socket !== null) return Promise.resolve(true)
  // As many may wait as the client sends.
  socket.setMaxListeners(0)
  return new Promise((resolve) => {
    const turn = (): void => {
      socket.off('close', leave)
      resolve(true)
    }
    const leave = (): void => {
      outgoing.off('socket', turn)
      resolve(false)
    }
    outgoing.once('socket', turn)
    socket.once('close', leave)
  })
}
