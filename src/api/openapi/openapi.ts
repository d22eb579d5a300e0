import { createHash } from 'node:crypto'
import { RegistryError } from '../../oci/errors.ts'
import { noSuchResource } from '../match.ts'
import { parseAccept } from '../negotiate.ts'
import type { Resource } from '../resource.ts'
import { documentOf, pathOf } from './document.ts'

/** A document as it is answered. */
interface Served {
  text: string
  hash: string
}

const root = '/openapi/v3'
const jsonTypes = ['application/json', 'application/*', '*/*']
const yearMs = 365 * 24 * 60 * 60 * 1000

/**
 * Creates what answers requests below `/openapi/`: at `/openapi/v3` the index of documents, each of them at the address
 * that the index has. They are made when somebody asks first.
 *
 * @throws RegistryError NOT_FOUND, UNSUPPORTED, NOT_ACCEPTABLE
 * @see https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
 */
export function createOpenApi(table: readonly Resource[], now: () => number): (request: Request) => Response {
  let index: Served | undefined
  let documents: ReadonlyMap<string, Served> | undefined

  function find(path: string): Served | undefined {
    documents ??= documentsOf(table)
    index ??= served(indexOf(documents))
    return path === '' ? index : documents.get(path)
  }

  return (request) => {
    const { pathname, searchParams } = new URL(request.url)
    const path = pathname.replace(/\/$/, '')
    const isBelow = path === root || path.startsWith(`${root}/`)
    const found = isBelow ? find(path.slice(root.length + 1)) : undefined
    if (found === undefined) throw noSuchResource()
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw new RegistryError('UNSUPPORTED', { message: `${request.method} is not served for ${root}` })
    }
    requireJson(request.headers.get('accept'))
    const hash = searchParams.get('hash')
    if (hash && hash !== found.hash && found !== index) {
      return new Response(null, { status: 301, headers: { location: `${path}?hash=${found.hash}` } })
    }
    const etag = `"${found.hash}"`
    // With the hash the address names the content, which then never changes.
    const caching: Record<string, string> =
      hash && found !== index
        ? { 'cache-control': 'public, immutable', expires: new Date(now() + yearMs).toUTCString() }
        : { 'cache-control': 'no-cache' }
    const headers = { etag, vary: 'accept', ...caching }
    if (hasTag(request.headers.get('if-none-match'), etag)) return new Response(null, { status: 304, headers })
    return new Response(found.text, { headers: { ...headers, 'content-type': 'application/json' } })
  }
}

function documentsOf(table: readonly Resource[]): ReadonlyMap<string, Served> {
  const rows = Map.groupBy(table, pathOf)
  return new Map([...rows].map(([path, each]) => [path, served(documentOf(each))]))
}

function indexOf(documents: ReadonlyMap<string, Served>): object {
  const paths = [...documents].sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    paths: Object.fromEntries(
      paths.map(([path, { hash }]) => [path, { serverRelativeURL: `${root}/${path}?hash=${hash}` }]),
    ),
  }
}

function served(document: object): Served {
  const text = JSON.stringify(document)
  return { text, hash: createHash('sha256').update(text).digest('hex').toUpperCase() }
}

// Clients ask for protobuf first, and take JSON.
function requireJson(accept: string | null): void {
  const ranges = parseAccept(accept)
  if (ranges.length === 0 || ranges.some(({ type }) => jsonTypes.includes(type))) return
  throw new RegistryError('NOT_ACCEPTABLE', {
    message: 'only the following media types are accepted: application/json',
  })
}

function hasTag(ifNoneMatch: string | null, etag: string): boolean {
  return (ifNoneMatch ?? '').split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag || tag.trim() === '*')
}
