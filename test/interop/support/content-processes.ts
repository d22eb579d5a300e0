/** Processes of one content directory, over one store that this one holds. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { ContentCounters, Link, SweepReport } from '../../../src/content/content.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { createLevelStore } from '../../../src/store/level.ts'
import { createObjects } from '../../../src/store/objects.ts'
import type { Store } from '../../../src/store/store.ts'
import { type BlobUpstream, startBlobUpstream } from '../../support/blob-upstream.ts'
import { loggedPrefixes } from '../../support/flows.ts'
import type { GeneratedBlob } from '../../support/generated-blob.ts'
import { type SharedLeases, type SharedStoreOptions, shareStore } from '../../support/shared-store.ts'
import type { Asked, BlobRead, ReadingOptions, Told } from './content-process.ts'

export interface ContentProcess {
  pid: number
  read(link: Link, options?: ReadingOptions): Promise<BlobRead>
  /** Through a stream, as a client does. */
  pull(stream: string, digest: Digest, options?: ReadingOptions): Promise<BlobRead>
  /** What went wrong; empty when all is well. */
  import(stream: string, tag: string, from: string): Promise<string[]>
  fetch(link: Link): Promise<void>
  remove(digest: Digest, unusedSince: number): Promise<number>
  verify(digest: Digest): Promise<'whole' | 'corrupt' | 'absent'>
  sweep(): Promise<SweepReport>
  counters(): Promise<ContentCounters>
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void
}

export interface SharedContent {
  /** Of the content. */
  directory: string
  upstream: BlobUpstream
  store: Store
  leases: SharedLeases
  first: ContentProcess
  second: ContentProcess
  /** Starts one more. */
  start(): Promise<ContentProcess>
  /** A link to a blob that the upstream has in `lib/app`. */
  link(blob: GeneratedBlob): Link
}

const program = join(import.meta.dirname, 'content-process.ts')

/** Two processes; everything goes with the test. */
export async function startSharedContent(options: SharedStoreOptions = {}): Promise<SharedContent> {
  const folder = await mkdtemp(join(tmpdir(), 'weir-shared-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const directory = join(folder, 'content')
  const upstream = await startBlobUpstream()
  onTestFinished(() => upstream.close())
  const store = await createLevelStore({ directory: join(folder, 'store'), logged: loggedPrefixes })
  onTestFinished(() => store.close())
  await createObjects({ store, now: Date.now }).create('namespaces', '', { metadata: { name: 'demo' } })
  const leases = shareStore(store, options)
  const start = () => startProcess(directory, upstream.host, leases)
  const [first, second] = await Promise.all([start(), start()])
  const link = ({ digest, mediaType, size }: GeneratedBlob): Link => ({
    digest,
    mediaType,
    size,
    locations: [{ kind: 'upstream', host: upstream.host, repository: 'lib/app', project: 'demo' }],
  })
  return { directory, upstream, store, leases, first, second, start, link }
}

async function startProcess(directory: string, host: string, leases: SharedLeases): Promise<ContentProcess> {
  const child = fork(program, [directory, host], {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  onTestFinished(() => end(child))
  leases.serve(child)
  const calls = new Map<number, (told: Told) => void>()
  const ready = Promise.withResolvers<void>()
  child.on('message', (message: Told | { is: 'ready' }) => {
    if (message.is === 'ready') ready.resolve()
    else if (message.is === 'done') calls.get(message.id)?.(message)
  })
  child.once('exit', () => ready.reject(new Error('the process ended before it was ready')))
  await ready.promise

  let last = 0
  function ask<T>(asked: Asked): Promise<T> {
    last += 1
    const id = last
    const done = new Promise<T>((resolve, reject) => {
      child.once('exit', () => reject(new Error('the process ended')))
      calls.set(id, (told) => {
        calls.delete(id)
        if ('failure' in told) reject(new Error(told.failure))
        else resolve(told.value as T)
      })
      child.send({ is: 'do', id, asked })
    })
    // Whoever asks may be gone when the process ends.
    done.catch(() => undefined)
    return done
  }

  return {
    pid: child.pid ?? 0,
    read: (link, options = {}) => ask({ what: 'read', link, options }),
    pull: (stream, digest, options = {}) => ask({ what: 'pull', project: 'demo', stream, digest, options }),
    import: (stream, tag, from) => ask({ what: 'import', project: 'demo', stream, tag, from }),
    fetch: (link) => ask({ what: 'fetch', link }),
    remove: (digest, unusedSince) => ask({ what: 'remove', digest, unusedSince }),
    verify: (digest) => ask({ what: 'verify', digest }),
    sweep: () => ask({ what: 'sweep' }),
    counters: () => ask({ what: 'counters' }),
    signal: (name) => void child.kill(name),
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
