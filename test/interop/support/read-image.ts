import { digestOf } from '../../../src/oci/digest.ts'
import type { Login } from './clients.ts'
import type { RunningWeir } from './weir.ts'

/** All that an image consists of, as a registry gave it; each digest was compared. */
export interface ReadImage {
  digest: string
  mediaType: string
  /** Bytes by digest: the manifests, and what they name. */
  manifests: ReadonlyMap<string, Buffer>
  blobs: ReadonlyMap<string, Buffer>
}

interface Named {
  digest: string
  size: number
}

/** A registry as one login sees one repository of it. */
export interface Repository {
  /** Asks for a path below `/v2/NAME/`. */
  request(path: string, init?: RequestInit): Promise<Response>
}

/** Gets a token as clients do, for all that the login may do there. */
export async function openRepository(
  weir: Pick<RunningWeir, 'host' | 'url'>,
  name: string,
  { username, password }: Login,
): Promise<Repository> {
  const query = new URLSearchParams({ service: weir.host, scope: `repository:${name}:pull,push,delete` })
  const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  const answer = await fetch(`${weir.url}/token?${query}`, { headers: { authorization: basic } })
  const { token } = (await answer.json()) as { token: string }
  return {
    request: (path, init = {}) =>
      fetch(`${weir.url}/v2/${name}/${path}`, {
        ...init,
        headers: { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string> | undefined) },
      }),
  }
}

/**
 * Reads an image whole, children and all.
 *
 * @throws Error when something of it is not there, or other than its digest and size say
 */
export async function readImage(repository: Repository, reference: string): Promise<ReadImage> {
  const manifests = new Map<string, Buffer>()
  const blobs = new Map<string, Buffer>()
  const get = async (path: string): Promise<Response> => {
    const answer = await repository.request(path, { headers: { accept: '*/*' } })
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return answer
  }
  const readManifest = async (path: string): Promise<{ digest: string; mediaType: string }> => {
    const answer = await get(`manifests/${path}`)
    const bytes = Buffer.from(await answer.arrayBuffer())
    const digest = digestOf(bytes)
    if (answer.headers.get('docker-content-digest') !== digest) throw new Error(`${path} is other than its digest`)
    manifests.set(digest, bytes)
    const parsed = JSON.parse(bytes.toString()) as { manifests?: Named[]; config?: Named; layers?: Named[] }
    for (const child of parsed.manifests ?? []) {
      const { digest: read } = await readManifest(child.digest)
      if (read !== child.digest) throw new Error(`${child.digest} gave ${read}`)
    }
    for (const blob of [parsed.config, ...(parsed.layers ?? [])]) if (blob !== undefined) await readBlob(blob)
    return { digest, mediaType: answer.headers.get('content-type') ?? '' }
  }
  const readBlob = async ({ digest, size }: Named): Promise<void> => {
    const bytes = Buffer.from(await (await get(`blobs/${digest}`)).arrayBuffer())
    if (digestOf(bytes) !== digest || bytes.length !== size) throw new Error(`${digest} has other bytes`)
    blobs.set(digest, bytes)
  }
  return { ...(await readManifest(reference)), manifests, blobs }
}
