import { RegistryError } from '../oci/errors.ts'

export interface LimitsOptions {
  /** Most uploads of one user, and in all, that are not finished. */
  maxPerUser: number
  max: number
  /** All there are, whoever began them. */
  list(): AsyncIterable<{ id: string; by: string }>
}

/** How many uploads there are of whom: counted from the store once, when somebody asks first, and kept up from then on. */
export interface Limits {
  /** Counts an upload that is about to begin. @throws RegistryError TOOMANYREQUESTS */
  take(id: string, by: string): Promise<void>
  /** It ended, or did not begin. */
  give(id: string): void
  /** How many there are. */
  count(): Promise<number>
  /** Counts anew: other processes begin and end uploads too. */
  recount(): Promise<void>
}

/** Uploads end by themselves after hours; a client that tries again soon finds those finished that are going on now. */
const retryAfterSeconds = 60

export function createLimits({ maxPerUser, max, list }: LimitsOptions): Limits {
  let owners = new Map<string, string>()
  let counts = new Map<string, number>()
  let counted: Promise<void> | undefined
  /** What changed while they are being counted. */
  let meanwhile: Map<string, string | undefined> | undefined

  function set(id: string, by: string | undefined): void {
    const before = owners.get(id)
    if (before === by) return
    if (before !== undefined) add(before, -1)
    if (by === undefined) owners.delete(id)
    else {
      owners.set(id, by)
      add(by, 1)
    }
  }

  function add(by: string, more: number): void {
    const count = (counts.get(by) ?? 0) + more
    if (count === 0) counts.delete(by)
    else counts.set(by, count)
  }

  async function count(): Promise<void> {
    const changed = new Map<string, string | undefined>()
    meanwhile = changed
    const found = new Map<string, string>()
    for await (const { id, by } of list()) found.set(id, by)
    owners = new Map()
    counts = new Map()
    for (const [id, by] of [...found, ...changed]) set(id, by)
    if (meanwhile === changed) meanwhile = undefined
  }

  async function ready(): Promise<void> {
    counted ??= count().catch((error: unknown) => {
      counted = undefined
      throw error
    })
    await counted
  }

  return {
    async count() {
      await ready()
      return owners.size
    },
    async take(id, by) {
      await ready()
      const own = counts.get(by) ?? 0
      if (own >= maxPerUser) throw tooMany(`you have ${own} uploads that are not finished, and may have ${maxPerUser}`)
      if (owners.size >= max)
        throw tooMany(`there are ${owners.size} uploads that are not finished, the most there may be`)
      set(id, by)
      meanwhile?.set(id, by)
    },
    give(id) {
      set(id, undefined)
      meanwhile?.set(id, undefined)
    },
    async recount() {
      // Nobody has counted: whoever begins first will.
      if (counted === undefined) return
      await counted
      await count()
    },
  }
}

function tooMany(why: string): RegistryError {
  return new RegistryError('TOOMANYREQUESTS', { message: `${why}: finish or cancel some`, retryAfterSeconds })
}
