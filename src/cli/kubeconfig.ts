import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import { CliError } from './failures.ts'

/** What a kubeconfig's current context says of its server. */
export interface KubeconfigServer {
  server: string
  token?: string
  /** PEM. */
  certificateAuthority?: string
  insecureSkipTlsVerify: boolean
  /** The name to be expected in the server's certificate instead of the address's host. */
  tlsServerName?: string
}

type Fields = Record<string, unknown>

const unreadable: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
}

/**
 * Reads the current context of the kubeconfig `file`, which messages call `shown`. Relative paths inside are relative to the file.
 *
 * @throws CliError that names the file and the field
 * @see https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
export async function readKubeconfig(file: string, shown: string): Promise<KubeconfigServer> {
  const root = parseFields(await readText(file, shown), shown)
  const contextName = text(root, 'current-context')
  if (contextName === undefined) {
    throw new CliError(`${shown} has no current-context`, {
      hints: ['choose one with `kubectl config use-context NAME`, or name the server with --server'],
    })
  }
  const context = named(root, 'contexts', 'context', contextName, shown)
  const cluster = named(root, 'clusters', 'cluster', text(context, 'cluster') ?? '', shown)
  const userName = text(context, 'user')
  const user = userName === undefined ? {} : named(root, 'users', 'user', userName, shown)
  const server = text(cluster, 'server')
  if (server === undefined) throw new CliError(`${shown}: the cluster of context "${contextName}" has no server`)
  const tlsServerName = text(cluster, 'tls-server-name')
  const token = await readToken(user, userName ?? '', file, shown)
  const certificateAuthority = await readCertificateAuthority(cluster, file, shown)
  return {
    server,
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'] === true,
    ...(token === undefined ? {} : { token }),
    ...(certificateAuthority === undefined ? {} : { certificateAuthority }),
    ...(tlsServerName === undefined ? {} : { tlsServerName }),
  }
}

/** Reads a text file. @throws CliError that names `shown` */
export async function readText(file: string, shown: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException
    throw new CliError(`can not read ${shown}: ${unreadable[code] ?? code}`, { cause })
  }
}

function parseFields(content: string, shown: string): Fields {
  let root: unknown
  try {
    root = parse(content)
  } catch (cause) {
    throw new CliError(`${shown} is not YAML`, { cause })
  }
  if (!isFields(root)) throw new CliError(`${shown} is not a kubeconfig`)
  return root
}

function named(root: Fields, list: string, field: string, name: string, shown: string): Fields {
  const entries: unknown = root[list]
  const entry = Array.isArray(entries)
    ? entries.filter(isFields).find((candidate) => candidate.name === name)
    : undefined
  const value = entry?.[field]
  if (!isFields(value)) throw new CliError(`${shown}: ${list} has no "${name}"`)
  return value
}

// client-go reads the file again and again and lets it win over a token written beside it.
async function readToken(user: Fields, userName: string, file: string, shown: string): Promise<string | undefined> {
  const tokenFile = text(user, 'tokenFile')
  if (tokenFile !== undefined) return (await readText(resolve(dirname(file), tokenFile), tokenFile)).trim()
  const token = text(user, 'token')
  if (token !== undefined) return token.trim()
  const other = ['exec', 'auth-provider', 'client-certificate', 'client-certificate-data', 'username'].find(
    (field) => user[field] !== undefined && user[field] !== null,
  )
  if (other === undefined) return undefined
  throw new CliError(`${shown}: user "${userName}" logs in by ${other}, and weir knows token and tokenFile alone`, {
    hints: ['name another kubeconfig with --kubeconfig, or give --server and --token'],
  })
}

async function readCertificateAuthority(cluster: Fields, file: string, shown: string): Promise<string | undefined> {
  const data = text(cluster, 'certificate-authority-data')
  if (data !== undefined) {
    const pem = Buffer.from(data, 'base64').toString('utf8')
    if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
      throw new CliError(`${shown}: certificate-authority-data is not a certificate in base64`)
    }
    return pem
  }
  const path = text(cluster, 'certificate-authority')
  return path === undefined ? undefined : readText(resolve(dirname(file), path), path)
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function text(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}
