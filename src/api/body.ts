import { parse as parseYaml } from 'yaml'
import type { ZodType } from 'zod'
import { RegistryError } from '../oci/errors.ts'

/** Most bytes of a request body. */
export const maxBodyBytes = 4 * 1024 * 1024

/** Most bytes of a body that is read before its sender's right is known, of any in YAML and of DeleteOptions. */
export const maxSmallBodyBytes = 64 * 1024

const maxDepth = 100

/**
 * Reads the object that a request carries, as JSON or YAML; undefined when there is no body.
 *
 * @param maxBytes at most {@link maxSmallBodyBytes} for YAML, whatever is given here
 * @throws RegistryError TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST
 */
export async function readBody(
  request: Request,
  maxBytes = maxBodyBytes,
): Promise<Record<string, unknown> | undefined> {
  const format = bodyFormat(request.headers.get('content-type'))
  // YAML costs a thousand times what JSON does: 64 KiB of it are parsed in about 0.1 s.
  const bytes = await readBytes(request, format === 'yaml' ? Math.min(maxBytes, maxSmallBodyBytes) : maxBytes)
  if (bytes.length === 0) return undefined
  const text = decodeText(bytes)
  const value = format === 'yaml' ? parseYamlText(text) : parseJsonText(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RegistryError('BAD_REQUEST', { message: 'the body is not an object' })
  }
  requireShallow(value)
  return { ...value }
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

function bodyFormat(contentType: string | null): 'json' | 'yaml' {
  const type = (contentType ?? 'application/json').split(';', 1)[0]?.trim().toLowerCase()
  if (type === 'application/json' || type === '') return 'json'
  if (type === 'application/yaml') return 'yaml'
  const isProtobuf = type === 'application/vnd.kubernetes.protobuf'
  throw new RegistryError('UNSUPPORTED_MEDIA_TYPE', {
    message: `the body of the request was in an unsupported format (${type?.slice(0, 100)}); accepted are application/json and application/yaml${
      isProtobuf ? '; protobuf is not served yet' : ''
    }`,
  })
}

async function readBytes(request: Request, maxBytes: number): Promise<Buffer> {
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

function tooLarge(maxBytes: number): RegistryError {
  return new RegistryError('TOO_LARGE', {
    message: `the body is larger than ${maxBytes} bytes, the most for this request`,
  })
}

// What answers or stores an object descends into it, and a stack has an end.
function requireShallow(body: object): void {
  let level: object[] = [body]
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > maxDepth) {
      throw new RegistryError('BAD_REQUEST', { message: `the body is nested deeper than ${maxDepth} levels` })
    }
    level = level.flatMap((each) => Object.values(each)).filter((each) => typeof each === 'object' && each !== null)
  }
}

function decodeText(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new RegistryError('BAD_REQUEST', { message: 'the body is not UTF-8' })
  }
}

function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message quotes the body, which may hold a secret.
    throw new RegistryError('BAD_REQUEST', { message: 'the body is not JSON' })
  }
}

function parseYamlText(text: string): unknown {
  try {
    // The parser's search for double keys and its quoting of every error take time that grows with the square of the text.
    return parseYaml(text, { maxAliasCount: 100, uniqueKeys: false, prettyErrors: false, logLevel: 'error' })
  } catch {
    throw new RegistryError('BAD_REQUEST', { message: 'the body is not YAML of one document' })
  }
}
