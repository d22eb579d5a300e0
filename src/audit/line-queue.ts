import type { Logger } from 'pino'
import type { Sink } from './sink.ts'

export interface LineQueueOptions {
  sink: Sink
  /** Most characters that wait; default 8 MiB. */
  maxWaiting?: number
  /** How long a line waits for others, and for another try after a failure, in milliseconds; default 100 and 1,000. */
  delayMs?: number
  retryMs?: number
  log: Pick<Logger, 'warn' | 'info'>
}

export interface LineQueue {
  /** Takes a line, its end included, or counts it as lost. */
  add(line: string): void
  readonly lost: number
  /** Settles when all that was added before was written, or could not be. */
  flush(): Promise<void>
  /** A last try; what then still waits is lost. */
  close(): Promise<void>
}

/** As many characters are written without waiting for more. */
const promptLength = 64 * 1024

/** Most characters of one write. */
const maxBatchLength = 1024 * 1024

/** Collects lines and writes them in the background, in order, each once. */
export function createLineQueue(options: LineQueueOptions): LineQueue {
  const { sink, maxWaiting = 8 * 1024 * 1024, delayMs = 100, retryMs = 1000, log } = options
  let waiting: string[] = []
  let length = 0
  let lost = 0
  /** How many lines were ever taken, and how many of them written. */
  let added = 0
  let done = 0
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  let isFailing = false
  let isOverflowing = false

  const schedule = (ms: number): void => {
    timer ??= setTimeout(start, ms).unref()
  }
  const start = (): void => {
    clearTimeout(timer)
    timer = undefined
    writing ??= writeBatch().finally(() => {
      writing = undefined
      if (length >= promptLength && !isFailing) start()
      else if (length > 0) schedule(isFailing ? retryMs : delayMs)
    })
  }

  async function writeBatch(): Promise<void> {
    const batch = take()
    const bytes = Buffer.from(batch.join(''))
    const { written, error } = await sink.append(bytes)
    if (written < bytes.length) return failed(batch, linesIn(bytes, written), error)
    done += batch.length
    if (isFailing || isOverflowing) log.info({ lost }, 'the audit log is written again')
    isFailing = false
    isOverflowing = false
  }

  function take(): string[] {
    let count = 0
    let taken = 0
    for (; count < waiting.length && taken < maxBatchLength; count += 1) taken += waiting[count]?.length ?? 0
    const batch = waiting.slice(0, count)
    waiting = waiting.slice(count)
    length -= taken
    return batch
  }

  function failed(batch: string[], count: number, error: unknown): void {
    done += count
    waiting = [...batch.slice(count), ...waiting]
    length = waiting.reduce((sum, line) => sum + line.length, 0)
    if (!isFailing)
      log.warn({ err: error }, 'the audit log can not be written: lines wait, and beyond some MiB are lost')
    isFailing = true
  }

  return {
    add(line) {
      if (length + line.length > maxWaiting) {
        lost += 1
        if (!isOverflowing && !isFailing)
          log.warn({ lost }, 'lines of the audit log are lost: they come faster than they are written')
        isOverflowing = true
        return
      }
      waiting.push(line)
      length += line.length
      added += 1
      if (writing !== undefined) return
      if (length >= promptLength && !isFailing) start()
      else schedule(isFailing ? retryMs : delayMs)
    },
    get lost() {
      return lost
    },
    async flush() {
      // What others add meanwhile is not waited for: it may never end.
      const last = added
      while (done < last) {
        if (writing === undefined) start()
        await writing
        if (isFailing) return
      }
    },
    async close() {
      do await this.flush()
      while (length > 0 && !isFailing)
      clearTimeout(timer)
      lost += waiting.length
      if (waiting.length > 0) log.warn({ lost }, 'lines of the audit log could not be written before the end')
      waiting = []
      length = 0
      done = added
      await sink.close()
    },
  }
}

/** How many lines end within the first `length` bytes. */
function linesIn(bytes: Buffer, length: number): number {
  let count = 0
  for (let at = bytes.indexOf(newline); at >= 0 && at < length; at = bytes.indexOf(newline, at + 1)) count += 1
  return count
}

const newline = 0x0a
