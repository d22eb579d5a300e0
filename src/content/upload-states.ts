import { createHash, type Hash } from 'node:crypto'
import { lstat, open } from 'node:fs/promises'
import { LRUCache } from 'lru-cache'
import { atMost } from '../oci/at-most.ts'
import { type Layout, unlessAbsent } from './layout.ts'

/** What is durable of an upload, and the sha256 that ran over it, unless it has to be read again. */
export interface UploadState {
  offset: number
  hash: Hash | undefined
}

export interface UploadStates {
  /** What is on the disk. What a crash left was perhaps not durable yet: it is when this returns. Fails with the system's errors. */
  look(id: string): Promise<UploadState>
  /** Remembers what a request made durable. */
  set(id: string, state: UploadState): void
  /** The file is gone, or is not what was remembered. */
  forget(id: string): void
}

/** Of so many uploads the running hash is remembered; others are read again when they are finished. */
const maxRemembered = 1000

export function createUploadStates(layout: Layout): UploadStates {
  const states = new LRUCache<string, UploadState>(atMost(maxRemembered))
  return {
    async look(id) {
      const path = layout.upload(id)
      const stats = await unlessAbsent(lstat(path))
      if (stats?.isFile() === false) throw new Error(`${path} is no file`)
      const offset = stats?.size ?? 0
      const known = states.get(id)
      if (known?.offset === offset) return known
      if (stats !== undefined) await sync(path)
      const state = { offset, hash: offset === 0 ? createHash('sha256') : undefined }
      states.set(id, state)
      return state
    },
    set: (id, state) => void states.set(id, state),
    forget: (id) => void states.delete(id),
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.datasync()
  } finally {
    await handle.close()
  }
}
