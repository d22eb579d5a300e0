import { Agent, type Dispatcher, request } from 'undici'
import { readWhole } from './body.ts'
import { connectionFailure } from './failure.ts'

/** Fetches documents of hosts that the operator named, wherever they are: discovery documents and key sets of issuers. */
export interface Documents {
  /**
   * The text of a document by its https URL. `certificateAuthority` (PEM) stands in the place of what the system trusts.
   * Only a 200 counts: redirects are not followed.
   *
   * @throws Error with the host and what is wrong; nothing of the answer is in it
   */
  fetch(url: string, options?: { certificateAuthority?: string }): Promise<string>
  close(): Promise<void>
}

export interface DocumentsOptions {
  userAgent: string
  /** For a whole document. Default 5 s. */
  timeoutMs?: number
  /** Default 1 MiB. */
  maxBytes?: number
}

export function createDocuments({ userAgent, timeoutMs = 5_000, maxBytes = 1024 * 1024 }: DocumentsOptions): Documents {
  /** By certificate authority; empty for what the system trusts. */
  const agents = new Map<string, Agent>()

  const agentFor = (ca: string): Agent => {
    const made = agents.get(ca)
    if (made !== undefined) return made
    const connect = { timeout: timeoutMs, allowH2: false, minVersion: 'TLSv1.2' as const, ...(ca !== '' && { ca }) }
    const agent = new Agent({ connect, headersTimeout: timeoutMs, bodyTimeout: timeoutMs })
    agents.set(ca, agent)
    return agent
  }

  return {
    async fetch(text, { certificateAuthority = '' } = {}) {
      const url = new URL(text)
      if (url.protocol !== 'https:') throw new Error(`${text} is no https URL`)
      const headers = { 'user-agent': userAgent, accept: 'application/json', 'accept-encoding': 'identity' }
      const deadline = new AbortController()
      const timer = setTimeout(() => deadline.abort(), timeoutMs)
      try {
        const { signal } = deadline
        // Asked for so seldom that no connection is kept.
        const dispatcher = agentFor(certificateAuthority)
        const { statusCode, body } = await request(url, { dispatcher, headers, signal, reset: true })
        if (statusCode !== 200) {
          discard(body)
          throw new Refused(`${url.host} answered ${statusCode} when asked for ${url.pathname}`)
        }
        const bytes = await readWhole(body, maxBytes)
        if (bytes === undefined) throw new Refused(`${url.host} sent more than the ${maxBytes} bytes that are read`)
        return bytes.toString('utf8')
      } catch (error) {
        if (error instanceof Refused) throw error
        if (deadline.signal.aborted) throw new Refused(`${url.host} gave no whole answer within ${timeoutMs / 1000} s`)
        throw failed(url, error)
      } finally {
        clearTimeout(timer)
      }
    },
    async close() {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()))
      agents.clear()
    },
  }
}

class Refused extends Error {}

function discard(body: Dispatcher.ResponseData['body']): void {
  body.dump({ limit: 16 * 1024 }).catch(() => undefined)
}

function failed(url: URL, error: unknown): Error {
  const { upstream, message } = connectionFailure(url.host, url, error)
  if (upstream?.reason !== 'Tls') return new Refused(message)
  const text = error instanceof Error ? error.message : ''
  return new Refused(`the certificate of ${url.host} is not trusted (${text}): set certificateAuthorityFile to its CA`)
}
