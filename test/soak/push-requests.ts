/** What a client that pushes sends to a Weir, with as little as Node has. */
import { createHash } from 'node:crypto'
import { type IncomingMessage, request } from 'node:http'
import type { Connection, Descriptor } from './content-requests.ts'

/** A registry as one who may pull and push one repository sees it. */
export interface Pusher {
  connection: Connection
  repository: string
  token: string
}

export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
}

/** Sends what a path below `/v2/`, or one that Weir named in a Location, is asked. */
export function send(
  { connection: { http: port, signal }, token }: Pick<Pusher, 'connection' | 'token'>,
  method: string,
  path: string,
  { body, headers = {} }: { body?: Buffer; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const asked = request({
    host: '127.0.0.1',
    port,
    method,
    path,
    signal,
    agent: false,
    headers: { authorization: `Bearer ${token}`, 'content-length': body?.length ?? 0, ...headers },
  })
  asked.end(body)
  return new Promise((resolve, reject) => {
    asked.once('error', reject)
    asked.once('response', (answer) => {
      const pieces: Buffer[] = []
      answer.once('error', reject)
      answer.on('data', (piece: Buffer) => pieces.push(piece))
      answer.once('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(pieces) }),
      )
    })
  })
}

/** Opens a repository for the admin. */
export async function openPusher(connection: Connection, repository: string): Promise<Pusher> {
  const scope = `repository:${repository}:pull,push`
  const query = new URLSearchParams({ service: `localhost:${connection.http}`, scope })
  const authorization = `Basic ${Buffer.from(`admin:${connection.token}`).toString('base64')}`
  const answer = await send({ connection, token: '' }, 'GET', `/token?${query}`, { headers: { authorization } })
  if (answer.status !== 200) throw new Error(`token: ${answer.status} ${answer.body}`)
  return { connection, repository, token: (JSON.parse(answer.body.toString()) as { token: string }).token }
}

/** Whether a manifest and all that it names is there: nothing at all, all of it, or what is wrong with it. */
export type Closure = { state: 'absent' | 'whole' } | { state: 'broken'; faults: string[] }

interface Named {
  manifests?: Descriptor[]
  config?: Descriptor
  layers?: Descriptor[]
}

/** Pulls a manifest with all that it names, and compares every digest and size. */
export async function readClosure(pusher: Pusher, reference: string): Promise<Closure> {
  const path = `/v2/${pusher.repository}`
  const answer = await send(pusher, 'GET', `${path}/manifests/${reference}`)
  if (answer.status === 404) return { state: 'absent' }
  if (answer.status !== 200) return { state: 'broken', faults: [`manifest ${reference}: ${answer.status}`] }
  const faults: string[] = []
  const digest = digestOf(answer.body)
  if (reference.includes(':') && digest !== reference) faults.push(`manifest ${reference} gave ${digest}`)
  const { manifests = [], config, layers = [] } = JSON.parse(answer.body.toString()) as Named
  for (const child of manifests) {
    const closure = await readClosure(pusher, child.digest)
    if (closure.state === 'absent') faults.push(`${reference} names ${child.digest}, which is not there`)
    if (closure.state === 'broken') faults.push(...closure.faults)
  }
  for (const blob of config === undefined ? layers : [config, ...layers]) {
    const { status, body } = await send(pusher, 'GET', `${path}/blobs/${blob.digest}`)
    const isRight = status === 200 && body.length === blob.size && digestOf(body) === blob.digest
    if (!isRight) faults.push(`${reference} names ${blob.digest}: ${status}, ${body.length} of ${blob.size} bytes`)
  }
  return faults.length === 0 ? { state: 'whole' } : { state: 'broken', faults }
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
