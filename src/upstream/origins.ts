import { RegistryError } from '../oci/errors.ts'
import { unlessAborted } from './abort.ts'
import { upstreamFailure } from './failure.ts'
import { type Hosts, registryUrl } from './hosts.ts'
import type { Transport } from './transport.ts'

/** Finds out where a registry's API is: `https`, or plain HTTP where a rule allows it and nothing else answers. */
export interface Origins {
  /** Where it is, as far as that is known without asking. @throws RegistryError when `host` is none */
  known(host: string): URL | undefined
  /** @throws RegistryError when nothing answers at an insecure host */
  of(host: string, signal?: AbortSignal): Promise<URL>
}

export interface OriginsOptions {
  hosts: Hosts
  transport: Transport
  /** Longest time to wait for a TLS handshake that a server of plain HTTP may leave unanswered. */
  probeMs: number
}

/**
 * Only hosts with an insecure rule are probed, once, without a login; the answer holds for good: a host that once spoke
 * TLS never gets a login in clear text because its TLS fails today.
 */
export function createOrigins({ hosts, transport, probeMs }: OriginsOptions): Origins {
  const known = new Map<string, URL>()
  const probes = new Map<string, Promise<URL>>()

  async function answers(host: string, url: URL): Promise<void> {
    const ask = { host, url: new URL('/v2/', url), method: 'GET', redirects: 'none' } as const
    const answer = await transport.open({ ...ask, signal: AbortSignal.timeout(probeMs) })
    answer.discard()
  }

  async function probe(host: string): Promise<URL> {
    const secure = registryUrl(host, 'https')
    try {
      await answers(host, secure)
      return secure
    } catch (error) {
      const plain = registryUrl(host, 'http')
      if (error instanceof RegistryError && error.upstream?.reason === 'NotAllowed') throw error
      await answers(host, plain).catch((cause: unknown) => {
        if (cause instanceof RegistryError) throw cause
        throw upstreamFailure(host, 'Unreachable', `${host} answers neither over HTTPS nor over HTTP`, { cause })
      })
      return plain
    }
  }

  function probed(host: string, key: string): Promise<URL> {
    const running = probes.get(key)
    if (running !== undefined) return running
    const started = probe(host)
      .then((origin) => {
        known.set(key, origin)
        return origin
      })
      .finally(() => probes.delete(key))
    probes.set(key, started)
    return started
  }

  function knownOf(host: string): URL | undefined {
    if (!URL.canParse(`https://${host}/`)) throw upstreamFailure(host, 'Invalid', `${host} is not a host`)
    const secure = registryUrl(host, 'https')
    const insecure = hosts.policy(secure).insecure || hosts.policy(registryUrl(host, 'http')).insecure
    return insecure ? known.get(secure.host) : secure
  }

  return {
    known: knownOf,
    of: async (host, signal) => knownOf(host) ?? unlessAborted(probed(host, registryUrl(host, 'https').host), signal),
  }
}
