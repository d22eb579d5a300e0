import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import { type Piece, piecesOf, type TestImage, type TestIndex } from '../../support/images.ts'
import { answers, freePort, type Service, startService } from './process.ts'

/** Debian's docker-registry as an upstream. */
export interface DockerRegistry extends Service {
  /** `localhost:PORT`, as users write it. */
  host: string
  url: string
  /** Pushes content and points `tag` at it. */
  put(repository: string, image: TestImage | TestIndex, tag: string): Promise<void>
}

export interface DockerRegistryOptions {
  proxyTo?: string
  /** Passwords by user name: nobody else is let in, and `put` comes as the first. Default: everybody is. */
  users?: Readonly<Record<string, string>>
  /** Where it tells of pushes, and with what Authorization header. */
  notify?: { url: string; authorization: string }
}

/** Starts it with its storage and its log in `directory`. */
export async function startDockerRegistry(
  directory: string,
  options: DockerRegistryOptions = {},
): Promise<DockerRegistry> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  await mkdir(join(directory, 'registry'), { recursive: true })
  const config = join(directory, 'registry.yaml')
  const proxy = options.proxyTo === undefined ? '' : `proxy: { remoteurl: "${options.proxyTo}" }\n`
  const users = Object.entries(options.users ?? {})
  const htpasswd = join(directory, 'registry.htpasswd')
  if (users.length > 0)
    await writeFile(htpasswd, users.map(([user, password]) => `${user}:${hashed(password)}\n`).join(''))
  const auth = users.length === 0 ? '' : `auth: { htpasswd: { realm: registry, path: ${htpasswd} } }\n`
  const { notify } = options
  const endpoint = notify && { name: 'weir', ...endpointTo(notify) }
  const notifications = endpoint === undefined ? '' : `notifications: ${JSON.stringify({ endpoints: [endpoint] })}\n`
  await writeFile(
    config,
    `version: 0.1\nlog: { level: error, accesslog: { disabled: true } }\nstorage: { filesystem: { rootdirectory: ${join(directory, 'registry')} }, delete: { enabled: true } }\nhttp: { addr: "127.0.0.1:${port}" }\n${proxy}${auth}${notifications}`,
  )
  const service = await startService('docker-registry', ['serve', config], {
    logFile: join(directory, 'registry.log'),
    // Its API asks for a login, where there are users.
    ready: () => answers(`${url}/`),
  })
  return {
    ...service,
    host: `localhost:${port}`,
    url,
    put: (repository, image, tag) => put({ url, headers: loginHeaders(users[0]) }, repository, image, tag),
  }
}

/** Without pulls and blobs, as its users are told to write it. */
function endpointTo({ url, authorization }: { url: string; authorization: string }) {
  const ignore = { actions: ['pull'], mediatypes: ['application/octet-stream'] }
  return { url, headers: { Authorization: [authorization] }, timeout: '5s', threshold: 3, backoff: '1s', ignore }
}

/** Where to put, with the login for it. */
interface Destination {
  url: string
  headers: Record<string, string>
}

/** As `htpasswd -B` writes it. */
function hashed(password: string): string {
  return hashSync(password, 4).replace(/^\$2b\$/, '$2y$')
}

function loginHeaders(user: [string, string] | undefined): Record<string, string> {
  return user === undefined ? {} : { authorization: `Basic ${Buffer.from(user.join(':')).toString('base64')}` }
}

async function put(to: Destination, repository: string, image: TestImage | TestIndex, tag: string): Promise<void> {
  const manifests = new Set(
    'children' in image ? [image.manifest, ...image.children.map((child) => child.manifest)] : [image.manifest],
  )
  for (const content of piecesOf(image)) {
    if (manifests.has(content)) await putManifest(to, repository, content, content.digest)
    else await putBlob(to, repository, content)
  }
  await putManifest(to, repository, image.manifest, tag)
}

async function putManifest(
  { url, headers }: Destination,
  repository: string,
  manifest: Piece,
  reference: string,
): Promise<void> {
  await expectStatus(201, `${url}/v2/${repository}/manifests/${reference}`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': manifest.mediaType },
    body: new Uint8Array(manifest.bytes),
  })
}

async function putBlob({ url, headers }: Destination, repository: string, blob: Piece): Promise<void> {
  const opened = await expectStatus(202, `${url}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers })
  const location = new URL(opened.headers.get('location') ?? '', url)
  location.searchParams.set('digest', blob.digest)
  await expectStatus(201, location.href, {
    method: 'PUT',
    headers: { ...headers, 'content-type': 'application/octet-stream' },
    body: new Uint8Array(blob.bytes),
  })
}

async function expectStatus(status: number, url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init)
  const body = await response.text()
  if (response.status !== status) throw new Error(`${init.method} ${url}: ${response.status} ${body}`)
  return response
}
