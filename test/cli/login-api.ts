import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { temporaryDirectory } from '../support/directory.ts'
import type { TestCertificate } from './certificates.ts'
import { type FakeApi, startFakeApi } from './fake-api.ts'
import { type CliResult, type CliWorld, run, runsAt } from './run.ts'

export const issuer = 'https://weir.test:5443'
export const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews'

/** A JWT with these claims, signed by nobody. */
export function jwt(claims: object): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  return `${encode({ alg: 'ES256' })}.${encode(claims)}.c2lnbmF0dXJl`
}

/** What the exchange gives: a token of `weir login` that lives 12 hours, of the session `s1`. */
export const loginToken = jwt({
  iss: issuer,
  exp: runsAt / 1000 + 12 * 3600,
  weir: { provider: 'corp', session: 's1', groups: [] },
})

export interface LoginWorld {
  api: FakeApi
  home: string
  /** `~/.kube/config`. */
  file: string
  /** What `/login` says. */
  offer(offered: { issuers?: object[]; htpasswd?: boolean }): void
  /** Runs a command line in the home, in which nothing is yet. */
  weir(argv: string[], world?: CliWorld): Promise<CliResult>
  /** `weir login` to the server. */
  login(argv?: string[], world?: CliWorld): Promise<CliResult>
  /** The kubeconfig, parsed. */
  kubeconfig(): Promise<Record<string, unknown>>
  /** Writes a kubeconfig before a login. */
  keep(text: string): Promise<void>
}

/** A server that exchanges any login for {@link loginToken}, and knows everybody as jane. */
export async function loginWorld(certificate?: TestCertificate): Promise<LoginWorld> {
  const api = await startFakeApi(certificate)
  const home = await temporaryDirectory()
  const file = join(home, '.kube', 'config')
  const offer: LoginWorld['offer'] = ({ issuers = [], htpasswd = false }) =>
    api.answer('GET', '/login', { body: { issuer, issuers, htpasswd } })
  offer({ htpasswd: true })
  api.answer('POST', '/token', { body: { access_token: loginToken, token: loginToken, expires_in: 43_200 } })
  api.answer('POST', review, ({ headers }) => ({
    body: { status: { userInfo: { username: headers.authorization === undefined ? 'system:anonymous' : 'jane' } } },
  }))
  const weir: LoginWorld['weir'] = (argv, world) => run(argv, { cwd: home, home, ...world })
  return {
    api,
    home,
    file,
    offer,
    weir,
    login: (argv = [], world) => weir(['login', api.url, ...argv], world),
    kubeconfig: async () => parse(await readFile(file, 'utf8')),
    async keep(text) {
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, text)
    },
  }
}
