import { getCACertificates } from 'node:tls'
import { CliError } from './failures.ts'
import { isPrivateChannel } from './server.ts'
import { createTransport, type Message } from './transport.ts'
import { reasonOf } from './unreachable.ts'

/** An answer of an issuer; `fields` is empty where it is no JSON object. */
export interface IssuerAnswer {
  code: number
  fields: Record<string, unknown>
}

export interface IssuerClient {
  get(url: string): Promise<IssuerAnswer>
  post(url: string, form: Readonly<Record<string, string>>): Promise<IssuerAnswer>
}

/** An issuer gave no answer: it may yet. */
export class IssuerSilent extends CliError {}

const limitMs = 30_000
const maxBytes = 1024 * 1024

/**
 * Speaks to an OIDC issuer, as nobody. It is trusted by what the system trusts, and by `certificateAuthority` (PEM).
 * Its redirects are not followed.
 *
 * @throws CliError for an address that is neither HTTPS nor this machine, IssuerSilent when there is no answer
 */
export function createIssuerClient(certificateAuthority: string | undefined): IssuerClient {
  const authorities =
    certificateAuthority === undefined
      ? {}
      : { certificateAuthority: [...getCACertificates('default'), certificateAuthority] }

  async function send(method: string, address: string, message: Message): Promise<IssuerAnswer> {
    const url = URL.canParse(address) ? new URL(address) : undefined
    if (url === undefined || !isPrivateChannel(url)) {
      throw new CliError(`the issuer's address ${address} is not one of https://`)
    }
    const peer = { url: url.origin, insecureSkipTlsVerify: false, ...authorities }
    const explain = async ({ cause, tooLongMs }: { cause: unknown; tooLongMs?: number }) =>
      silent(url, cause, tooLongMs)
    const transport = createTransport(peer, explain, { maxBytes })
    try {
      const { code, text } = await transport.send(method, `${url.pathname}${url.search}`, message, limitMs)
      return { code, fields: parseFields(text) }
    } finally {
      transport.close()
    }
  }

  return {
    get: (url) => send('GET', url, {}),
    post: (url, form) => {
      const text = new URLSearchParams(form).toString()
      return send('POST', url, { content: { type: 'application/x-www-form-urlencoded', text } })
    },
  }
}

function silent({ origin }: URL, cause: unknown, tooLongMs: number | undefined): IssuerSilent {
  const reason = tooLongMs === undefined ? reasonOf(cause) : `no whole answer within ${tooLongMs / 1000} s`
  return new IssuerSilent(`the issuer at ${origin} can not be asked: ${reason}`, {
    hints: [
      "where its certificate is of an authority of your own, name that with --certificate-authority FILE (the server's too, one below the other, if they differ)",
    ],
    cause,
  })
}

function parseFields(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
