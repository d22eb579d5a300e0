/** The shape of the config file: every key, its default, and what to do when it is wrong. */
import { z } from 'zod'
import { checkLogin, hasLogin } from './config-logins.ts'
import {
  parseHostPattern,
  parseIssuer,
  parseListenAddress,
  parseNetwork,
  parsePublicUrl,
  parseRegistryHost,
  parseSize,
} from './config-values.ts'
import { parseDurationMs } from './oci/duration.ts'
import { intervalBounds } from './streams/scheduled.ts'
import { defaultLimits } from './upstream/budget.ts'

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

const defaultRegistries = [
  ...['docker.io', 'quay.io', 'ghcr.io', 'gcr.io', '*.gcr.io', '*.pkg.dev', 'registry.k8s.io', 'mcr.microsoft.com'],
  ...[
    'public.ecr.aws',
    '*.dkr.ecr.*.amazonaws.com',
    '*.azurecr.io',
    'registry.gitlab.com',
    'registry.access.redhat.com',
  ],
  ...['registry.redhat.io', 'nvcr.io', 'cgr.dev'],
]

const address = written('write HOST:PORT, such as 127.0.0.1:5000 or 0.0.0.0:5000', parseListenAddress)
const publicUrlHint =
  'write scheme, host and port that clients use, such as https://weir.example.com; no path, no user, and neither "basic" nor "bearer" in it'
const url = written(publicUrlHint, parsePublicUrl)
const secureUrl = written(`${publicUrlHint}; it starts with https://`, (text) =>
  text.startsWith('https://') ? parsePublicUrl(text) : undefined,
)
const text = written('write a text that is not empty', (value) => (value === '' ? undefined : value))
const projectGlob = written('write a project name, * for any part of it', (value) => matching(/^[a-z0-9*._-]+$/, value))
const repositoryGlob = written('write a repository path, ** for any part of it', (value) =>
  matching(/^[a-z0-9*._/-]+$/, value),
)

const commandHint = 'write a list of the program and its arguments: [/usr/local/bin/login, --json]; no shell reads it'
const argument = written(commandHint, (value) => matching(/^[^\0]{1,4096}$/s, value))

const upstreamSchema = z
  .strictObject({
    host: written('write the registry as image names have it, with its port: localhost:5100', parseRegistryHost),
    insecure: z.boolean({ error: 'write true or false' }).default(false),
    interval: interval().nullish(),
    limits: limits().optional(),
    username: text.nullish(),
    passwordFile: text.nullish(),
    identityTokenFile: text.nullish(),
    credentialHelper: written(
      'write the name of a helper of docker, as ecr-login for docker-credential-ecr-login; another program goes below exec',
      (value) => matching(/^[a-z0-9][a-z0-9-]{0,62}$/, value),
    ).nullish(),
    exec: z
      .strictObject(
        {
          command: z.array(argument, { error: commandHint }).min(1, commandHint).max(100, commandHint),
          timeout: duration(1000, 300_000, 'from 1s to 5m', '30s or 2m').prefault('10s'),
        },
        { error: (issue) => (issue.code === 'invalid_type' ? 'write { command: [PROGRAM, ARGUMENT] }' : undefined) },
      )
      .optional(),
    certificateAuthorityFile: text.nullish(),
    certFile: text.nullish(),
    keyFile: text.nullish(),
    projects: z.array(projectGlob).nullish(),
    repositories: z.array(repositoryGlob).nullish(),
  })
  .superRefine(checkLogin, always())
  .superRefine(checkCertificate, always())
  .superRefine(checkTrust, always())

const claim = text
const prefix = written('write a text, "" for none; it does not begin with "system:" or "weir:"', (value) =>
  /^(?:system|weir):|\p{Cc}/u.test(value) || value.length > 64 ? undefined : value,
)
/** Of providers and users of Weir's own. */
const reservedNames = ['htpasswd', 'system', 'weir']
const issuerSchema = z.strictObject({
  name: written(
    `write a short name of small letters, digits and dashes, such as github; not ${reservedNames.join(', ')}`,
    (value) => (reservedNames.includes(value) ? undefined : matching(/^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/, value)),
  ),
  issuer: written(
    'write the issuer as its tokens have it in "iss", an https URL such as https://token.actions.githubusercontent.com',
    parseIssuer,
  ),
  /** Where its discovery document is, when it is not below `issuer`. */
  discoveryUrl: written('write an https URL', parseIssuer).nullish(),
  audiences: z.array(text, { error: 'write a list: ["weir.example.com"]' }).min(1, 'write at least one audience'),
  certificateAuthorityFile: text.nullish(),
  username: z
    .strictObject(
      { claim: claim.prefault('sub'), prefix: prefix.nullish() },
      { error: (issue) => (issue.code === 'invalid_type' ? 'write { claim: NAME }' : undefined) },
    )
    .prefault({}),
  groups: z
    .array(z.strictObject({ claim, prefix: prefix.nullish() }), { error: 'write a list: - claim: groups' })
    .default([]),
  requiredClaims: z.record(z.string(), z.string({ error: 'write a text, numbers and true in quotes' })).default({}),
  sessionLifetime: duration(0, 365 * 86_400_000, 'from 0s to 365d').nullish(),
  clientId: text.nullish(),
  scopes: z.array(text, { error: 'write a list: [openid, email]' }).default(['openid']),
})

/** The shape of the file; unknown keys are errors. */
export const configSchema = z.strictObject({
  listen: address.prefault('127.0.0.1:5000'),
  publicUrl: url.nullish(),
  tls: z
    .strictObject({
      listen: address.prefault('127.0.0.1:5443'),
      publicUrl: secureUrl.nullish(),
      certFile: text.nullish(),
      keyFile: text.nullish(),
    })
    .superRefine(checkCertificate, always())
    .prefault({}),
  data: text.prefault('./data'),
  store: z.strictObject({ kind: z.literal('level', { error: 'write level' }).default('level') }).prefault({}),
  upstreams: z
    .array(upstreamSchema, { error: 'write a list: - host: localhost:5100' })
    .superRefine(checkHosts, always())
    .default([]),
  imports: z
    .strictObject({
      allowedRegistries: z
        .array(written('write a registry host, *.example.com, or * for every registry', parseHostPattern))
        .default(defaultRegistries),
      interval: interval().prefault('15m'),
      legacyImportMode: z.literal('index', { error: 'write index' }).default('index'),
    })
    .prefault({}),
  content: z
    .strictObject({
      maxBytes: size(1024 ** 2, 1024 ** 5, 'from 1MiB to 1024TiB').prefault('50GiB'),
      retain: z.enum(['pinned', 'pulled'], { error: 'write pinned or pulled' }).default('pinned'),
      platforms: z
        .array(written('write os/architecture, such as linux/amd64', onePlatform), {
          error: 'write a list: [linux/amd64]',
        })
        .default(['linux/amd64', 'linux/arm64']),
      historyKeep: whole(1, 1_000_000).default(10),
      historyKeepDays: whole(0, 36_500).default(30),
      move: z.enum(['at-once', 'when-held'], { error: 'write at-once or when-held' }).default('at-once'),
      finishBytes: size(0, 1024 ** 5, 'from 0B to 1024TiB').prefault('2GiB'),
      backgroundDownloads: whole(1, 64).default(4),
      backgroundDownloadsPerHost: whole(1, 64).default(2),
      pruneInterval: duration(600_000, 30 * 86_400_000, 'from 10m to 30d').prefault('24h'),
    })
    .prefault({}),
  uploads: z
    .strictObject({
      expireAfter: duration(60_000, 365 * 86_400_000, 'from 1m to 365d').prefault('24h'),
      maxPerUser: whole(1, 1_000_000).default(1000),
      max: whole(1, 1_000_000).default(10_000),
      maxBytes: size(1024 ** 2, 1024 ** 5, 'from 1MiB to 1024TiB').prefault('50GiB'),
    })
    .prefault({}),
  auth: z
    .strictObject({
      tokenLifetime: duration(60_000, 86_400_000, 'from 1m to 1d').prefault('15m'),
      maxTokenLifetime: duration(600_000, 3650 * 86_400_000, 'from 10m to 3650d').prefault('365d'),
      issuer: secureUrl.nullish(),
      loginLifetime: duration(60_000, 30 * 86_400_000, 'from 1m to 30d').prefault('12h'),
      sessionLifetime: duration(0, 365 * 86_400_000, 'from 0s to 365d').prefault('30d'),
      htpasswdFile: text.nullish(),
      issuers: z
        .array(issuerSchema, { error: 'write a list: - name: github' })
        .superRefine(checkIssuers, always())
        .default([]),
    })
    .prefault({}),
  trustedProxies: z
    .array(written('write an address or a network, such as 10.0.0.0/8 or ::1', parseNetwork))
    .default([]),
  audit: z
    .strictObject({
      output: z.enum(['file', 'stdout', 'none'], { error: 'write file, stdout or none' }).default('file'),
      maxBytes: size(64 * 1024, 1024 ** 4, 'from 64KiB to 1TiB').prefault('64MiB'),
      maxFiles: whole(1, 1000).default(10),
      reads: z.boolean({ error: 'write true or false' }).default(false),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(logLevels, { error: `write one of ${logLevels.join(', ')}` }).default('info'),
      format: z.enum(['json', 'text'], { error: 'write json or text' }).default('json'),
    })
    .prefault({}),
})

/** The keys that there are where the path of an unknown one leads. */
export function knownKeys(path: readonly PropertyKey[]): string[] {
  const whole = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' })
  const part = path.reduce<z.core.JSONSchema._JSONSchema | undefined>((schema, key) => {
    if (typeof schema !== 'object') return undefined
    const below = typeof key === 'number' ? schema.items : schema.properties?.[String(key)]
    return Array.isArray(below) ? below[0] : below
  }, whole)
  return typeof part === 'object' ? Object.keys(part.properties ?? {}) : []
}

/** What the schema makes of a file. */
export type ParsedConfig = z.output<typeof configSchema>
type ParsedUpstream = z.output<typeof upstreamSchema>
type ParsedIssuer = z.output<typeof issuerSchema>

// The checks below see values that may be wrong in other ways, or no objects at all: every problem is told in one go.

function checkCertificate(
  tls: { certFile?: string | null | undefined; keyFile?: string | null | undefined },
  context: z.RefinementCtx,
): void {
  if (!isRecord(tls)) return
  if (tls.certFile && !tls.keyFile)
    context.addIssue({ code: 'custom', path: ['keyFile'], message: 'required with certFile' })
  if (tls.keyFile && !tls.certFile)
    context.addIssue({ code: 'custom', path: ['certFile'], message: 'required with keyFile' })
}

/** What does not care whose certificate it sees has none to be told of. */
function checkTrust(upstream: ParsedUpstream, context: z.RefinementCtx): void {
  if (!isRecord(upstream) || upstream.insecure !== true) return
  for (const key of hostTlsKeys) {
    if (upstream[key])
      context.addIssue({
        code: 'custom',
        path: [key],
        message: 'means nothing with insecure: true, which takes any certificate and plain HTTP: leave one of them out',
      })
  }
}

const hostTlsKeys = ['certificateAuthorityFile', 'certFile', 'keyFile'] as const

/** A host may stand in several rules, each with a login of its own; what else they say of it must be the same. */
function checkHosts(upstreams: readonly ParsedUpstream[], context: z.RefinementCtx): void {
  if (!Array.isArray(upstreams)) return
  const seen = new Map<unknown, ParsedUpstream>()
  for (const [index, upstream] of (upstreams as readonly ParsedUpstream[]).entries()) {
    const host: unknown = upstream?.host
    const first = seen.get(host)
    if (first === undefined) seen.set(host, upstream)
    if (typeof host !== 'string' || first === undefined) continue
    const refuse = (key: string, message: string): void =>
      void context.addIssue({ code: 'custom', path: [index, key], message })
    if (!hasLogin(first) || !hasLogin(upstream))
      refuse('host', `${host} is named twice: join the rules, or give each a login`)
    for (const key of ['interval', ...hostTlsKeys] as const) {
      if ((first[key] ?? undefined) !== (upstream[key] ?? undefined))
        refuse(key, `must be the same in every rule for ${host}`)
    }
    if (JSON.stringify(first.limits ?? {}) !== JSON.stringify(upstream.limits ?? {}))
      refuse('limits', `must be the same in every rule for ${host}`)
    const bothSay = typeof first.insecure === 'boolean' && typeof upstream.insecure === 'boolean'
    if (bothSay && first.insecure !== upstream.insecure)
      refuse('insecure', `must be the same in every rule for ${host}`)
  }
}

/** A name or an issuer that stands for two could be either. */
function checkIssuers(issuers: readonly ParsedIssuer[], context: z.RefinementCtx): void {
  if (!Array.isArray(issuers)) return
  for (const key of ['name', 'issuer'] as const) {
    const seen = new Set<unknown>()
    for (const [index, issuer] of (issuers as readonly ParsedIssuer[]).entries()) {
      const value: unknown = issuer?.[key]
      if (typeof value === 'string' && seen.has(value))
        context.addIssue({ code: 'custom', path: [index, key], message: `${value} is there twice` })
      seen.add(value)
    }
  }
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function always(): { when: () => boolean } {
  return { when: () => true }
}

function duration(leastMs: number, mostMs: number, range: string, examples = '15m or 1h30m') {
  return written(`write a duration with its unit, ${range}, such as ${examples}`, (value) => {
    const durationMs = parseDurationMs(value)
    return durationMs !== undefined && durationMs >= leastMs && durationMs <= mostMs ? durationMs : undefined
  })
}

/** Between two checks of scheduled tags. */
function limits() {
  const error = 'write { concurrency: 8, requestsPerSecond: 20, reserve: 0.3 }, or some of it'
  return z.strictObject(
    {
      concurrency: whole(1, 1000).default(defaultLimits.concurrency),
      requestsPerSecond: number(0.01, 100_000).default(defaultLimits.requestsPerSecond),
      reserve: number(0, 1).default(defaultLimits.reserve),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? error : undefined) },
  )
}

function number(least: number, most: number) {
  const error = `write a number from ${least} to ${most}`
  return z.number({ error }).min(least, error).max(most, error)
}

function interval() {
  return duration(intervalBounds.leastMs, intervalBounds.mostMs, 'from 1m to 30d')
}

function size(leastBytes: number, mostBytes: number, range: string) {
  return written(`write a size with its unit, ${range}, such as 64MiB`, (value) => {
    const bytes = parseSize(value)
    return bytes !== undefined && bytes >= leastBytes && bytes <= mostBytes ? bytes : undefined
  })
}

function whole(least: number, most: number) {
  return z
    .int({ error: `write a whole number from ${least} to ${most}` })
    .min(least)
    .max(most)
}

function onePlatform(value: string): string | undefined {
  return matching(/^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9]+)?$/, value)
}

/** A value that is written as text; `hint` is what to do when it is not one. */
function written<T>(hint: string, parse: (text: string) => T | undefined) {
  return z.unknown().transform((value, context): T => {
    const result = typeof value === 'string' ? parse(value) : undefined
    if (result !== undefined) return result
    context.issues.push({ code: 'custom', message: hint, input: value })
    return z.NEVER
  })
}

function matching(pattern: RegExp, value: string): string | undefined {
  return pattern.test(value) ? value : undefined
}
