/** Small files that are there whole or not at all. */
import { randomUUID } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'

/** The text of a file; undefined when there is none. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Puts a file in place with its mode, over what was there. */
export async function replaceFile(file: string, content: string, mode: number): Promise<void> {
  const draft = `${file}.${randomUUID()}.tmp`
  // Where others may write the directory, a link planted under the draft's name would receive the secret.
  await writeFile(draft, content, { mode, flag: 'wx' })
  await rename(draft, file)
}
