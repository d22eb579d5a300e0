/** Where Weir listens, and with which certificate. */
import { join } from 'node:path'
import type { WeirConfig } from './config.ts'
import { type Listening, listen } from './http/server.ts'
import { type Certificate, ownCertificate, readCertificate } from './http/tls.ts'
import { codeOf, messageOf, StartError } from './start-error.ts'

/** Where a listener is: `publicUrl` as clients reach it, with the port that is bound where the config left it open. */
export interface Address {
  host: string
  port: number
  publicUrl: string
}

/** The certificate of the config, or Weir's own. @throws StartError */
export async function openCertificate({ tls, publicUrl, data }: WeirConfig, now: () => number): Promise<Certificate> {
  const { certFile, keyFile } = tls
  try {
    if (certFile !== undefined && keyFile !== undefined) return await readCertificate({ certFile, keyFile })
    const hosts = ['localhost', '127.0.0.1', '::1', hostOf(publicUrl), hostOf(tls.publicUrl)]
    return await ownCertificate({ directory: join(data, 'tls'), hosts, now })
  } catch (error) {
    throw new StartError(`there is no certificate for HTTPS: ${messageOf(error)}`, error)
  }
}

/** A port that is bound, and takes no requests yet. */
export interface Listener {
  listening: Listening
  address: Address
}

/** Binds both ports; `opened` closes them. @throws StartError */
export async function openListeners(
  config: WeirConfig,
  { key, cert }: Certificate,
  opened: AsyncDisposableStack,
): Promise<{ http: Listener; https: Listener }> {
  const open = async (name: string, options: Parameters<typeof listen>[0], publicUrl: string): Promise<Listener> => {
    try {
      const listening = await listen(options)
      opened.defer(() => listening.stop(0))
      const { port } = listening
      return { listening, address: { host: options.host, port, publicUrl: withPort(publicUrl, port) } }
    } catch (error) {
      throw new StartError(
        `${name}: ${options.host}:${options.port} can not be listened on: ${listenProblem(error)}`,
        error,
      )
    }
  }
  return {
    http: await open('listen', config.listen, config.publicUrl),
    https: await open('tls.listen', { ...config.tls.listen, tls: { key, cert } }, config.tls.publicUrl),
  }
}

function listenProblem(error: unknown): string {
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return 'the port is in use; stop what uses it or choose another'
    case 'EACCES':
      return 'this user may not use the port; choose one above 1023'
    case 'EADDRNOTAVAIL':
      return 'this machine does not have the address'
    default:
      return messageOf(error)
  }
}

/** A port of 0 in a public URL stands for the one that is bound. */
function withPort(publicUrl: string, port: number): string {
  const url = new URL(publicUrl)
  if (url.port === '0') url.port = String(port)
  return url.origin
}

/** The names under which a listener is reached, as image references have them. */
export function ownHosts({ host, port, publicUrl }: Address): string[] {
  return [new URL(publicUrl).host, ...[host, 'localhost', '127.0.0.1'].map((name) => `${name}:${port}`)]
}

function hostOf(publicUrl: string): string {
  return new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1')
}
