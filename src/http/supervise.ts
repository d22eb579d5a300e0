import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Cuts connections on which the client makes no progress for `timeoutMs`: it does not read what is being sent, or does not
 * send what it announced. A request that waits for Weir's own work is left alone, however long that takes.
 */
export function superviseIdleness(server: Server, timeoutMs: number): void {
  const exchanges = new WeakMap<Socket, { incoming: IncomingMessage; outgoing: ServerResponse }>()
  server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    // An answer that is out already, as the warm path's, waits for nobody but its reader.
    if (outgoing.writableEnded) return
    const { socket } = incoming
    exchanges.set(socket, { incoming, outgoing })
    outgoing.once('close', () => exchanges.delete(socket))
  })
  // Node fires this after a time without a byte moving in either direction, also for a keep-alive connection at its end.
  server.setTimeout(timeoutMs, (socket: Socket) => {
    const exchange = exchanges.get(socket)
    if (exchange === undefined || waitsForClient(socket, exchange.incoming)) socket.destroy()
    else socket.setTimeout(timeoutMs)
  })
}

function waitsForClient(socket: Socket, incoming: IncomingMessage): boolean {
  return socket.writableLength > 0 || (!incoming.complete && incoming.readableLength === 0)
}
