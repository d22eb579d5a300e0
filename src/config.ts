/** What the operator decides, checked whole before anything starts. */
import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import type { z } from 'zod'
import type { OidcIssuer } from './access/oidc-issuer.ts'
import { isRecord, readSecrets, type Secrets } from './config-files.ts'
import { checkOwnIssuer, sharedNames } from './config-issuers.ts'
import { loginOf, type UpstreamLogin } from './config-logins.ts'
import { readProxies } from './config-proxies.ts'
import { configSchema, knownKeys, type ParsedConfig } from './config-schema.ts'
import type { ListenAddress, parseNetwork } from './config-values.ts'
import type { UploadLimits } from './push.ts'
import type { ContentPolicy } from './streams/content-policy.ts'
import type { BudgetLimits } from './upstream/budget.ts'
import type { HostTlsFiles } from './upstream/host-tls.ts'
import type { ProxySettings } from './upstream/proxies.ts'

/** Everything of `config/weir.yaml`, with defaults filled in; durations in milliseconds. */
export interface WeirConfig {
  readonly listen: ListenAddress
  /** Scheme, host and port. A port of 0 stands for the one that is bound. */
  readonly publicUrl: string
  readonly tls: {
    readonly listen: ListenAddress
    readonly publicUrl: string
    /** Both or none; without them Weir makes its own certificate. */
    readonly certFile?: string
    readonly keyFile?: string
  }
  readonly data: string
  readonly store: { readonly kind: 'level' }
  readonly upstreams: readonly {
    readonly host: string
    readonly insecure: boolean
    /** Between two checks of scheduled tags that come from there; default that of `imports`. */
    readonly intervalMs?: number
    /** What asking it may cost in the background; default as of any registry. */
    readonly limits?: BudgetLimits
    /** Whom it trusts and what it shows, as the files were at the start. */
    readonly tlsFiles?: HostTlsFiles
    readonly login?: UpstreamLogin
  }[]
  /** Through whom registries are asked: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the environment. */
  readonly proxies?: ProxySettings
  readonly imports: {
    readonly allowedRegistries: readonly string[]
    readonly legacyImportMode: 'index'
    /** Between two checks of a scheduled tag. */
    readonly intervalMs: number
  }
  readonly content: {
    /** What holds where no annotation says otherwise. */
    readonly policy: ContentPolicy
    readonly maxBytes: number
    readonly finishBytes: number
    readonly backgroundDownloads: number
    readonly backgroundDownloadsPerHost: number
    readonly pruneIntervalMs: number
  }
  /** What clients push, blob by blob. */
  readonly uploads: UploadLimits
  readonly auth: {
    readonly tokenLifetimeMs: number
    readonly maxTokenLifetimeMs: number
    /** Default: `tls.publicUrl`. */
    readonly issuer?: string
    /** How long a token lives that `weir login` gets for the API. */
    readonly loginLifetimeMs: number
    /** How long a login goes on by refresh tokens, unless the issuer says otherwise; 0: not at all. */
    readonly sessionLifetimeMs: number
    readonly htpasswdFile?: string
    readonly issuers: readonly OidcIssuer[]
  }
  /** Whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly NonNullable<ReturnType<typeof parseNetwork>>[]
  readonly audit: {
    readonly output: 'file' | 'stdout' | 'none'
    /** Of a file, before the next is begun. */
    readonly maxBytes: number
    readonly maxFiles: number
    /** Whether reads of the API have lines too. */
    readonly reads: boolean
  }
  readonly log: { readonly level: ParsedConfig['log']['level']; readonly format: 'json' | 'text' }
}

/** What a person has to correct before Weir starts: one line for each problem, with the path of its key. */
export class ConfigError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Where a config comes from; flags win over the environment, the environment over the file, the file over defaults. */
export interface ConfigSources {
  file?: { name: string; text: string }
  environment?: Readonly<Record<string, string | undefined>>
  flags?: { listen?: string; data?: string }
}

const environmentKeys: Readonly<Record<string, readonly string[]>> = {
  WEIR_LISTEN: ['listen'],
  WEIR_PUBLIC_URL: ['publicUrl'],
  WEIR_TLS_LISTEN: ['tls', 'listen'],
  WEIR_TLS_PUBLIC_URL: ['tls', 'publicUrl'],
  WEIR_DATA: ['data'],
  WEIR_LOG_LEVEL: ['log', 'level'],
  WEIR_LOG_FORMAT: ['log', 'format'],
}

/**
 * Reads the sources into one config. `warnings` are things to put right that do not stop Weir.
 *
 * @throws ConfigError with every problem at once
 */
export function parseConfig(sources: ConfigSources): { config: WeirConfig; warnings: readonly string[] } {
  const tree = readTree(sources.file)
  const origins = override(tree, sources)
  const parsed = configSchema.safeParse(tree)
  const problems = parsed.success ? [] : parsed.error.issues.flatMap((issue) => describeIssue(issue, origins))
  const secrets = readSecrets(tree)
  const proxies = readProxies(sources.environment ?? {})
  problems.push(...secrets.problems, ...proxies.problems)
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  const { settings } = proxies
  const config = { ...build(parsed.data, secrets), ...(settings && { proxies: settings }) }
  const own = checkOwnIssuer(config.auth.issuer ?? config.tls.publicUrl, config.auth)
  if (own.length > 0) throw new ConfigError(own)
  return { config, warnings: [...secrets.warnings, ...sharedNames(config.auth)] }
}

/** Finds the file (`--config`, `WEIR_CONFIG`, `./weir.yaml` if it is there) and parses. @throws ConfigError */
export function loadConfig(
  flags: { config?: string; listen?: string; data?: string },
  environment: Readonly<Record<string, string | undefined>>,
): { config: WeirConfig; warnings: readonly string[] } {
  const named = flags.config ?? (environment.WEIR_CONFIG || undefined)
  const file = readConfigFile(named ?? 'weir.yaml', named === undefined)
  return parseConfig({ ...(file === undefined ? {} : { file }), environment, flags })
}

function readConfigFile(name: string, optional: boolean): ConfigSources['file'] {
  try {
    return { name, text: readFileSync(name, 'utf8') }
  } catch (error) {
    if (optional && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ConfigError([`${name}: cannot be read (${(error as NodeJS.ErrnoException).code})`])
  }
}

function readTree(file: ConfigSources['file']): Record<string, unknown> {
  if (file === undefined) return {}
  const document = parseDocument(file.text)
  const problems = document.errors.map((error) => `${file.name}: ${error.message.split('\n')[0]?.replace(/:$/, '')}`)
  if (problems.length > 0) throw new ConfigError(problems)
  const tree: unknown = document.toJS() ?? {}
  if (!isRecord(tree)) throw new ConfigError([`${file.name}: write keys and values, such as listen: 127.0.0.1:5000`])
  // A key with nothing below it, all its entries commented out, is as good as absent.
  return Object.fromEntries(Object.entries(tree).filter(([, value]) => value !== null))
}

/** Lays environment and flags over the tree; answers which path came from where. */
function override(tree: Record<string, unknown>, { environment = {}, flags = {} }: ConfigSources): Map<string, string> {
  const origins = new Map<string, string>()
  const set = (path: readonly string[], value: string | undefined, origin: string): void => {
    if (value === undefined || value === '') return
    const [first = '', second] = path
    if (second === undefined) tree[first] = value
    else if (tree[first] === undefined) tree[first] = { [second]: value }
    else if (isRecord(tree[first])) tree[first] = { ...tree[first], [second]: value }
    else return
    origins.set(path.join('.'), origin)
  }
  for (const [variable, path] of Object.entries(environmentKeys)) set(path, environment[variable], variable)
  set(['listen'], flags.listen, '--listen')
  set(['data'], flags.data, '--data')
  return origins
}

function describeIssue(issue: z.core.$ZodIssue, origins: Map<string, string>): string[] {
  const path = formatPath(issue.path)
  const prefix = path === '' ? '' : `${path}.`
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(issue.path)
    return issue.keys.map((key) => `${prefix}${key}: unknown key; ${insteadOf(key, known)}`)
  }
  const origin = origins.get(path)
  const place = origin === undefined ? path : `${path} (from ${origin})`
  return [`${place}: ${issue.code === 'invalid_type' ? wrongType(issue) : issue.message}`]
}

/** What to write in place of a key that there is not. */
function insteadOf(key: string, known: readonly string[]): string {
  const plain = key.toLowerCase()
  const meant = known.filter((each) => each.toLowerCase().startsWith(plain) || plain.startsWith(each.toLowerCase()))
  if (/password|secret/i.test(key)) return 'secrets are given by file: passwordFile'
  if (meant.length > 0) return `did you mean ${meant.join(' or ')}?`
  return known.length === 0 ? 'config/weir.yaml lists all there are' : `here are ${known.join(', ')}`
}

function wrongType(issue: z.core.$ZodIssueInvalidType): string {
  if (!issue.message.startsWith('Invalid input')) return issue.message
  if (issue.expected === 'object' || issue.expected === 'record') return 'write keys and values below it'
  return issue.expected === 'array' ? 'write a list' : issue.message
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? String(part) : `${text}.${String(part)}`
  }, '')
}

function build(parsed: ParsedConfig, { ofUpstreams, hostTls, authorities }: Secrets): WeirConfig {
  const { listen, tls, auth } = parsed
  return {
    listen,
    publicUrl: parsed.publicUrl ?? `http://localhost:${listen.port}`,
    tls: {
      listen: tls.listen,
      publicUrl: tls.publicUrl ?? `https://localhost:${tls.listen.port}`,
      ...(tls.certFile && tls.keyFile ? { certFile: tls.certFile, keyFile: tls.keyFile } : {}),
    },
    data: parsed.data,
    store: parsed.store,
    upstreams: parsed.upstreams.map((upstream, index) => {
      const { host, insecure, interval, limits } = upstream
      const login = loginOf(upstream, ofUpstreams.get(index))
      const rule = { host, insecure, ...(interval ? { intervalMs: interval } : {}), ...(limits && { limits }) }
      const tlsFiles = hostTls.get(index)
      return { ...rule, ...(tlsFiles && { tlsFiles }), ...(login && { login }) }
    }),
    imports: buildImports(parsed.imports),
    content: buildContent(parsed.content),
    uploads: buildUploads(parsed.uploads),
    auth: {
      tokenLifetimeMs: auth.tokenLifetime,
      maxTokenLifetimeMs: auth.maxTokenLifetime,
      ...(auth.issuer ? { issuer: auth.issuer } : {}),
      loginLifetimeMs: auth.loginLifetime,
      sessionLifetimeMs: auth.sessionLifetime,
      ...(auth.htpasswdFile ? { htpasswdFile: auth.htpasswdFile } : {}),
      issuers: auth.issuers.map((issuer, index) => buildIssuer(issuer, auth.sessionLifetime, authorities.get(index))),
    },
    trustedProxies: parsed.trustedProxies,
    audit: parsed.audit,
    log: parsed.log,
  }
}

function buildImports({ interval, ...rest }: ParsedConfig['imports']): WeirConfig['imports'] {
  return { ...rest, intervalMs: interval }
}

function buildContent(parsed: ParsedConfig['content']): WeirConfig['content'] {
  const { retain, platforms, historyKeep, historyKeepDays, move, pruneInterval, ...limits } = parsed
  return {
    policy: { retain, platforms, historyKeep, historyKeepDays, move },
    ...limits,
    pruneIntervalMs: pruneInterval,
  }
}

function buildUploads({ expireAfter, ...limits }: ParsedConfig['uploads']): UploadLimits {
  return { expireAfterMs: expireAfter, ...limits }
}

function buildIssuer(
  parsed: ParsedConfig['auth']['issuers'][number],
  sessionLifetimeMs: number,
  certificateAuthority: string | undefined,
): OidcIssuer {
  const { name, issuer, discoveryUrl, audiences, username, groups, requiredClaims, clientId, scopes } = parsed
  return {
    name,
    issuer,
    ...(discoveryUrl ? { discoveryUrl } : {}),
    audiences,
    ...(certificateAuthority === undefined ? {} : { certificateAuthority }),
    username: { claim: username.claim, prefix: username.prefix ?? `${name}:` },
    groups: groups.map(({ claim, prefix }) => ({ claim, prefix: prefix ?? `${name}:` })),
    requiredClaims,
    sessionLifetimeMs: parsed.sessionLifetime ?? sessionLifetimeMs,
    ...(clientId ? { clientId } : {}),
    scopes,
  }
}
