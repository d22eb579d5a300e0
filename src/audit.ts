/** Who did what: a line for each decision that matters, in a file that is rotated, or on stdout. */
import type { Logger } from 'pino'
import type { AuditEvent, AuditPage, AuditQuery } from './audit/event.ts'
import { createFileSink } from './audit/file-sink.ts'
import { createFormatLine } from './audit/format-line.ts'
import { createLineQueue, type LineQueue } from './audit/line-queue.ts'
import { createStdoutSink } from './audit/stdout-sink.ts'
import { createStrangerBound } from './audit/stranger-bound.ts'
import { RegistryError } from './oci/errors.ts'

export interface Audit {
  /**
   * Never waits and never fails: what can not be written is counted, and said in the log. Of very much that strangers do
   * a part is counted in lines of their own, see {@link createStrangerBound}.
   */
  write(event: AuditEvent): void
  /**
   * Newest first, with everything that was written before.
   *
   * @throws RegistryError BAD_REQUEST for a `continue` that no page gave; UNSUPPORTED when the lines go to stdout or nowhere
   */
  list(query: AuditQuery): Promise<AuditPage>
  /** Lines that could not be written since the start. */
  readonly lost: number
  /** Writes what is waiting. */
  close(): Promise<void>
}

export interface AuditOptions {
  output: 'file' | 'stdout' | 'none'
  /** Made when there is a first line, for its user alone. */
  directory: string
  /** Of a file, before it is put aside and the next is begun. */
  maxBytes: number
  /** Most files that are kept aside. */
  maxFiles: number
  /** Milliseconds since the epoch. */
  now: () => number
  log: Pick<Logger, 'info' | 'warn'>
  /** The open file that `stdout` means; default 1. */
  stdout?: number
  /** Most bytes that are read for one page of a list; default 16 MiB. */
  maxReadBytes?: number
}

export function createAudit(options: AuditOptions): Audit {
  const { output, directory, now } = options
  const format = createFormatLine()
  const queue = createQueue(options)
  const bound = createStrangerBound({ write: (event) => queue?.add(format(event, now())), now })
  return {
    write(event) {
      if (queue !== undefined) bound.add(event)
    },
    async list(query) {
      if (output !== 'file') throw new RegistryError('UNSUPPORTED', { message: elsewhere[output] })
      await queue?.flush()
      // Few ever ask.
      const { readLines } = await import('./audit/read-lines.ts')
      const { maxReadBytes } = options
      return readLines(query, { directory, ...(maxReadBytes === undefined ? {} : { maxReadBytes }) })
    },
    get lost() {
      return queue?.lost ?? 0
    },
    close: async () => {
      bound.close()
      await queue?.close()
    },
  }
}

function createQueue({ output, log, stdout = 1, ...file }: AuditOptions): LineQueue | undefined {
  if (output === 'none') return undefined
  return createLineQueue({ sink: output === 'file' ? createFileSink(file) : createStdoutSink(stdout), log })
}

const elsewhere = {
  stdout:
    "the audit log goes to Weir's standard output (audit.output is stdout): look for its lines where that is kept, as kubectl logs, docker logs or journalctl show it",
  none: 'no audit log is written (audit.output is none): set audit.output to file',
}
