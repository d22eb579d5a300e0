/** Tells how far a long work is. */

import { type Output, printable } from './output.ts'

/** Where it is told: `process.stderr`, or a test's array. */
export interface ProgressOutput extends Output {
  isTTY?: boolean
  /** Width of the terminal; default 80. */
  columns?: number
}

export interface Progress {
  /** Tells how far it is; at once when `state`, what stands still for long, is another than before. */
  show(line: string, state?: string): void
  /** Takes away what stands there, before something else is printed. */
  clear(): void
}

/** Answers milliseconds. */
interface Clock {
  now(): number
}

const everyMs = 10_000
const eraseToEnd = '\u001b[K'

/** On a terminal one line that is written over, else a line every 10 s. */
export function createProgress(output: ProgressOutput, clock: Clock): Progress {
  return output.isTTY === true ? createLine(output) : createLines(output, clock)
}

function createLine(output: ProgressOutput): Progress {
  let isShown = false
  return {
    show(line) {
      // A terminal whose last column is written to may be in the next line already.
      output.write(`\r${printable(line).slice(0, (output.columns || 80) - 1)}${eraseToEnd}`)
      isShown = true
    },
    clear() {
      if (isShown) output.write(`\r${eraseToEnd}`)
      isShown = false
    },
  }
}

function createLines(output: ProgressOutput, clock: Clock): Progress {
  let told: { atMs: number; state: string | undefined } | undefined
  return {
    show(line, state) {
      const nowMs = clock.now()
      if (told !== undefined && told.state === state && nowMs - told.atMs < everyMs) return
      told = { atMs: nowMs, state }
      output.write(`${printable(line)}\n`)
    },
    clear: () => undefined,
  }
}
