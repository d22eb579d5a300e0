import { readFile } from 'node:fs/promises'
import { must } from './process.ts'

/** What a process asked of the kernel, in the order in which it was done. */
export interface Trace {
  calls: readonly string[]
  /** Where the first call with this in it stands, from `from` on. @throws Error with the whole trace when there is none */
  at(pattern: string | RegExp, from?: number): number
}

/** Runs a module under strace; file names are with their descriptors, and forks are followed. `file` is for the trace. */
export async function traceModule(code: string, { calls, file }: { calls: string; file: string }): Promise<Trace> {
  const node = [process.execPath, '--input-type=module-typescript', '--eval', code]
  await must('strace', ['-f', '-y', '-e', `trace=${calls}`, '-o', file, ...node])
  const done = completed(await readFile(file, 'latin1'))
  return {
    calls: done,
    at(pattern, from = 0) {
      const found = done.findIndex(
        (call, i) => i >= from && (typeof pattern === 'string' ? call.includes(pattern) : pattern.test(call)),
      )
      if (found < 0) throw new Error(`no ${pattern} after ${from} in\n${done.join('\n')}`)
      return found
    },
  }
}

/** A module of `src/` for an import. */
export function sourceUrl(path: string): string {
  return new URL(`../../../src/${path}`, import.meta.url).href
}

/** The calls of a trace in the order in which they ended; one that began before and ended after another is joined. */
function completed(trace: string): string[] {
  const begun = new Map<string, string>()
  return trace.split('\n').flatMap((line) => {
    const [, thread = '', call = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    if (call.endsWith('<unfinished ...>')) {
      begun.set(thread, call.replace(/\s*<unfinished \.\.\.>$/, ''))
      return []
    }
    const rest = /^<\.\.\. \w+ resumed>(.*)$/.exec(call)?.[1]
    return rest === undefined ? [call] : [`${begun.get(thread) ?? ''}${rest}`]
  })
}
