import { type Logger, pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { Provider } from '../../src/access/access.ts'
import { createIssuer } from '../../src/access/issuer.ts'
import type { OidcIssuer } from '../../src/access/oidc-issuer.ts'
import { createDocuments } from '../../src/upstream/documents.ts'
import { type TestClock, testClock } from '../support/clock.ts'
import { type FakeIssuer, startFakeIssuer } from '../support/fake-issuer.ts'
import { client } from './world.ts'

/** An issuer's rules as the config makes them, those that matter to the test written out. */
export function issuerRules(rules: Partial<OidcIssuer> & Pick<OidcIssuer, 'issuer'>): OidcIssuer {
  return {
    name: 'idp',
    audiences: ['weir'],
    username: { claim: 'sub', prefix: 'idp:' },
    groups: [],
    requiredClaims: {},
    sessionLifetimeMs: 0,
    scopes: ['openid'],
    ...rules,
  }
}

/** Gathers log lines of every level. */
export function listeningLog(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  return { lines, log: pino({ base: null, level: 'trace' }, { write: (line: string) => lines.push(JSON.parse(line)) }) }
}

export interface IssuerWorld {
  clock: TestClock
  lines: Record<string, unknown>[]
  provider: Provider
  /** Logs in with a token. */
  ask(secret: string): ReturnType<Provider['authenticate']>
}

/** A provider that fetches as Weir does. */
export function issuerWorld(
  rules: OidcIssuer,
  { clock = testClock(Date.now()), timeoutMs = 5000 }: { clock?: TestClock; timeoutMs?: number } = {},
): IssuerWorld {
  const documents = createDocuments({ userAgent: 'weir/test', timeoutMs })
  onTestFinished(() => documents.close())
  const { log, lines } = listeningLog()
  const provider = createIssuer({ issuer: rules, fetchDocument: documents.fetch, now: clock.now, log })
  return { clock, lines, provider, ask: (secret) => provider.authenticate({ user: 'any', secret, client }) }
}

/** A hand-made issuer, and the provider that trusts it. */
export async function fakeIssuerWorld(
  rules: Partial<OidcIssuer> = {},
  options: { timeoutMs?: number } = {},
): Promise<IssuerWorld & { idp: FakeIssuer }> {
  const clock = testClock()
  const idp = await startFakeIssuer({ now: clock.now })
  onTestFinished(() => idp.stop())
  const all = issuerRules({ issuer: idp.issuer, certificateAuthority: idp.ca, ...rules })
  return { ...issuerWorld(all, { clock, ...options }), idp }
}
