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

/** The older version's document: how clients ask for it, and what they take it for, as `@` is no part of a media type. */
const v2Asked = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'
const v2Type = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'

/** An `openapi.v2.Document` of nothing but its field 1, `swagger`: "2.0". */
const emptyV2Document = Buffer.from('\n\x032.0')

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
    const accept = request.headers.get('accept')
    if (path === '/openapi/v2' && parseAccept(accept).some(({ type }) => type === v2Asked || type === v2Type))
      return answerV2()
    const isBelow = path === root || path.startsWith(`${root}/`)
    const found = isBelow ? find(path.slice(root.length + 1)) : undefined
    if (found === undefined) throw noSuchResource()
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw new RegistryError('UNSUPPORTED', { message: `${request.method} is not served for ${root}` })
    }
    requireJson(accept)
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

// kubectl looks into it, and stops where there is none, for a `List` and, up to 1.28, for every object. What it finds no
// schema for, it leaves to the server.
function answerV2(): Response {
  return new Response(emptyV2Document, { headers: { 'content-type': v2Type, 'cache-control': 'no-cache' } })
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
