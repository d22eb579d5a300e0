import type { LookupFunction } from 'node:net'
import { type Logger, pino } from 'pino'
import { onTestFinished } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { createUpstream, type UpstreamOptions } from '../../src/upstream/client.ts'
import { credentialsFromRules } from '../../src/upstream/credentials.ts'
import type { Upstream, UpstreamRepository, UpstreamRule } from '../../src/upstream/upstream.ts'
import { type TestClock, testClock } from '../support/clock.ts'

export interface ClientUnderTest {
  client: Upstream
  clock: TestClock
  /** Every line logged, whatever its level. */
  logs: string[]
  /** The pauses between tries, which are not waited for, in milliseconds. */
  pauses: number[]
}

export type ClientOptions = Partial<Omit<UpstreamOptions, 'rules' | 'log' | 'now' | 'userAgent'>>

/** A client that never waits between tries; `rules` may be just the hosts to name as insecure. */
export function startClient(rules: readonly (UpstreamRule | string)[], options: ClientOptions = {}): ClientUnderTest {
  const clock = testClock()
  const { log, logs } = recordingLog()
  const pauses: number[] = []
  const whole = rules.map((rule) => (typeof rule === 'string' ? { host: rule, insecure: true } : rule))
  const client = createUpstream({
    rules: whole,
    credentialsFor: credentialsFromRules(whole),
    userAgent: 'weir/test',
    log,
    now: clock.now,
    ...options,
    retry: { wait: async (ms) => void pauses.push(ms), random: () => 0.5, ...options.retry },
  })
  onTestFinished(() => client.close())
  return { client, clock, logs, pauses }
}

export function recordingLog(): { log: Logger; logs: string[] } {
  const logs: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void logs.push(line) })
  return { log, logs }
}

/** An insecure rule with a login for one project and the repositories of `lib`. */
export function loginRule(host: string, password = 'pa55word!'): UpstreamRule {
  return {
    host,
    insecure: true,
    login: { username: 'robot', password, projects: ['demo'], repositories: ['lib/**'] },
  }
}

export function at(host: string, repository = 'lib/app', project = 'demo'): UpstreamRepository {
  return { host, repository, project }
}

/** The failure of a promise, which must be a RegistryError. */
export async function failureOf(promise: Promise<unknown>): Promise<RegistryError> {
  const outcome = await promise.then(
    () => 'it succeeded',
    (error: unknown) => error,
  )
  if (outcome instanceof RegistryError) return outcome
  throw new Error('no RegistryError', { cause: outcome })
}

/** Reads a body to its end. */
export async function read(body: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(Buffer.from(chunk as Buffer))
  return Buffer.concat(chunks)
}

/** A resolver that knows only these names. */
export function resolving(names: Record<string, string | string[]>): LookupFunction {
  return (hostname, options, callback) => {
    const found = [names[hostname] ?? []].flat().map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    const [first] = found
    const unknown = Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' })
    if (first === undefined) callback(unknown, [])
    else if (options.all) callback(null, found)
    else callback(null, first.address, first.family)
  }
}
