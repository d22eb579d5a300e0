import type { Digest } from '../oci/digest.ts'

/** Runs what changes the bytes of a digest one after the other: a lease keeps out other processes alone. */
export type InTurn = <T>(digest: Digest, work: () => Promise<T>) => Promise<T>

/** Does it in turn and as the only process that writes or removes these bytes; undefined when another process does so now. */
export type Alone = <T>(digest: Digest, work: () => Promise<T>) => Promise<T | undefined>

export function createTurns(): InTurn {
  const last = new Map<Digest, Promise<unknown>>()
  return async (digest, work) => {
    const result = (last.get(digest) ?? Promise.resolve()).then(work)
    const settled = result.catch(() => undefined)
    last.set(digest, settled)
    try {
      return await result
    } finally {
      if (last.get(digest) === settled) last.delete(digest)
    }
  }
}
