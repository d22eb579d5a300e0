import type { IncomingHttpHeaders } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { maxManifestBytes } from '../oci/media-types.ts'
import { headerOf } from './headers.ts'

/** A body as it came and, if it came compressed, unasked, as it was before; no longer than a manifest may be. */
export function decodings(headers: IncomingHttpHeaders, body: Buffer): Buffer[] {
  const encoding = headerOf(headers, 'content-encoding')
  if (encoding !== 'gzip' && encoding !== 'x-gzip') return [body]
  try {
    return [gunzipSync(body, { maxOutputLength: maxManifestBytes }), body]
  } catch {
    return [body]
  }
}

/** The JSON object that a body is; undefined when it is something else. */
export function jsonObject(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
