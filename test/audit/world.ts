import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { AuditEvent, AuditPage, AuditQuery } from '../../src/audit/event.ts'
import { archiveName, archiveNumbers, currentName } from '../../src/audit/log-files.ts'
import { type Audit, type AuditOptions, createAudit } from '../../src/audit.ts'
import { type TestClock, testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { auditEvent } from './event.ts'

export interface AuditWorld {
  audit: Audit
  directory: string
  clock: TestClock
  /** The log, a line for each record. */
  logged: string[]
  /** Writes an event of this request id, and lets a second pass. */
  write(requestId: string, more?: Partial<AuditEvent>): void
  /** A second audit log over the same files, as after a restart. */
  reopen(more?: Partial<AuditOptions>): Audit
  /** The names of all files, oldest first. */
  files(): Promise<string[]>
  /** All files after each other. */
  text(): Promise<string>
  /** Puts bytes in place of a file. */
  put(name: string, bytes: string | Uint8Array): Promise<void>
  /** The request ids of all that a query selects, page by page. */
  ids(query?: AuditQuery): Promise<string[]>
}

/** An audit log in a directory of its own, with a clock that stands still. */
export async function auditWorld(options: Partial<AuditOptions> = {}): Promise<AuditWorld> {
  const directory = join(await temporaryDirectory(), 'audit')
  const clock = testClock()
  const logged: string[] = []
  const log = pino({ base: null }, { write: (line: string) => void logged.push(line) })
  const open = (more: Partial<AuditOptions> = {}): Audit => {
    const file = { output: 'file', directory, maxBytes: 64 * 1024 * 1024, maxFiles: 10 } as const
    const opened = createAudit({ ...file, now: clock.now, log, ...options, ...more })
    onTestFinished(() => opened.close())
    return opened
  }
  const audit = open()
  const files = async (): Promise<string[]> => {
    const numbers = await archiveNumbers(directory)
    return [...numbers.map(archiveName), currentName]
  }
  return {
    audit,
    directory,
    clock,
    logged,
    reopen: open,
    files,
    write(requestId, more) {
      audit.write(auditEvent({ requestId, ...more }))
      clock.advance(1000)
    },
    text: async () => {
      const texts = (await files()).map((name) => readFile(join(directory, name), 'utf8').catch(() => ''))
      return (await Promise.all(texts)).join('')
    },
    put: async (name, bytes) => {
      await mkdir(directory, { recursive: true })
      await writeFile(join(directory, name), bytes)
    },
    ids: (query) => idsOf(audit, query),
  }
}

/** The request ids of all that a query selects, page by page. */
export async function idsOf(audit: Pick<Audit, 'list'>, query: AuditQuery = {}): Promise<string[]> {
  const ids: string[] = []
  let page: AuditPage = await audit.list(query)
  for (;;) {
    ids.push(...page.lines.map(({ requestId }) => requestId))
    if (page.continue === undefined) return ids
    page = await audit.list({ ...query, continue: page.continue })
  }
}
