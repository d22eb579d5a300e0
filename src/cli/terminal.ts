/** Questions to the person at the terminal. */

import { CliError } from './failures.ts'
import type { Output } from './output.ts'

/** Where answers come from: `process.stdin`, or a test's stream. */
export interface Input extends NodeJS.ReadableStream {
  isTTY?: boolean
  setRawMode?(isRaw: boolean): unknown
}

export interface Terminal {
  /** Whether a person is there to answer. */
  readonly isInteractive: boolean
  /** Asks for a line; of a secret nothing is shown. @throws CliError when it is broken off */
  ask(question: string, options?: { secret?: boolean }): Promise<string>
  /** Everything that is piped in. @throws CliError when it is more than 64 KiB */
  readAll(): Promise<string>
}

const maxBytes = 64 * 1024

const erase = ['\u007f', '\b']
const clear = '\u0015'
const breakOff = ['\u0003', '\u0004']

/** Questions are written to `output`. Without an input nobody is there, and nothing is piped in. */
export function createTerminal(input: Input | undefined, output: Output): Terminal {
  /** What was typed ahead of the next question. */
  let ahead = ''
  return {
    isInteractive: input?.isTTY === true && input.setRawMode !== undefined,
    async ask(question, { secret = false } = {}) {
      if (input === undefined) throw new CliError('nobody is there to answer')
      output.write(question)
      input.setRawMode?.(true)
      try {
        return await readLine(input)
      } finally {
        input.setRawMode?.(false)
        output.write('\n')
      }

      async function readLine(from: Input): Promise<string> {
        let line: string[] = []
        for (;;) {
          for (const [i, character] of [...ahead].entries()) {
            if (character === '\r' || character === '\n') {
              ahead = [...ahead].slice(i + 1).join('')
              return line.join('')
            }
            if (breakOff.includes(character)) {
              ahead = ''
              throw new CliError('broken off')
            }
            if (erase.includes(character)) {
              if (line.pop() !== undefined && !secret) output.write('\b \b')
            } else if (character === clear) {
              if (!secret) output.write('\b \b'.repeat(line.length))
              line = []
            } else if (!/\p{Cc}/u.test(character)) {
              line.push(character)
              if (!secret) output.write(character)
            }
          }
          ahead = await nextText(from)
        }
      }
    },
    async readAll() {
      const chunks: Buffer[] = []
      let size = 0
      for await (const chunk of input ?? []) {
        const bytes = Buffer.from(chunk)
        size += bytes.length
        if (size > maxBytes) throw new CliError('what is piped in has more than 64 KiB')
        chunks.push(bytes)
      }
      return Buffer.concat(chunks).toString('utf8')
    },
  }
}

/** @throws CliError when nothing comes any more */
async function nextText(input: Input): Promise<string> {
  return new Promise((resolve, reject) => {
    if ('readableEnded' in input && input.readableEnded === true) {
      reject(new CliError('broken off'))
      return
    }
    const settle = (end: () => void) => {
      // What comes while nobody listens would be lost.
      input.pause()
      input.removeListener('data', onData)
      input.removeListener('end', onEnd)
      input.removeListener('error', onEnd)
      end()
    }
    const onData = (chunk: Buffer | string) => settle(() => resolve(chunk.toString()))
    const onEnd = () => settle(() => reject(new CliError('broken off')))
    input.on('data', onData).on('end', onEnd).on('error', onEnd).resume()
  })
}
