/**
 * Shows under strace that no commit is acknowledged before its bytes are on the disk: a writer prints `ack N` for each
 * commit, and the trace must hold, in this order, the write of N's record, a whole fdatasync of that file, and the ack.
 *
 * Alone: `node test/interop/store-sync.ts`.
 */

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Level } from 'level'
import { createLevelStore } from '../../src/store/level.ts'

/** What a test run found, for the list of all. */
export interface SyncReport {
  passed: number
  failed: number
  details: string[]
}

const commitCount = 200
const atOnce = 8

/** Traces the store, and a writer that does not wait for the disk, in which the trace must find fault. */
export async function run(): Promise<SyncReport> {
  const synced = judge(await traceWriter('store'))
  const unsynced = judge(await traceWriter('unsynced'))
  const checks: [passed: boolean, detail: string][] = [
    [
      synced.acks === commitCount && synced.early.length === 0,
      `store: ${synced.acks} of ${commitCount} commits acknowledged, ${synced.syncs} syncs, ${synced.early.length} too early`,
    ],
    [
      unsynced.early.length > 0,
      `a writer that does not sync: ${unsynced.early.length} of ${unsynced.acks} acknowledgements found too early`,
    ],
  ]
  return {
    passed: checks.filter(([passed]) => passed).length,
    failed: checks.filter(([passed]) => !passed).length,
    details: checks.map(([passed, detail]) => `${passed ? 'ok' : 'FAILED'} ${detail}`),
  }
}

type WriterKind = 'store' | 'unsynced'

/** Runs a writer under strace and answers the trace. */
async function traceWriter(kind: WriterKind): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-store-sync-'))
  try {
    const trace = join(directory, 'trace')
    const strace = ['-f', '-y', '-s', '1000000', '-e', 'trace=fdatasync,fsync,write', '-o', trace]
    const writer = [process.execPath, fileURLToPath(import.meta.url), kind, join(directory, 'store')]
    await promisify(execFile)('strace', [...strace, ...writer], { timeout: 120_000 })
    return await readFile(trace, 'latin1')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

interface Verdict {
  acks: number
  syncs: number
  /** Acknowledgements that began before a sync of their record had ended. */
  early: string[]
}

/**
 * Goes through a trace. strace prints a call when it ends, unless another thread's event came between: then its begin is
 * `<unfinished ...>` and its end `<... resumed>`. The order of lines so tells what had ended when something began.
 */
function judge(trace: string): Verdict {
  const verdict: Verdict = { acks: 0, syncs: 0, early: [] }
  const unfinished = new Map<string, string>()
  // By file: the records written to it and not yet synced; by thread: those that a running sync covers.
  const written = new Map<string, Set<string>>()
  const covered = new Map<string, Set<string>>()
  const durable = new Set<string>()

  function begin(thread: string, call: string): void {
    const ack = /^write\(1<.*?>, "ack (\d+)\\n"/.exec(call)?.[1]
    if (ack !== undefined) {
      verdict.acks += 1
      if (!durable.has(ack)) verdict.early.push(ack)
    }
    const synced = /^f(?:data)?sync\(\d+<(.*?)>/.exec(call)?.[1]
    if (synced !== undefined) covered.set(thread, new Set(written.get(synced)))
  }

  function end(thread: string, call: string, isOk: boolean): void {
    const file = /^write\(\d+<(.*?\/\d+\.log)>/.exec(call)?.[1]
    if (file !== undefined) {
      const records = written.get(file) ?? new Set()
      written.set(file, records)
      for (const [, record = ''] of call.matchAll(/record-(\d+)-/g)) records.add(record)
    }
    if (!/^f(?:data)?sync\(/.test(call) || !isOk) return
    verdict.syncs += 1
    for (const record of covered.get(thread) ?? []) durable.add(record)
  }

  for (const line of trace.split('\n')) {
    const [, thread = '', event = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const isOk = / = \d+( \(.*\))?$/.test(event)
    if (event.startsWith('<... ')) {
      end(thread, unfinished.get(thread) ?? '', isOk)
    } else if (event.endsWith('<unfinished ...>')) {
      unfinished.set(thread, event)
      begin(thread, event)
    } else {
      begin(thread, event)
      end(thread, event, isOk)
    }
  }
  return verdict
}

/** The traced process. Each record carries its number twice, as LevelDB may split it at a block's end. */
async function writeAndPrint(kind: WriterKind, directory: string): Promise<void> {
  const write = kind === 'store' ? await storeWriter(directory) : await unsyncedWriter(directory)
  let next = 0
  async function writeOn(): Promise<void> {
    while (next < commitCount) {
      const id = next
      next += 1
      await write(`tag/${id}`, JSON.stringify([`record-${id}-`, 'x'.repeat(100), `record-${id}-`]))
      process.stdout.write(`ack ${id}\n`)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, writeOn))
}

type Write = (key: string, value: string) => Promise<void>

async function storeWriter(directory: string): Promise<Write> {
  const store = await createLevelStore({ directory, logged: ['tag/'] })
  return async (key, value) => {
    const result = await store.commit({ operations: [{ type: 'put', key, value }] })
    if (result.status !== 'committed') throw new Error(`not committed: ${result.status}`)
  }
}

async function unsyncedWriter(directory: string): Promise<Write> {
  const level = new Level<string, string>(directory)
  return (key, value) => level.put(key, value, { sync: false })
}

if (import.meta.main) {
  const [kind, directory] = process.argv.slice(2)
  if (kind === 'store' || kind === 'unsynced') {
    await writeAndPrint(kind, directory ?? '')
  } else {
    const { failed, details } = await run()
    console.log(details.join('\n'))
    process.exitCode = failed > 0 ? 1 : 0
  }
}
