import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import { canonicalHost } from '../oci/reference.ts'
import { upstreamFailure } from './failure.ts'
import { parseHelperAnswer } from './helper-answer.ts'
import type { CommandOutcome, CommandRun } from './run-command.ts'
import type { Login, LoginSource } from './upstream.ts'

/** A program that gives logins: it reads the registry on stdin and prints JSON ({@link parseHelperAnswer}). */
export interface HelperCommand {
  command: readonly string[]
  /** Longest time that it may take. */
  timeoutMs: number
}

export interface LoginHelperOptions extends HelperCommand {
  /** The registry that the login is for. */
  host: string
  /** The key that names the program, for messages. */
  key: string
  run(run: CommandRun): Promise<CommandOutcome>
  /** Weir's own environment, of which the program sees what it may need. */
  environment: Readonly<Record<string, string | undefined>>
  now: () => number
  signal: AbortSignal
  log: Logger
}

interface Kept {
  login: Login
  madeAt: number
  /** When another is looked for. */
  renewAt: number
  /** Until when nobody waits for that. */
  easyUntil: number
  /** Until when it may be used; infinite when the program did not tell: the registry will. */
  expiresAt: number
}

const maxBytes = 64 * 1024
/** How long a login is used that came without an expiry. */
const defaultLifetimeMs = 10 * 60_000
/** So close to its end a login may have ended when it gets there. */
const closeMs = 60_000
/** A login this young is not made anew because a registry refuses it. */
const leastAgeMs = 60_000
/** Pause after a failure, doubled up to the longest. */
const pauseMs = { first: 10_000, longest: 300_000 }

/** What docker's helpers print, and end with 1, where they have none (`credentials/error.go` of docker-credential-helpers). */
const notFound = /^credentials not found in native keychain\s*$/

/**
 * A login that a program gives, which runs once for all who wait for it. It is kept until a tenth of its life is left, or 10 minutes:
 * then another is made, and meanwhile, or when the program fails, it is used on until it expires.
 */
export function createLoginHelper(options: LoginHelperOptions): LoginSource {
  const { command, timeoutMs, host, key, run, environment, now, signal, log } = options
  let kept: Kept | undefined
  let running: Promise<Login> | undefined
  let failure: { problem: string; until: number; pauseMs: number } | undefined

  async function make(): Promise<Login> {
    // As docker has it in its config.
    const registry = canonicalHost(host) === 'docker.io' ? 'https://index.docker.io/v1/' : host
    const outcome = await run({
      command,
      environment: reduced(environment),
      stdin: registry,
      timeoutMs,
      maxBytes,
      signal,
    })
    const problem = notFound.test(outcome.stdout) ? `has no login for ${registry}` : outcome.problem
    const answer = problem ?? parseHelperAnswer(outcome.stdout, now())
    if (typeof answer === 'string') return failed(answer, outcome.stderr)
    const madeAt = now()
    kept = { login: answer.login, madeAt, ...timesOf(madeAt, answer.expiresAt) }
    failure = undefined
    return kept.login
  }

  function failed(why: string, stderr: string): Login {
    const problem = `${key}: ${command[0]} ${why}`
    const paused = failure === undefined ? pauseMs.first : Math.min(failure.pauseMs * 2, pauseMs.longest)
    failure = { problem, until: now() + paused, pauseMs: paused }
    log.warn({ host, stderr: complaint(stderr, kept?.login) }, problem)
    return known()
  }

  /** What was given before, where it is still good. */
  function known(): Login {
    if (kept !== undefined && now() < kept.expiresAt) return kept.login
    const message = `the login for ${host} could not be had: ${failure?.problem}; Weir's log says more`
    throw upstreamFailure(host, 'CredentialsExpired', message, { code: 'UNAVAILABLE' })
  }

  function made(): Promise<Login> {
    running ??= make().finally(() => {
      running = undefined
    })
    return running
  }

  return {
    async login() {
      const at = now()
      if (kept !== undefined && at >= kept.madeAt && at < kept.renewAt) return kept.login
      if (failure !== undefined && at < failure.until && at >= failure.until - failure.pauseMs) return known()
      const making = made()
      if (kept === undefined || at < kept.madeAt || at >= kept.easyUntil) return making
      making.catch(() => undefined)
      return kept.login
    },
    get expiresAt() {
      return kept === undefined || kept.expiresAt === Number.POSITIVE_INFINITY ? undefined : kept.expiresAt
    },
    async renewed(refused) {
      if (kept !== undefined && !isDeepStrictEqual(kept.login, refused)) return kept.login
      const at = now()
      if (kept !== undefined && at >= kept.madeAt && at - kept.madeAt < leastAgeMs) return undefined
      if (failure !== undefined && at < failure.until && at >= failure.until - failure.pauseMs) return undefined
      const login = await made().catch(() => undefined)
      return login === undefined || isDeepStrictEqual(login, refused) ? undefined : login
    },
  }
}

function timesOf(madeAt: number, expiresAt: number | undefined): Pick<Kept, 'renewAt' | 'easyUntil' | 'expiresAt'> {
  if (expiresAt === undefined) {
    const renewAt = madeAt + defaultLifetimeMs
    return { renewAt, easyUntil: renewAt + defaultLifetimeMs, expiresAt: Number.POSITIVE_INFINITY }
  }
  return { renewAt: madeAt + (expiresAt - madeAt) * 0.9, easyUntil: expiresAt - closeMs, expiresAt }
}

const passedOn =
  /^(?:PATH|HOME|USER|LANG|LC_ALL|TMPDIR|TZ|SSL_CERT_FILE|SSL_CERT_DIR|DOCKER_CONFIG|(?:https?|no|all)_proxy|(?:AWS|AZURE|GOOGLE|CLOUDSDK|GCE|ECR|ACR|MSI|IDENTITY|XDG)_\w+|KUBERNETES_SERVICE_(?:HOST|PORT))$/i

/** What a program of a cloud finds its own login with; nothing else of Weir's environment. */
function reduced(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const entries = Object.entries(environment).filter(([name]) => passedOn.test(name))
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** The beginning of what a program said, without what looks like a secret or is one. */
function complaint(stderr: string, login: Login | undefined): string {
  const secrets = Object.values(login ?? {}).filter((value) => value.length >= 8)
  const plain = secrets.reduce((text, secret) => text.replaceAll(secret, '...'), stderr)
  return plain
    .replace(/[\w+/=.~-]{40,}/g, '...')
    .replace(/((?:pass\w*|secret|token|key|authorization)["']?\s*[:=]\s*|\b(?:basic|bearer)\s+)\S+/gi, '$1...')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 200)
}
