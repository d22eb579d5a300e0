import { createHash, randomFillSync } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { nginx } from '../interop/install.ts'
import { answers, freePort, type Service, startService } from '../interop/support/process.ts'

/** A blob of the upstream's repository `lib/app`, and the image whose one layer it is. */
export interface Blob {
  digest: string
  bytes: number
  tag: string
}

/** What was asked of the upstream's blob. */
export interface Asked {
  method: string
  status: number
  /** Of the body; none of a HEAD. */
  sentBytes: number
  range: string | undefined
}

export function sentBytes(asked: readonly Asked[]): number {
  return asked.reduce((sum, one) => sum + one.sentBytes, 0)
}

/** nginx with a registry's answers as static files: the upstream of the others, and the floor beside them. */
export interface StaticUpstream extends Service {
  /** As fast as it goes. */
  fast: Door
  /** Each connection at `throttleBytesPerSecond`. */
  slow: Door
  /** Makes a blob that nobody has yet; the one before is gone then, unless it is kept. */
  publish(bytes: number, options?: { keep?: boolean }): Promise<Blob>
  /** Whether an answer is under way. */
  isSending(): Promise<boolean>
  /** Where a blob's bytes are. */
  fileOf(digest: string): string
}

export interface Door {
  /** `localhost:PORT`. */
  host: string
  url: string
  /** Finished requests for a blob since the start. */
  asked(blob: Blob): Promise<Asked[]>
}

export const throttleBytesPerSecond = 25_000_000

export async function startUpstream(directory: string): Promise<StaticUpstream> {
  const root = join(directory, 'upstream')
  const repository = join(root, 'v2/lib/app')
  await mkdir(join(repository, 'blobs'), { recursive: true })
  await mkdir(join(repository, 'manifests'), { recursive: true })
  const ports = { fast: await freePort(), slow: await freePort() }
  const config = join(directory, 'nginx.conf')
  await writeFile(config, nginxConfig(directory, root, ports))
  const service = await startService(nginx, ['-p', directory, '-c', config], {
    logFile: join(directory, 'nginx-start.log'),
    ready: () => answers(`http://127.0.0.1:${ports.fast}/v2/`),
  })
  const door = (name: 'fast' | 'slow'): Door => ({
    host: `localhost:${ports[name]}`,
    url: `http://127.0.0.1:${ports[name]}`,
    asked: (blob) => askedOf(join(directory, `${name}-access`), blob),
  })
  let last: string | undefined
  let count = 0
  return {
    ...service,
    fast: door('fast'),
    slow: door('slow'),
    async isSending() {
      const status = await (await fetch(`http://127.0.0.1:${ports.fast}/status`)).text()
      // The answer that tells it is one.
      return Number(/Writing: (\d+)/.exec(status)?.[1]) > 1
    },
    fileOf: (digest) => join(repository, 'blobs', digest),
    async publish(bytes, { keep = false } = {}) {
      count += 1
      const tag = `b${count}`
      const fresh = join(root, 'fresh')
      if (last !== undefined) await rename(last, fresh)
      await fill(fresh, bytes, tag)
      const digest = `sha256:${await hashOf(fresh)}`
      const path = join(repository, 'blobs', digest)
      await rename(fresh, path)
      last = keep ? undefined : path
      await publishImage(repository, { digest, bytes, tag })
      return { digest, bytes, tag }
    },
  }
}

function nginxConfig(directory: string, root: string, ports: { fast: number; slow: number }): string {
  const server = (name: 'fast' | 'slow', extra: string): string => `
  server {
    listen 127.0.0.1:${ports[name]};
    access_log ${directory}/${name}-access plain;
    root ${root};
    types {}
    default_type application/octet-stream;
    ${extra}
    location = /v2/ { return 200 '{}'; }
    location = /status { stub_status; access_log off; }
    location ~ /manifests/ { default_type application/vnd.oci.image.manifest.v1+json; }
  }`
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr error;
events {}
http {
  sendfile on;
  tcp_nopush on;
  ${temporary.map((name) => `${name}_temp_path ${directory}/nginx-${name};`).join('\n  ')}
  log_format plain '$request_method $uri $status $body_bytes_sent "$http_range"';
  ${server('fast', '')}
  ${server('slow', `limit_rate ${throttleBytesPerSecond};`)}
}
`
}

async function askedOf(log: string, { digest }: Blob): Promise<Asked[]> {
  const lines = (await readFile(log, 'utf8')).split('\n')
  return lines
    .filter((line) => line.includes(`/blobs/${digest} `))
    .map((line) => {
      const [method = '', , status, sent] = line.split(' ')
      const range = /"(.*)"$/.exec(line)?.[1]
      return { method, status: Number(status), sentBytes: Number(sent), range: range === '-' ? undefined : range }
    })
}

/** Random bytes, or of those that are there already the first anew. */
async function fill(path: string, bytes: number, stamp: string): Promise<void> {
  const file = await open(path, 'a+')
  const { size } = await file.stat()
  await file.close()
  if (size < bytes) await appendRandom(path, bytes - size)
  else await truncate(path, bytes)
  const again = await open(path, 'r+')
  await again.write(Buffer.from(`${stamp} of process ${process.pid} at ${Date.now()}\n`), 0, undefined, 0)
  await again.close()
}

async function appendRandom(path: string, bytes: number): Promise<void> {
  const out = createWriteStream(path, { flags: 'a' })
  const block = Buffer.alloc(4 * 1024 * 1024)
  for (let left = bytes; left > 0; left -= block.length) {
    const piece = randomFillSync(block).subarray(0, left)
    await new Promise((resolve) => out.write(piece, resolve))
  }
  await new Promise<void>((resolve) => out.end(resolve))
}

/** The sha256 of a file, in hex. */
export async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

async function publishImage(repository: string, { digest, bytes, tag }: Blob): Promise<void> {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: { Labels: { tag } } }))
  const configDigest = `sha256:${createHash('sha256').update(config).digest('hex')}`
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: configDigest, size: config.length },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: bytes }],
    }),
  )
  const manifestDigest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`
  await writeFile(join(repository, 'blobs', configDigest), config)
  await writeFile(join(repository, 'manifests', manifestDigest), manifest)
  await rm(join(repository, 'manifests', tag), { force: true })
  await writeFile(join(repository, 'manifests', tag), manifest)
}
