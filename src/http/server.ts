import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { superviseIdleness } from './supervise.ts'

export interface ListenOptions {
  host: string
  /** 0 takes a free port. */
  port: number
  /** PEM; without it plain HTTP is served. */
  tls?: { key: string; cert: string }
  /** A connection that a reader or writer stalls is cut after this long; default 60 s. */
  idleTimeoutMs?: number
}

export interface Listening {
  /** The port that is bound. */
  port: number
  /** From now on requests go here; until then they are told to come back. */
  serve(listener: RequestListener): void
  /** Takes no more connections, lets what is under way finish for `graceMs`, then cuts it. */
  stop(graceMs: number): Promise<void>
}

/** How long Node itself waits for what, in milliseconds, and how large headers may be. */
export const serverOptions = {
  // A total time would kill long transfers: idleness is supervised instead.
  requestTimeout: 0,
  headersTimeout: 30_000,
  // Above what load balancers keep an idle connection for.
  keepAliveTimeout: 75_000,
  maxHeaderSize: 16 * 1024,
  // A watch may be silent for minutes: only probes tell that its client has vanished.
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
} as const satisfies ServerOptions

/** @throws NodeJS.ErrnoException EADDRINUSE, EACCES, EADDRNOTAVAIL, ... */
export async function listen(options: ListenOptions): Promise<Listening> {
  const { host, port, tls, idleTimeoutMs = 60_000 } = options
  let handle: RequestListener = (_incoming, outgoing) => {
    outgoing.writeHead(503, { 'Retry-After': '1', 'Content-Length': '0', Connection: 'close' }).end()
  }
  const listener: RequestListener = (incoming, outgoing) => handle(incoming, outgoing)
  const server =
    tls === undefined
      ? createServer(serverOptions, listener)
      : createTlsServer({ ...serverOptions, ...tls, minVersion: 'TLSv1.2' }, listener)
  // Who waits for `100 Continue` is told so by whoever reads the body: what is refused need not be sent.
  server.on('checkContinue', (incoming, outgoing) => server.emit('request', incoming, outgoing))
  superviseIdleness(server, idleTimeoutMs)
  await bind(server, host, port)
  return {
    port: (server.address() as AddressInfo).port,
    serve: (next) => {
      handle = next
    },
    stop: (graceMs) => stop(server, graceMs),
  }
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function stop(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  // Node closes the connections that are idle now; those whose answer is still going out become idle later.
  const sweep = setInterval(() => server.closeIdleConnections(), 50)
  const cut = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearInterval(sweep)
  clearTimeout(cut)
}
