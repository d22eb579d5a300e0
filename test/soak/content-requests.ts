/** What a client sends to a Weir, with as little as Node has. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { parse } from 'yaml'

export interface Connection {
  http: number
  https: number
  /** Of the admin. */
  token: string
  authority: Buffer
  /** Ends everything: Weir is gone. */
  signal: AbortSignal
}

/** The login of a Weir from its `admin.kubeconfig`. */
export async function readLogin(kubeconfig: string): Promise<Pick<Connection, 'token' | 'authority'>> {
  const { users, clusters } = parse(await readFile(kubeconfig, 'utf8'))
  return {
    token: String(users[0].user.token),
    authority: Buffer.from(clusters[0].cluster['certificate-authority-data'], 'base64'),
  }
}

export async function requestApi(
  { https: port, token, authority: ca, signal }: Connection,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const asked = requestHttps({ host: '127.0.0.1', port, ca, method, path, headers, signal, agent: false })
  asked.end(body === undefined ? undefined : JSON.stringify(body))
  const answer = await answered(asked)
  return { status: answer.statusCode ?? 0, body: JSON.parse((await readText(answer)) || '{}') }
}

export async function pullToken({ http, token, signal }: Connection, repository: string): Promise<string> {
  const query = new URLSearchParams({ service: `localhost:${http}`, scope: `repository:${repository}:pull` })
  const headers = { authorization: `Basic ${Buffer.from(`admin:${token}`).toString('base64')}` }
  const answer = await get({ port: http, path: `/token?${query}`, headers, signal })
  return (JSON.parse(await readText(answer)) as { token: string }).token
}

export interface Descriptor {
  digest: string
  size: number
}

/** undefined when there is none (yet). */
export async function pullManifest(
  { http, signal }: Connection,
  { repository, token, reference }: { repository: string; token: string; reference: string },
): Promise<{ config: Descriptor; layers: Descriptor[] } | undefined> {
  const headers = { authorization: `Bearer ${token}` }
  const answer = await get({ port: http, path: `/v2/${repository}/manifests/${reference}`, headers, signal })
  const text = await readText(answer)
  if (answer.statusCode === 404) return undefined
  if (answer.statusCode !== 200) throw new Error(`manifest ${repository}:${reference}: ${answer.statusCode} ${text}`)
  return JSON.parse(text)
}

/** Fetches a blob and hashes it. */
export async function pullBlob(
  { http, signal }: Connection,
  { repository, token, digest }: { repository: string; token: string; digest: string },
): Promise<{ status: number; digest: string; bytes: number }> {
  const headers = { authorization: `Bearer ${token}` }
  const answer = await get({ port: http, path: `/v2/${repository}/blobs/${digest}`, headers, signal })
  const hash = createHash('sha256')
  let bytes = 0
  for await (const piece of answer) {
    hash.update(piece)
    bytes += piece.length
  }
  return { status: answer.statusCode ?? 0, digest: `sha256:${hash.digest('hex')}`, bytes }
}

function get(options: {
  port: number
  path: string
  headers: Record<string, string>
  signal: AbortSignal
}): Promise<IncomingMessage> {
  const asked = requestHttp({ host: '127.0.0.1', agent: false, ...options })
  asked.end()
  return answered(asked)
}

function answered(asked: ReturnType<typeof requestHttp>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    asked.once('response', resolve)
    asked.once('error', reject)
  })
}

async function readText(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of answer) pieces.push(piece)
  return Buffer.concat(pieces).toString('utf8')
}
