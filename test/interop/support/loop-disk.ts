/** Small disks: ext4 in a file, mounted through a loop device. Needs root and the right to mount. */
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { must, run } from './process.ts'

export interface LoopDisk {
  /** Where it is mounted. */
  directory: string
  /** Takes all the room that is left, but for so many bytes. */
  fill(leftBytes?: number): Promise<void>
  /** Gives back what `fill` took. */
  free(): Promise<void>
  unmount(): Promise<void>
}

/** Mounts a new disk of so many bytes at `directory`, its image beside it. */
export async function mountLoopDisk(directory: string, bytes: number): Promise<LoopDisk> {
  const image = `${directory}.img`
  await mkdir(directory, { recursive: true })
  await rm(image, { force: true })
  // -m 0: nothing is set aside for root, who runs these tests.
  await must('mke2fs', [
    '-q',
    '-t',
    'ext4',
    '-m',
    '0',
    '-O',
    '^has_journal',
    '-F',
    image,
    `${Math.ceil(bytes / 1024)}k`,
  ])
  await must('mount', ['-o', 'loop', image, directory])
  const filler = join(directory, 'filler')
  return {
    directory,
    async fill(leftBytes = 0) {
      const file = await open(filler, 'a')
      let size = 0
      // To the last block: less than a whole one may still find room.
      for (const length of [64 * 1024, 4096, 512]) {
        const block = Buffer.alloc(length)
        try {
          for (;;) size += (await file.write(block)).bytesWritten
        } catch (error) {
          if (!isFull(error)) throw error
        }
      }
      if (leftBytes > 0) await file.truncate(Math.max(0, size - leftBytes))
      await file.close()
    },
    free: () => rm(filler, { force: true }),
    async unmount() {
      // Lazily where something still has a file open: it goes with its last user.
      const { code } = await run('umount', [directory])
      if (code !== 0) await must('umount', ['--lazy', directory])
      await rm(image, { force: true })
    },
  }
}

/** Why no disk can be mounted here; undefined when one can. */
export async function mountProblem(directory: string): Promise<string | undefined> {
  try {
    const disk = await mountLoopDisk(join(directory, 'probe'), 1024 * 1024)
    await disk.unmount()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOSPC'
}
