import { open } from 'node:fs/promises'
import type { Logger } from 'pino'

/** What a file holds, which is read again when it changes. */
export interface FollowedFile<T> {
  /** As it stands; it is looked at when that was not done within the last 5 seconds. */
  current(): Promise<T>
  /** Looks at the file at once. */
  look(): Promise<T>
}

export interface FollowedFileOptions<T> {
  file: string
  /** The key that names the file, for the log. */
  key: string
  /** What the file held when it was read first. */
  initial: T
  /** @throws Error saying what is wrong, with nothing of what the file holds */
  parse(text: string): T
  now: () => number
  log: Logger
}

const lookEveryMs = 5000
const maxBytes = 1024 * 1024

/**
 * Follows a file that others replace: by renaming, by writing into it, or by turning a symbolic link (a Kubernetes secret that is
 * mounted). While it is away, empty or wrong, what it held before goes on, and one line of the log says so.
 */
export function createFollowedFile<T>(options: FollowedFileOptions<T>): FollowedFile<T> {
  const { file, key, parse, now, log } = options
  let value = options.initial
  let stamp = ''
  let settled = false
  let lookedAt = Number.NEGATIVE_INFINITY
  let looking: Promise<T> | undefined
  let complaint: string | undefined

  async function read(): Promise<T> {
    lookedAt = now()
    try {
      const found = await readFile(file, settled ? stamp : undefined)
      if (found.text !== undefined) {
        value = parse(found.text)
        // What changed is read twice: a clock's tick may hide the second of two changes.
        settled = found.stamp === stamp
        stamp = found.stamp
      }
      complaint = undefined
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const problem = `${key}: ${file} ${code === undefined ? message : `can not be read (${code})`}`
      if (complaint !== problem) log.warn(`${problem}; what it held before goes on`)
      complaint = problem
    }
    return value
  }

  function look(): Promise<T> {
    looking ??= read().finally(() => {
      looking = undefined
    })
    return looking
  }

  return {
    async current() {
      const sinceMs = now() - lookedAt
      // A clock that was set back does not end the looking.
      return sinceMs >= 0 && sinceMs < lookEveryMs ? value : look()
    },
    look,
  }
}

/** The text of a file and what tells one state of it from another; no text where that is `known`. */
async function readFile(file: string, known: string | undefined): Promise<{ text?: string; stamp: string }> {
  const handle = await open(file)
  try {
    const { mtimeNs, ctimeNs, size, ino, dev } = await handle.stat({ bigint: true })
    const stamp = [mtimeNs, ctimeNs, size, ino, dev].join(' ')
    if (stamp === known) return { stamp }
    if (size > maxBytes) throw new Error(`is larger than ${maxBytes} bytes`)
    const text = await handle.readFile('utf8')
    if (text.trim() === '') throw new Error('is empty')
    return { text, stamp }
  } finally {
    await handle.close()
  }
}
