/** What every verb is made of: its place in the help, its output, its connection. */

import { type Command, InvalidArgumentError } from 'commander'
import type { Client } from './client.ts'
import { parseDurationMs } from './duration.ts'
import type { Output } from './output.ts'
import type { Progress } from './progress.ts'
import type { Server, ServerFlags, Surroundings } from './server.ts'
import type { Terminal } from './terminal.ts'

/** Time as a verb sees it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Lets `ms` pass. */
  pause(ms: number): Promise<void>
}

/** What a verb may use. */
export interface VerbContext {
  stdout: Output
  clock: Clock
  /** Writes a line about the work, not its result. */
  note(line: string): void
  /** Begins to tell how far a long work is. */
  progress(): Progress
  /** The client of the server that the command line names. */
  connect(): Promise<Client>
  /** A client of this server. */
  connectTo(server: Server): Client
  /** What the command line says of the server. */
  flags(): ServerFlags
  surroundings: Surroundings
  terminal: Terminal
}

/** What the help says of a verb. */
export interface VerbHelp {
  /** One sentence. */
  does: string
  /** A command line, and perhaps more of them. */
  example: string
  more?: readonly string[]
  /** What its arguments mean, where their names do not say it. */
  words?: string
}

/** Adds a verb; `usage` is its name and arguments. */
export function addVerb(program: Command, usage: string, { does, example, more = [], words }: VerbHelp): Command {
  const verb = program.command(usage)
  const examples = [example, ...more].map((line) => `  ${line}\n`).join('')
  const wordsText = words === undefined ? '' : `\n${words}\n`
  return verb
    .description(does)
    .showHelpAfterError(`(weir ${verb.name()} --help says how it is used)`)
    .addHelpText(
      'after',
      `${wordsText}\nExample:\n${examples}\nweir --help lists the options that every verb takes (--server, --token, ...).`,
    )
}

/** An option's value as a duration in milliseconds. */
export function durationOption(value: string): number {
  const ms = parseDurationMs(value)
  if (ms === undefined) throw new InvalidArgumentError('Write a duration such as 90s, 1h30m or 365d.')
  return ms
}

/** An option's value as a whole number from 1. */
export function countOption(value: string): number {
  const count = Number(value)
  if (!/^\d{1,9}$/.test(value) || count < 1) throw new InvalidArgumentError('Write a whole number from 1.')
  return count
}

/** `--reason` as metadata carries it. */
export function changeCause(reason: string | undefined): { annotations?: Record<string, string> } {
  return reason === undefined ? {} : { annotations: { 'kubernetes.io/change-cause': reason } }
}
