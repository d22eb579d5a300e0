import { RegistryError } from '../oci/errors.ts'
import type { Commit, CommitResult, Store } from '../store/store.ts'

/**
 * What is known of a commit that was answered `unknown`: it `landed` at a revision; it did not so far, and its
 * preconditions let it through once at the most; or nobody can know.
 */
export type Fate = { landed: number } | 'open' | 'unknowable'

export interface CommitOnce {
  commit: Commit
  /** Reads again what became of the commit. */
  fate(): Promise<Fate>
  /** For the error: what was to be written. */
  what: string
}

const maxAttempts = 3

/**
 * Commits, and finds out what became of it when the store can not say. An open commit is sent again: of the two
 * at most one goes through, whichever arrives first, and a conflict then shows that neither did or will.
 *
 * @throws RegistryError UNAVAILABLE when it stays unknown whether it was written
 */
export async function commitOnce(
  store: Store,
  { commit, fate, what }: CommitOnce,
): Promise<Exclude<CommitResult, { status: 'unknown' }>> {
  let cause: unknown
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const result = await store.commit(commit)
    if (result.status === 'committed' || (result.status === 'conflict' && attempt === 0)) return result
    if (result.status === 'unknown') cause = result.cause
    const known = await fate().catch((error: unknown): Fate => {
      cause = error
      return 'unknowable'
    })
    if (typeof known === 'object') return { status: 'committed', revision: known.landed }
    if (known === 'unknowable') break
    if (result.status === 'conflict') return result
  }
  throw new RegistryError('UNAVAILABLE', {
    message: `the store did not say whether it wrote ${what}; look before trying again`,
    retryAfterSeconds: 1,
    cause,
  })
}
