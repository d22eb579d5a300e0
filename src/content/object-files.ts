import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Digest, digestAlgorithm, digestHex } from '../oci/digest.ts'

/**
 * Files by digest, `<directory>/<algorithm>/<2 hex>/<hex>`, and small notes beside them. What a method wrote is durable
 * when it returns (I6): a crash leaves whole files, and pieces only in `<directory>/tmp`.
 */
export interface ObjectFiles {
  /** The bytes as they are on disk, unverified; undefined when there are none. */
  read(digest: Digest): Promise<Buffer | undefined>
  write(digest: Digest, bytes: Buffer): Promise<void>
  /** The lines noted beside a digest; a line that a crash cut short is among them. */
  notes(digest: Digest): Promise<string[]>
  addNote(digest: Digest, line: string): Promise<void>
  /** Writes the notes of a digest again as they are: as much work as adding one. There must be some. */
  rewriteNotes(digest: Digest): Promise<void>
}

/** Opens the directory, which is made when absent, and clears away what a crash left unfinished. */
export async function openObjectFiles(directory: string): Promise<ObjectFiles> {
  const unfinished = join(directory, 'tmp')
  await mkdir(unfinished, { recursive: true })
  for (const name of await readdir(unfinished)) await rm(join(unfinished, name), { force: true })
  await Promise.all(['sha256', 'sha512'].map((algorithm) => mkdir(join(directory, algorithm), { recursive: true })))
  await syncDirectory(directory)
  await syncDirectory(dirname(directory))

  const shards = new Map<string, Promise<void>>()

  /** The path of a digest, in a directory that is durably there. */
  async function makePath(digest: Digest): Promise<string> {
    const path = pathOf(directory, digest)
    const shard = dirname(path)
    const made = shards.get(shard) ?? makeDirectory(shard)
    shards.set(shard, made)
    await made.catch((error: unknown) => {
      shards.delete(shard)
      throw error
    })
    return path
  }

  return {
    read: (digest) => unlessAbsent(readFile(pathOf(directory, digest))),
    async write(digest, bytes) {
      const path = await makePath(digest)
      // Also what is there already: the time that it takes must not tell that another stream has it (I5).
      await replaceFile(path, join(unfinished, randomUUID()), bytes)
      await syncDirectory(dirname(path))
    },
    async notes(digest) {
      const text = await unlessAbsent(readFile(notesOf(pathOf(directory, digest)), 'ascii'))
      return text?.split('\n') ?? []
    },
    async addNote(digest, line) {
      // The line break before it ends a line that a crash cut short.
      await writeNotes(await makePath(digest), 'a', `\n${line}\n`)
    },
    async rewriteNotes(digest) {
      // Every note begins with a line break, the first one too.
      await writeNotes(await makePath(digest), 'r+', '\n')
    },
  }
}

function pathOf(directory: string, digest: Digest): string {
  const hex = digestHex(digest)
  return join(directory, digestAlgorithm(digest), hex.slice(0, 2), hex)
}

function notesOf(path: string): string {
  return `${path}.locations`
}

async function writeNotes(path: string, flags: 'a' | 'r+', text: string): Promise<void> {
  const file = await open(notesOf(path), flags)
  try {
    await file.appendFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await syncDirectory(dirname(path))
}

async function replaceFile(path: string, temporary: string, bytes: Buffer): Promise<void> {
  try {
    await writeFile(temporary, bytes, { flag: 'wx', flush: true })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true })
  await syncDirectory(dirname(path))
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function unlessAbsent<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
