import { LRUCache } from 'lru-cache'
import { atMost } from '../oci/at-most.ts'
import type { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'

/** The import of a tag that its registry's budget does not let through for now. */
export interface WaitingImport extends StreamName {
  tag: string
  /** Of the wish: a later one was not held back yet. */
  generation: number
  /** Why, and until when. */
  message: string
  /** In milliseconds since the epoch. */
  untilMs: number
}

/** What imports in the background wait for; in memory: after a start it is learned anew. */
export interface WaitingImports {
  /** Of a project or a stream; those that waited longest may be forgotten. */
  of(where: { project: string; stream?: string }): readonly WaitingImport[]
  waits(name: StreamName, tag: string, generation: number, refusal: RegistryError): void
  ended(name: StreamName, tag: string): void
}

/** Most that are remembered. */
const most = 10_000

export function createWaitingImports(now: () => number): WaitingImports {
  const waiting = new LRUCache<string, WaitingImport>(atMost(most))
  const keyOf = ({ project, stream }: StreamName, tag: string): string => `${project}/${stream}:${tag}`

  return {
    of({ project, stream }) {
      const prefix = stream === undefined ? `${project}/` : `${project}/${stream}:`
      return [...waiting.entries()].flatMap(([key, one]) => (key.startsWith(prefix) ? [one] : []))
    },
    waits(name, tag, generation, { message, retryAfterSeconds = 0 }) {
      const { project, stream } = name
      const untilMs = now() + retryAfterSeconds * 1000
      waiting.set(keyOf(name, tag), { project, stream, tag, generation, message, untilMs })
    },
    ended: (name, tag) => void waiting.delete(keyOf(name, tag)),
  }
}
