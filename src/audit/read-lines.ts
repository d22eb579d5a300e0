import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { RegistryError } from '../oci/errors.ts'
import type { AuditLine, AuditPage, AuditQuery } from './event.ts'
import { maxLineBytes } from './format-line.ts'
import { archiveName, archiveNumbers, currentName, isAbsent } from './log-files.ts'
import { parseLine } from './parse-line.ts'
import { selects } from './select-lines.ts'

export interface ReadOptions {
  directory: string
  /** Most bytes read for one page, but for the rest of a chunk; default 16 MiB. */
  maxReadBytes?: number
}

const maxLines = 1000
const chunkBytes = 64 * 1024

/** A clock that was put back makes times go back as well: a line so much older than asked for is the last one looked at. */
const slackMs = 10 * 60 * 1000

/** Before which byte of which file a page goes on. A file keeps its number when it is put aside. */
const positionSchema = z.object({ file: z.int().positive(), before: z.int().nonnegative() })

type Position = z.infer<typeof positionSchema>

/**
 * Reads what a query selects, newest first, from the ends of the files. What is no whole line is passed over.
 *
 * @throws RegistryError BAD_REQUEST for a `continue` that no page gave
 */
export async function readLines(query: AuditQuery, { directory, maxReadBytes }: ReadOptions): Promise<AuditPage> {
  const { since = -Infinity, limit = maxLines } = query
  const lines: AuditLine[] = []
  let budget = maxReadBytes ?? 16 * 1024 * 1024
  let position = parseContinue(query.continue) ?? (await newestPosition(directory))
  for (; position.file > 0; position = { file: position.file - 1, before: Number.MAX_SAFE_INTEGER }) {
    await using file = await openFile(directory, position.file)
    if (file === undefined) break
    for await (const { found, resume, read } of chunksBackwards(file, position.before)) {
      for (const { bytes, at } of found) {
        const line = parseLine(bytes)
        if (line === undefined) continue
        if (Date.parse(line.time) < since - slackMs) return { lines }
        if (selects(query, line)) lines.push(line)
        if (lines.length >= Math.min(limit, maxLines))
          return { lines, continue: formatContinue({ ...position, before: at }) }
      }
      budget -= read
      if (budget <= 0) return { lines, continue: formatContinue({ ...position, before: resume }) }
    }
  }
  return { lines }
}

async function newestPosition(directory: string): Promise<Position> {
  const numbers = await archiveNumbers(directory)
  return { file: (numbers.at(-1) ?? 0) + 1, before: Number.MAX_SAFE_INTEGER }
}

/** Opens a file by its number, whether it is the current one or was put aside, be it right now; undefined when it is gone. */
async function openFile(directory: string, number: number): Promise<FileHandle | undefined> {
  const aside = await openIfThere(join(directory, archiveName(number)))
  if (aside !== undefined) return aside
  const current = await openIfThere(join(directory, currentName))
  const numbers = await archiveNumbers(directory)
  if ((numbers.at(-1) ?? 0) + 1 === number) return current
  await current?.close()
  return numbers.includes(number) ? openIfThere(join(directory, archiveName(number))) : undefined
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

interface Chunk {
  /** The lines that begin in it, the last first, without their ends. */
  found: { bytes: Buffer; at: number }[]
  /** Before which byte to go on after it. */
  resume: number
  /** How many bytes it has. */
  read: number
}

/** The lines before byte `before`, chunk by chunk from the end; what is longer than a line can be is left out. */
async function* chunksBackwards(file: FileHandle, before: number): AsyncGenerator<Chunk> {
  const { size } = await file.stat()
  let start = Math.min(before, size)
  let resume = start
  // The end of a line that begins in an earlier chunk.
  let rest = Buffer.alloc(0)
  let isTooLong = false
  while (start > 0) {
    const read = Math.min(chunkBytes, start)
    start -= read
    const chunk = Buffer.alloc(read)
    const { bytesRead } = await file.read(chunk, 0, read, start)
    const bytes = Buffer.concat([chunk.subarray(0, bytesRead), rest])
    const found: Chunk['found'] = []
    let end = bytes.length
    while (end > 0) {
      const at = bytes.lastIndexOf(newline, end - 1) + 1
      if (at === 0 && start > 0) break
      if (!isTooLong) found.push({ bytes: bytes.subarray(at, end), at: start + at })
      isTooLong = false
      resume = start + at
      end = at - 1
    }
    if (start === 0) resume = 0
    rest = bytes.subarray(0, Math.max(0, end))
    if (rest.length > maxLineBytes) {
      isTooLong = true
      resume = start
      rest = Buffer.alloc(0)
    }
    yield { found, resume, read }
  }
}

const newline = 0x0a

function formatContinue(position: Position): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url')
}

function parseContinue(token: string | undefined): Position | undefined {
  if (token === undefined) return undefined
  try {
    return positionSchema.parse(JSON.parse(Buffer.from(token, 'base64url').toString('utf8')))
  } catch {
    throw new RegistryError('BAD_REQUEST', { message: 'continue: not a token of this list; start the list again' })
  }
}
