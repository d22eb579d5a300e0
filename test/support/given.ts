import type { BlobReader } from '../../src/content/content.ts'

/** What a reader gave before its end or its failure; it is closed then. */
export async function given(reader: BlobReader): Promise<{ bytes: Buffer; error?: unknown }> {
  const pieces: Buffer[] = []
  try {
    for (let piece = await reader.read(); piece !== undefined; piece = await reader.read()) {
      pieces.push(Buffer.from(piece))
    }
    return { bytes: Buffer.concat(pieces) }
  } catch (error) {
    return { bytes: Buffer.concat(pieces), error }
  } finally {
    reader.close()
  }
}
