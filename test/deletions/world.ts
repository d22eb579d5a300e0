import { pino } from 'pino'
import { createDeletions, type Deletions, type DeletionsOptions } from '../../src/deletions.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import type { LedgerEntry } from '../../src/streams/records.ts'
import { nameOf, type PushWorld, parse, pushWorld } from '../push/manifest-world.ts'

export interface DeletionsWorld extends PushWorld {
  deletions: Deletions
  deletionsWith(changes: Partial<DeletionsOptions>): Deletions
  /** HEAD of `project/stream:tag` or `project/stream@digest`: the digest, or the code of the refusal. */
  look(at: string): Promise<string>
  newest(at: string): Promise<LedgerEntry | undefined>
}

export const bob = { by: 'bob' }

export async function deletionsWorld(options: Parameters<typeof pushWorld>[0] = {}): Promise<DeletionsWorld> {
  const world = await pushWorld(options)
  const deletionsWith = (changes: Partial<DeletionsOptions>) =>
    createDeletions({ ...world, forget: world.pullThrough.forget, log: pino({ level: 'silent' }), ...changes })
  return {
    ...world,
    deletions: deletionsWith({}),
    deletionsWith,
    async look(at) {
      const name = nameOf(at)
      const found = world.pullThrough.manifest(name, parse(at).tag, { head: false })
      return found.then(({ digest }) => digest, codeOf)
    },
    async newest(at) {
      const [entry] = await world.reader.ledger(nameOf(at), parse(at).tag, { limit: 1 })
      return entry
    },
  }
}

/** The code and the words of what was refused. */
export async function refusalOf(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof RegistryError)) throw new TypeError('it was not refused', { cause: error })
  const { code, message } = error
  return { code, message }
}

export function shown(digests: readonly Digest[]): string[] {
  return digests.map((digest) => digest.slice(0, 19))
}

function codeOf(error: unknown): string {
  if (error instanceof RegistryError) return error.code
  throw error
}

export { nameOf, parse }
