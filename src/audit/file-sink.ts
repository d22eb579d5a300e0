import { type FileHandle, mkdir, open, rename, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { archiveName, archiveNumbers, currentName, isAbsent } from './log-files.ts'
import type { Sink } from './sink.ts'

export interface FileSinkOptions {
  directory: string
  /** A file that has grown so large is put aside. */
  maxBytes: number
  /** Most files that are kept aside. */
  maxFiles: number
}

interface OpenFile {
  handle: FileHandle
  inode: number
  size: number
}

/** Adds lines to a file that is put aside when it has grown. The file is opened when there is a first line. */
export function createFileSink({ directory, maxBytes, maxFiles }: FileSinkOptions): Sink {
  const path = join(directory, currentName)
  let file: OpenFile | undefined

  async function ready(): Promise<OpenFile> {
    // Whoever moved the file away wants the next lines in a new one.
    if (file !== undefined && (await inodeOf(path)) !== file.inode) await leave()
    file ??= await openCurrent(directory, path)
    if (file.size < maxBytes) return file
    await leave()
    await putAside(directory, path, maxFiles)
    file = await openCurrent(directory, path)
    return file
  }

  async function leave(): Promise<void> {
    const left = file
    file = undefined
    await left?.handle.close()
  }

  return {
    async append(lines) {
      let written = 0
      try {
        const current = await ready()
        while (written < lines.length) {
          const { bytesWritten } = await current.handle.write(lines, written)
          written += bytesWritten
          current.size += bytesWritten
        }
        return { written }
      } catch (error) {
        // Opened again, the file is looked at for a line that was torn.
        await leave().catch(() => undefined)
        return { written, error }
      }
    },
    close: leave,
  }
}

async function openCurrent(directory: string, path: string): Promise<OpenFile> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const handle = await open(path, 'a+', 0o600)
  try {
    const { ino: inode, size } = await handle.stat()
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1))
    if (bytesRead === 0 || buffer[0] === newline[0]) return { handle, inode, size }
    const { bytesWritten } = await handle.write(newline)
    return { handle, inode, size: size + bytesWritten }
  } catch (error) {
    await handle.close()
    throw error
  }
}

const newline = Buffer.from('\n')

/** Gives the current file the next number, and removes the oldest above `maxFiles`. */
async function putAside(directory: string, path: string, maxFiles: number): Promise<void> {
  const numbers = await archiveNumbers(directory)
  const next = (numbers.at(-1) ?? 0) + 1
  await rename(path, join(directory, archiveName(next)))
  for (const number of [...numbers, next].slice(0, -maxFiles)) {
    await unlink(join(directory, archiveName(number))).catch((error: unknown) => {
      if (!isAbsent(error)) throw error
    })
  }
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}
