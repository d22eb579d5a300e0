import { CompactedError } from '../../store/store.ts'
import type { Resource } from '../resource.ts'
import { type Hub, tooOld } from './hub.ts'
import { shareChange } from './shared-change.ts'
import type { View } from './view.ts'

/** The events between where a watcher wants to begin and where the hub's memory does. */
export interface CaughtUp {
  lines: Buffer[]
  /** The revision up to which they tell. */
  position: number
}

export interface CatchUpOptions {
  row: Resource
  view: View
  hub: Hub
  since: number
  signal: AbortSignal
}

/** Most bytes of events that are made for one watcher ahead of his reading. */
const maxBytes = 8 * 1024 * 1024

/**
 * Reads the change log for one watcher who begins before what is in memory.
 *
 * @throws RegistryError EXPIRED when that is too long ago, or too much has happened since
 */
export async function catchUp({ row, view, hub, since, signal }: CatchUpOptions): Promise<CaughtUp> {
  const left = new AbortController()
  const lines: Buffer[] = []
  let bytes = 0
  let position = since
  try {
    const both = AbortSignal.any([signal, left.signal])
    for await (const { revision, changes } of row.follow?.({ since, signal: both }) ?? []) {
      for (const change of changes) {
        const line = view.lineOf(shareChange(change, revision))
        if (line === undefined) continue
        lines.push(line)
        bytes += line.length
      }
      position = revision
      if (bytes > maxBytes) throw tooOld()
      if (position >= hub.recent.from || signal.aborted) break
    }
    return { lines, position }
  } catch (error) {
    throw error instanceof CompactedError ? tooOld() : error
  } finally {
    left.abort()
  }
}
