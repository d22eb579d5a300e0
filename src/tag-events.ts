import type { StreamName } from './oci/reference.ts'
import type { LedgerEntry } from './streams/records.ts'
import type { ChangeResult } from './streams/streams.ts'

/** What a person does to a tag's history: roll back, resume. `POST .../tagevents` of weir.dev/v1. */
export interface TagEvents {
  /**
   * Puts the tag at an earlier revision and holds it. `to` is a revision, a digest (its newest revision) or absent (the
   * newest revision older than the one in force, of a rolled-back tag older than the one it restored, with another digest).
   *
   * @throws RegistryError NOT_FOUND, INVALID (no such revision, nothing to go back to, bytes not obtainable), CONFLICT
   */
  rollback(
    name: StreamName,
    tag: string,
    request: { to?: number | string; by: string; reason?: string },
  ): Promise<ChangeResult & { entry: LedgerEntry }>
  /** Ends the hold and checks the source at once. @throws RegistryError NOT_FOUND, INVALID (not held) */
  resume(name: StreamName, tag: string, request: { by: string; reason?: string }): Promise<ChangeResult>
}
