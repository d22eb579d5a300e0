/** What a commit may be, the same for every engine. */

import { type Commit, commitLimits } from './store.ts'

/**
 * Checks a commit and answers its size in bytes: keys and values, preconditions' keys included.
 *
 * @throws TypeError beyond `commitLimits`, for a key twice, a key or value that is no text, or no operation at all.
 */
export function checkCommit({ operations, preconditions = [] }: Commit): number {
  if (operations.length === 0) throw new TypeError('a commit needs an operation')
  for (const [what, { length }] of Object.entries({ operations, preconditions })) {
    if (length > commitLimits.maxOperations) {
      throw new TypeError(`a commit takes at most ${commitLimits.maxOperations} ${what}, not ${length}`)
    }
  }
  const keys = new Set<string>()
  let bytes = 0
  for (const operation of operations) {
    checkKey(operation.key)
    if (keys.has(operation.key)) throw new TypeError(`key ${operation.key} occurs twice in a commit`)
    keys.add(operation.key)
    bytes += Buffer.byteLength(operation.key)
    if (operation.type === 'put') {
      if (!isText(operation.value)) throw new TypeError(`the value of ${operation.key} is no well-formed string`)
      bytes += Buffer.byteLength(operation.value)
    }
  }
  for (const { key, revision } of preconditions) {
    checkKey(key)
    if (!isRevision(revision)) throw new TypeError(`the precondition on ${key} names no revision`)
    bytes += Buffer.byteLength(key)
  }
  if (bytes > commitLimits.maxBytes) {
    throw new TypeError(`a commit takes at most ${commitLimits.maxBytes} bytes, not ${bytes}`)
  }
  return bytes
}

/** @throws TypeError for a key that is empty or not a well-formed string. */
export function checkKey(key: string): void {
  // A lone surrogate has no UTF-8 form: two such keys would become one.
  if (!isText(key) || key === '') throw new TypeError('a key is a well-formed string that is not empty')
}

/** @throws TypeError for a prefix or bound that is not a well-formed string. */
export function checkPrefix(prefix: string): void {
  if (!isText(prefix)) throw new TypeError('a prefix is a well-formed string')
}

/** Whether a value can be a revision: 0 or a positive safe integer. */
export function isRevision(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed()
}
