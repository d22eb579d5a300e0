import type { ZodType } from 'zod'
import { RegistryError } from '../oci/errors.ts'
import { type Document, parseJson, parseYaml } from './document.ts'

/** Most bytes of a request body. */
export const maxBodyBytes = 4 * 1024 * 1024

/** Most bytes of a body that is read before its sender's right is known, of any in YAML and of DeleteOptions. */
export const maxSmallBodyBytes = 64 * 1024

/** Most bytes of a body in protobuf, which unfolds to many times its size. */
const maxProtobufBytes = 1024 * 1024

const protobufType = 'application/vnd.kubernetes.protobuf'

/** An object as somebody sent it. */
export interface Body {
  object: Record<string, unknown>
  /** Paths of fields that stand twice in one object, of which the last counts. Looked for when asked. */
  duplicates(): string[]
}

/**
 * Reads the object that a request carries, as JSON, YAML or Kubernetes' protobuf; undefined when there is no body.
 *
 * @param maxBytes at most {@link maxSmallBodyBytes} for YAML and 1 MiB for protobuf, whatever is given here
 * @throws RegistryError TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST
 */
export async function readBody(request: Request, maxBytes = maxBodyBytes): Promise<Body | undefined> {
  const format = bodyFormat(request.headers.get('content-type'))
  const bytes = await readBytes(request, Math.min(maxBytes, mostBytes[format]))
  if (bytes.length === 0) return undefined
  const { value, duplicates } = await parsers[format](bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RegistryError('BAD_REQUEST', { message: 'the body is not an object' })
  }
  return { object: { ...value }, duplicates }
}

/**
 * Reads the bytes that a request carries; none when there is no body.
 *
 * @throws RegistryError TOO_LARGE, UNSUPPORTED_MEDIA_TYPE for a body that is compressed
 */
export async function readBytes(request: Request, maxBytes: number): Promise<Buffer> {
  const encoding = (request.headers.get('content-encoding') ?? '').trim().toLowerCase()
  if (encoding !== '' && encoding !== 'identity') {
    throw new RegistryError('UNSUPPORTED_MEDIA_TYPE', {
      message: `a body with Content-Encoding ${encoding.slice(0, 40)} is not served; send it as it is`,
    })
  }
  if (Number(request.headers.get('content-length')) > maxBytes) throw tooLarge(maxBytes)
  const pieces: Uint8Array[] = []
  let length = 0
  // A chunked body has no Content-Length, and a wrong one is not believed: the bytes are counted.
  for await (const piece of request.body ?? []) {
    length += piece.length
    if (length > maxBytes) throw tooLarge(maxBytes)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/**
 * Gives `body` the shape of `schema`.
 *
 * @throws RegistryError BAD_REQUEST naming the fields of the wrong type
 */
export function parseObject<T>(schema: ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(({ path, message }) => `${formatPath(path)}: ${message}`)
  throw new RegistryError('BAD_REQUEST', {
    message: `the object has a wrong shape: ${problems.slice(0, 10).join('; ')}`,
  })
}

/** `spec.images[0].from`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`))
    .join('')
}

type BodyFormat = 'json' | 'yaml' | 'protobuf'

// YAML costs a thousand times what JSON does: 64 KiB of it are parsed in about 0.1 s.
const mostBytes = { json: maxBodyBytes, yaml: maxSmallBodyBytes, protobuf: maxProtobufBytes }

const parsers: Record<BodyFormat, (bytes: Buffer) => Document | Promise<Document>> = {
  json: parseJson,
  yaml: parseYaml,
  protobuf: async (bytes) => {
    // Few ever send it, and the decoder takes memory.
    const { decodeProtobuf } = await import('./protobuf/decode.ts')
    return { value: decodeProtobuf(bytes), duplicates: () => [] }
  },
}

/** The media type of a Content-Type header, without its parameters. */
export function mediaType(contentType: string | null): string {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

function bodyFormat(contentType: string | null): BodyFormat {
  const type = mediaType(contentType)
  if (type === 'application/json' || type === '') return 'json'
  if (type === 'application/yaml') return 'yaml'
  if (type === protobufType) return 'protobuf'
  throw new RegistryError('UNSUPPORTED_MEDIA_TYPE', {
    message: `the body of the request was in an unsupported format (${type.slice(0, 100)}); accepted are application/json, application/yaml and ${protobufType}`,
  })
}

function tooLarge(maxBytes: number): RegistryError {
  return new RegistryError('TOO_LARGE', {
    message: `the body is larger than ${maxBytes} bytes, the most for this request`,
  })
}
