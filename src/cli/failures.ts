/** What goes wrong on the command line, and what the person should do next. */

import type { Status, Target } from './api.ts'

/** A failure to be shown as it is: one sentence, then a line for each thing to do about it. */
export class CliError extends Error {
  /** 1 for what failed, 2 for a command line that can not be meant. */
  readonly exitCode: 1 | 2
  readonly hints: readonly string[]

  constructor(message: string, options: { hints?: readonly string[]; exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'CliError'
    this.exitCode = options.exitCode ?? 1
    this.hints = options.hints ?? []
  }
}

/** The answer was no, and was printed: exit code 1, and nothing more to say. */
export class SaidNo extends Error {}

/** A command line that can not be meant: exit code 2. */
export function misuse(message: string, ...hints: string[]): CliError {
  return new CliError(message, { exitCode: 2, hints })
}

/** The server's refusal of one request. */
export class ApiError extends Error {
  readonly method: string
  readonly target: Target
  /** HTTP status. */
  readonly code: number
  readonly status: Status
  readonly requestId: string | undefined

  constructor(method: string, target: Target, code: number, status: Status, requestId?: string) {
    super(status.message ?? `the server answered ${code}`)
    this.name = 'ApiError'
    this.method = method
    this.target = target
    this.code = code
    this.status = status
    this.requestId = requestId
  }
}

/** Whether `error` is the server's answer that there is no such thing. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.code === 404
}

/** Whether `error` is the server's answer that the thing is there already. */
export function isAlreadyExists(error: unknown): boolean {
  return error instanceof ApiError && error.status.reason === 'AlreadyExists'
}

/** Whether `error` is a lost race: the object changed after it was read. */
export function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.status.reason === 'Conflict'
}

/** Whether `error` says that the caller may not do this. */
export function isForbidden(error: unknown): boolean {
  return error instanceof ApiError && error.code === 403
}

/** What `answer` comes to, or `otherwise` when the caller may not have it. */
export async function unlessForbidden<T, const D>(answer: Promise<T>, otherwise: D): Promise<T | D> {
  try {
    return await answer
  } catch (error) {
    if (isForbidden(error)) return otherwise
    throw error
  }
}
