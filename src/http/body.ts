import { RegistryError } from '../oci/errors.ts'

/**
 * Reads a whole request body. The bytes are counted: a chunked body says no length, and a length that is said need not be true.
 *
 * @throws RegistryError TOO_LARGE
 */
export async function readBody(request: Request, maxBytes: number): Promise<Buffer> {
  const tooLarge = () => new RegistryError('TOO_LARGE', { message: `the body has more than ${maxBytes} bytes` })
  if (Number(request.headers.get('content-length')) > maxBytes) throw tooLarge()
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of request.body ?? []) {
    length += piece.length
    if (length > maxBytes) throw tooLarge()
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
