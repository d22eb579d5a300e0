import { access } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { delimiter, join, resolve } from 'node:path'
import { CliError, misuse } from './failures.ts'
import { type KubeconfigServer, readKubeconfig, readText } from './kubeconfig.ts'

/** The flags that every verb takes. */
export interface ServerFlags {
  server?: string
  token?: string
  /** A PEM file. */
  certificateAuthority?: string
  insecureSkipTlsVerify?: boolean
  kubeconfig?: string
}

/** The process's surroundings, by argument so that tests have their own. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>
  cwd: string
  home: string
}

/** A server, and how to trust it and be known to it. */
export interface Server {
  /** `https://host:port`, perhaps with a path, without a slash at its end. */
  url: string
  /** Where the address was found, for messages: `--server`, `data/admin.kubeconfig`. */
  from: string
  token?: { value: string; from: string }
  /** PEM; absent: what the system trusts. */
  certificateAuthority?: string
  insecureSkipTlsVerify: boolean
  tlsServerName?: string
}

/** The kubeconfig that a first start writes, seen from where `weir serve` was started. */
export const adminKubeconfig = join('data', 'admin.kubeconfig')

interface Found extends KubeconfigServer {
  from: string
}

/**
 * Finds the server of a command: `--server`, `WEIR_SERVER`, `--kubeconfig`, `KUBECONFIG` (the first file of its list that
 * exists), `./data/admin.kubeconfig`, `~/.kube/config`. A token goes only to the server that it was given with: `--token`
 * to any, `WEIR_TOKEN` to `WEIR_SERVER` or, where that is not set, to any; a kubeconfig's to the kubeconfig's server.
 *
 * @throws CliError that says what was looked for, and where
 */
export async function findServer(flags: ServerFlags, surroundings: Surroundings): Promise<Server> {
  const found = await findAddress(flags, surroundings)
  const url = parseServerUrl(found.server, found.from)
  const token = findToken(flags, surroundings.env, url, found)
  const certificateAuthority =
    flags.certificateAuthority === undefined
      ? found.certificateAuthority
      : await readText(resolve(surroundings.cwd, flags.certificateAuthority), flags.certificateAuthority)
  if (token !== undefined) refuseToLeak(url, `the token of ${token.from}`)
  return {
    url,
    from: found.from,
    insecureSkipTlsVerify: flags.insecureSkipTlsVerify ?? found.insecureSkipTlsVerify,
    ...(token === undefined ? {} : { token }),
    ...(certificateAuthority === undefined ? {} : { certificateAuthority }),
    ...(found.tlsServerName === undefined ? {} : { tlsServerName: found.tlsServerName }),
  }
}

async function findAddress(flags: ServerFlags, { env, cwd, home }: Surroundings): Promise<Found> {
  if (flags.server !== undefined) return { server: flags.server, from: '--server', insecureSkipTlsVerify: false }
  if (env.WEIR_SERVER) return { server: env.WEIR_SERVER, from: 'WEIR_SERVER', insecureSkipTlsVerify: false }
  const shown = await findKubeconfig(flags.kubeconfig, env.KUBECONFIG, cwd, home)
  if (shown === undefined) {
    throw new CliError(`no server is named: there is neither ${adminKubeconfig} here nor ~/.kube/config`, {
      hints: [
        'start one with `npm start` and run weir in the same folder, or name its kubeconfig: export KUBECONFIG=data/admin.kubeconfig',
        'or give --server https://HOST:PORT and --token TOKEN (WEIR_SERVER, WEIR_TOKEN)',
      ],
    })
  }
  return { ...(await readKubeconfig(resolve(cwd, shown), shown)), from: shown }
}

async function findKubeconfig(
  flag: string | undefined,
  list: string | undefined,
  cwd: string,
  home: string,
): Promise<string | undefined> {
  if (flag !== undefined) return flag
  const listed = (list ?? '').split(delimiter).filter((entry) => entry !== '')
  const candidates = listed.length > 0 ? listed : [adminKubeconfig, join(home, '.kube', 'config')]
  for (const candidate of candidates) if (await exists(resolve(cwd, candidate))) return candidate
  if (listed.length === 0) return undefined
  throw new CliError(`KUBECONFIG names ${listed.join(' and ')}, and there is no such file`, {
    hints: ['the first start of a server (`npm start`) writes data/admin.kubeconfig'],
  })
}

// A file that can not be looked at is not taken for a missing one: the next could name another server.
async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    ({ code }: NodeJS.ErrnoException) => code !== 'ENOENT' && code !== 'ENOTDIR',
  )
}

/** Parses `https://HOST:PORT`, which `from` gave; without a scheme it is HTTPS. @throws CliError misuse */
export function parseServerUrl(value: string, from: string): string {
  const address = value.includes('://') ? value : `https://${value}`
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.search !== '' || url.hash !== '') {
    throw misuse(`${from}: "${value}" is not the address of a server, such as https://localhost:5443`)
  }
  if (url.username !== '' || url.password !== '') {
    throw misuse(`${from}: a server's address has no login in it; give a token with --token or WEIR_TOKEN`)
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

function findToken(flags: ServerFlags, env: Surroundings['env'], url: string, found: Found): Server['token'] {
  const own = env.WEIR_SERVER
  const isForThis = !own || parseServerUrl(own, 'WEIR_SERVER') === url
  // A script's unset variable must not turn into the administrator's token of some kubeconfig.
  if (flags.token?.trim() === '') throw misuse('--token is empty')
  const candidates = [
    { value: flags.token, from: '--token' },
    { value: isForThis ? env.WEIR_TOKEN : undefined, from: 'WEIR_TOKEN' },
    { value: found.token, from: found.from },
  ]
  for (const { value, from } of candidates) {
    if (value === undefined || value === '') continue
    if (!/^[\x21-\x7e]+$/.test(value.trim()))
      throw new CliError(`the token of ${from} has characters that no token has`)
    return { value: value.trim(), from }
  }
  return undefined
}

/** Refuses to send `what` where others could read it. @throws CliError */
export function refuseToLeak(url: string, what: string): void {
  if (isPrivateChannel(new URL(url))) return
  throw new CliError(`${what} is not sent to ${url}: plain HTTP would show it to the network`, {
    hints: ["use the server's https:// address (port 5443 unless configured otherwise)"],
  })
}

/** Whether what is sent there is for the other end alone: HTTPS, or plain HTTP to this machine. */
export function isPrivateChannel({ protocol, hostname }: URL): boolean {
  if (protocol === 'https:') return true
  const isLoopback =
    hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
  return protocol === 'http:' && isLoopback
}
