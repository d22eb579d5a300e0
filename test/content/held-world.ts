/** Held files over a real store of records, without anything that downloads. */
import { join } from 'node:path'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { createBuffers } from '../../src/content/buffers.ts'
import type { AcquireLease, HeldRecords, Proof } from '../../src/content/content.ts'
import { type Counters, createCounters } from '../../src/content/counters.ts'
import type { HeldFiles, PartialFile } from '../../src/content/held-files.ts'
import { type HeldFilesOptions, openHeldFiles } from '../../src/content/open-held-files.ts'
import { proofOf } from '../../src/content/proof.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { createLevelStore } from '../../src/store/level.ts'
import { createHeldRecords } from '../../src/streams/held-records.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { first } from './world.ts'

export interface HeldWorld {
  directory: string
  records: HeldRecords
  logged: string[]
  /** What `onPressure` was told. */
  pressure: number[]
  clock: { now(): number; ahead: number }
  /** One more process on the directory, or the same after it died: it knows nothing of the others. */
  open(more?: Partial<HeldFilesOptions>): Promise<HeldProcess>
}

export interface HeldProcess {
  files: HeldFiles
  counters: Counters
  acquireLease: AcquireLease
  /** Takes its leases away, as the store does when it is gone. */
  die(): void
}

export async function heldWorld(): Promise<HeldWorld> {
  const temporary = await temporaryDirectory()
  const directory = join(temporary, 'content')
  const store = await createLevelStore({ directory: join(temporary, 'store'), logged: [] })
  const closing = new AbortController()
  onTestFinished(async () => {
    closing.abort()
    await store.close()
  })
  const logged: string[] = []
  const pressure: number[] = []
  const clock = { ahead: 0, now: () => Date.now() + clock.ahead }
  const records = createHeldRecords({ store, now: clock.now })
  const leases = exclusiveLeases()
  return {
    directory,
    records,
    logged,
    pressure,
    clock,
    async open(more = {}) {
      const counters = createCounters()
      const { acquireLease, die } = leases()
      const files = await openHeldFiles({
        directory,
        records,
        acquireLease,
        buffers: createBuffers(),
        counters,
        maxBytes: 1024 ** 3,
        onPressure: (needed) => void pressure.push(needed),
        log: pino({}, { write: (line: string) => void logged.push(line) }),
        now: clock.now,
        leaseWaitMs: 50,
        signal: closing.signal,
        ...more,
      })
      return { files, counters, acquireLease, die }
    },
  }
}

/** Leases that one process has at a time, and it more than once; each call makes a process. */
function exclusiveLeases(): () => Pick<HeldProcess, 'acquireLease' | 'die'> {
  const owners = new Map<string, { process: symbol; count: number; freed: PromiseWithResolvers<void> }>()
  const free = (name: string) => {
    owners.get(name)?.freed.resolve()
    owners.delete(name)
  }
  return () => {
    const process = Symbol('process')
    return {
      async acquireLease(name, signal) {
        const aborted = Promise.withResolvers<never>()
        aborted.promise.catch(() => undefined)
        signal.addEventListener('abort', () => aborted.reject(signal.reason))
        signal.throwIfAborted()
        for (let owner = owners.get(name); owner !== undefined && owner.process !== process; owner = owners.get(name)) {
          await Promise.race([owner.freed.promise, aborted.promise])
        }
        const own = owners.get(name) ?? { process, count: 0, freed: Promise.withResolvers<void>() }
        own.count++
        owners.set(name, own)
        return {
          lost: new AbortController().signal,
          release: async () => {
            if (--own.count === 0 && owners.get(name) === own) free(name)
          },
        }
      },
      die() {
        for (const [name, owner] of owners) if (owner.process === process) free(name)
      },
    }
  }
}

/** The proof of the first location alone. */
export const proof: Proof = proofOf([first])

/** A file that has its room. */
export async function beginRoomed(files: HeldFiles, digest: Digest, name: string, size: number): Promise<PartialFile> {
  const file = await files.begin(digest, name, size)
  try {
    await file.takeRoom()
    return file
  } catch (error) {
    await file.discard()
    throw error
  }
}

/** A file with all its bytes, which nobody said to keep yet. */
export async function written(files: HeldFiles, bytes: Buffer, name = 'download'): Promise<PartialFile> {
  const file = await beginRoomed(files, digestOf(bytes), name, bytes.length)
  await file.handle.writeFile(bytes)
  return file
}

export async function keep(files: HeldFiles, bytes: Buffer, through: Proof = proof): Promise<void> {
  await (await written(files, bytes)).keep(through)
}
