import type { FileHandle } from 'node:fs/promises'
import type { Digest } from '../oci/digest.ts'
import type { Content, ContentCounters, Link, OpenBlob, Proof, RangeRequest } from './content.ts'

export type Problem = NonNullable<ContentCounters['problem']>

/** Why bytes are not kept; whoever asked for them still gets them. */
export class NoRoomError extends Error {
  readonly problem: Problem
  constructor(problem: Problem, cause?: unknown) {
    super(problem, { cause })
    this.name = 'NoRoomError'
    this.problem = problem
  }
}

/** A file that grows until it is whole. Others may read it through `path`, also other processes. */
export interface PartialFile {
  readonly path: string
  readonly handle: FileHandle
  /** Takes the room for its bytes, once there is reason to believe that they will come. @throws NoRoomError */
  takeRoom(): Promise<void>
  /**
   * Makes the file, of which `size` bytes with the right digest were written, the one that is held: fsync, rename, fsync of the
   * directory, then the records (I6). Closes it.
   *
   * @throws NoRoomError
   */
  keep(proof: Proof): Promise<void>
  /** Closes and removes it, and gives back the room that it took. */
  discard(): Promise<void>
}

/**
 * Held bytes as files of an OCI image layout, `<directory>/blobs/<algorithm>/<hex>`; pieces are in `<directory>/partial` alone.
 *
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
 */
export interface HeldFiles
  extends Pick<
    Content,
    'manifest' | 'putManifest' | 'prove' | 'held' | 'touch' | 'list' | 'remove' | 'verify' | 'sweep' | 'uploads'
  > {
  /**
   * Reads what is held and may be given out through `link`; undefined when that is nothing, or turned out short. The whole is
   * hashed along unless it was since the start and is the same file; a part never is. A read fails with an UnreadableError where
   * other bytes may follow, and with a CorruptError when wrong ones were given out.
   *
   * @throws RegistryError RANGE_INVALID with `detail.size`
   */
  open(link: Link, range?: RangeRequest): Promise<OpenBlob | undefined>
  /** Settles when it is known how much room there is: until then it may be refused though there is some. */
  readonly counted: Promise<unknown>
  /** Where the pieces of a download are. `name` tells it from other downloads of the digest: letters, digits, `_` and `-`. */
  partialPath(digest: Digest, name: string): string
  /**
   * Begins a file for `size` bytes, which takes no room yet: anybody can claim a size. Whoever begins has the lease for it: what is left there of a
   * process that died gives way to a new file, and whoever reads that goes on reading it as it was.
   *
   * @throws NoRoomError also for what can never fit
   */
  begin(digest: Digest, name: string, size: number): Promise<PartialFile>
  /** Counts the bytes as being read until what it returns is called, once: what is removed under a reader frees no disk. */
  use(digest: Digest): () => void
  /** What a failed write to a partial file comes to. */
  refuse(error: unknown): NoRoomError
}
