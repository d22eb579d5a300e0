import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { gunzipSync } from 'node:zlib'
import { parse } from 'yaml'

/** One request as oc sends it. */
export interface OcRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With its query. */
  path: string
  /** Default `typed`. */
  accept?: keyof typeof accepts | { header: string }
  /** Of a body that is not JSON. */
  contentType?: string
  body?: unknown
}

export interface OcAnswer {
  status: number
  contentType: string
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  body: any
}

/** Sends requests as oc does, with the token of one person. */
export interface Oc {
  send(request: OcRequest): Promise<OcAnswer>
}

/** What the parts of oc accept: see okd.md 6.2 and 6.3. */
export const accepts = {
  /** The clients of the image, project and user groups. */
  typed: 'application/json, */*',
  /** `get -o`, `describe` and all that takes any resource. */
  plain: 'application/json',
  /** `get` for people. */
  table:
    'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json',
  /** Current clients of the kinds that Kubernetes has. */
  protobuf: 'application/vnd.kubernetes.protobuf,application/json',
} as const

/** The releases whose requests are replayed. */
export const userAgents = {
  '4.13': 'oc/4.13.0 (linux/amd64) kubernetes/92b1a3d',
  current: 'oc/4.21.0 (linux/amd64) kubernetes/5f0c2a1',
} as const

/** Reads server and authority from a kubeconfig, and the token too unless another is given. */
export async function createOc(
  kubeconfig: string,
  { token, release = 'current' }: { token?: string | undefined; release?: keyof typeof userAgents } = {},
): Promise<Oc> {
  const config = parse(await readFile(kubeconfig, 'utf8')) as Kubeconfig
  const [{ cluster }, { user }] = [config.clusters[0], config.users[0]]
  const ca = Buffer.from(cluster['certificate-authority-data'], 'base64')
  return {
    send({ method, path, accept = 'typed', contentType, body }) {
      const payload = body === undefined ? undefined : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
      const headers = {
        accept: typeof accept === 'string' ? accepts[accept] : accept.header,
        'accept-encoding': 'gzip',
        'user-agent': userAgents[release],
        authorization: `Bearer ${token ?? user.token}`,
        ...(payload && { 'content-type': contentType ?? 'application/json', 'content-length': payload.length }),
      }
      return exchange(new URL(path, cluster.server), { method, headers, ca }, payload)
    },
  }
}

interface Kubeconfig {
  clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }]
  users: [{ user: { token: string } }]
}

function exchange(
  url: URL,
  options: { method: string; headers: Record<string, string | number>; ca: Buffer },
  payload: Buffer | undefined,
): Promise<OcAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => void chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const raw = Buffer.concat(chunks)
        const text = (response.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString('utf8')
        const contentType = response.headers['content-type'] ?? ''
        const body = contentType.startsWith('application/json') && text !== '' ? JSON.parse(text) : text
        resolve({ status: response.statusCode ?? 0, contentType, body })
      })
    })
    sent.on('error', reject)
    sent.end(payload)
  })
}

/**
 * An object as current clients of Kubernetes' own kinds send it: `k8s`, a zero byte, and `runtime.Unknown` with the
 * object's own message in it.
 */
export function protobufBody(apiVersion: string, kind: string, message: Buffer): Buffer {
  const typeMeta = Buffer.concat([field(1, Buffer.from(apiVersion)), field(2, Buffer.from(kind))])
  const parts = [field(1, typeMeta), field(2, message), field(3, Buffer.alloc(0)), field(4, Buffer.alloc(0))]
  return Buffer.concat([Buffer.from('k8s\0'), ...parts])
}

/** A length-delimited field of less than 128 bytes. */
export function field(number: number, value: Buffer): Buffer {
  if (value.length > 127) throw new TypeError('a field is too long for this')
  return Buffer.concat([Buffer.from([(number << 3) | 2, value.length]), value])
}
