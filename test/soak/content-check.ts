/** What must be true of a data directory after its Weir was killed, read by a process of its own. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlobSource, Content, HeldRecords } from '../../src/content/content.ts'
import { createContent } from '../../src/content/create-content.ts'
import { type Digest, digestHex, parseDigest } from '../../src/oci/digest.ts'
import type { StreamName } from '../../src/oci/reference.ts'
import { openDatabase } from '../../src/store/database.ts'
import { decodeState, stateKey } from '../../src/store/encoding.ts'
import { createLevelStore } from '../../src/store/level.ts'
import type { Store } from '../../src/store/store.ts'
import { closureOf } from '../../src/streams/closure.ts'
import { createStreams, type Streams } from '../../src/streams/create-streams.ts'
import { createHeldRecords } from '../../src/streams/held-records.ts'
import { unheldKey } from '../../src/streams/keys.ts'
import { pinnedStreams, projects, type Session } from './content-session.ts'

/** What one check found. */
export interface ContentCheck {
  faults: string[]
  /** Downloads that the kill broke off, and bytes and records that it left without each other. */
  unfinished: number
  orphans: number
  /** Files, whose bytes were all hashed again. */
  held: number
  heldBytes: number
  /** Tags of the pinned project, and those whose closure is said to be held: all of it was found. */
  pins: number
  heldPins: number
}

export interface CheckOptions {
  data: string
  now: () => number
  session: Session
}

/** What is younger than ten minutes may be on its way, for a sweep. */
const settledMs = 11 * 60_000

/** Nothing is asked for by network: what is not held is absent. */
const nowhere: BlobSource = {
  size: async () => Promise.reject(new Error('there is no upstream')),
  open: async () => Promise.reject(new Error('there is no upstream')),
}

export async function checkContent({ data, now, session }: CheckOptions): Promise<ContentCheck> {
  const directoryOfStore = join(data, 'store')
  const store = await createLevelStore({ directory: directoryOfStore, logged: await loggedIn(directoryOfStore) })
  const closing = new AbortController()
  const directory = join(data, 'content')
  const unfinished = (await readdir(join(directory, 'partial'))).length
  const records = createHeldRecords({ store, now })
  const content = await createContent({
    directory,
    source: nowhere,
    records,
    acquireLease: (name, signal) => store.lease(name, signal),
    maxBytes: 2 ** 40,
    finishBytes: 0,
    now: () => now() + settledMs,
  })
  try {
    const streams = createStreams({ store, now, signal: closing.signal })
    const swept = await content.sweep()
    const faults = [...session.faults, ...(await leftovers(directory))]
    const files = await checkFiles(directory, records, faults)
    const pins = await checkPins({ store, streams, content, session }, faults)
    return { faults, unfinished, orphans: swept.orphanFiles + swept.orphanRecords, ...files, ...pins }
  } finally {
    closing.abort()
    await content.close()
    await store.close()
  }
}

/** What a store's change log keeps: it goes on only with the same prefixes. */
async function loggedIn(directory: string): Promise<readonly string[]> {
  const database = await openDatabase(directory)
  try {
    const state = await database.get(stateKey)
    return state === undefined ? [] : decodeState(state).logged
  } finally {
    await database.close()
  }
}

/** After a sweep nothing is unfinished, and a kill makes no wrong bytes. */
async function leftovers(directory: string): Promise<string[]> {
  const found: string[] = []
  for (const name of ['partial', 'quarantine']) {
    const files = await readdir(join(directory, name)).catch(() => [])
    found.push(...files.map((file) => `${name}/${file} is left after a sweep`))
  }
  return found
}

/** Every file has its records and every record its file, and the bytes are those of the digest. */
async function checkFiles(directory: string, records: HeldRecords, faults: string[]) {
  const blobs = join(directory, 'blobs/sha256')
  const unrecorded = new Set(await readdir(blobs))
  let held = 0
  let heldBytes = 0
  for await (const { digest, size } of records.list()) {
    const file = join(blobs, digestHex(digest))
    unrecorded.delete(digestHex(digest))
    const stats = await stat(file).catch(() => undefined)
    if (stats === undefined) faults.push(`${digest} is recorded and has no file`)
    else if (stats.size !== size) faults.push(`${digest} has ${stats.size} bytes, recorded are ${size}`)
    else if ((await hashFile(file)) !== digestHex(digest)) faults.push(`${digest} has other bytes`)
    held += 1
    heldBytes += size
  }
  for (const hex of unrecorded) faults.push(`blobs/sha256/${hex} has no record`)
  return { held, heldBytes }
}

interface PinsOptions {
  store: Store
  streams: Streams
  content: Content
  session: Session
}

/** Where nothing says that a pin's image is still to be fetched, all of it is held and may be given out. */
async function checkPins({ store, streams, content, session }: PinsOptions, faults: string[]) {
  let pins = 0
  let heldPins = 0
  for (const stream of pinnedStreams) {
    const name: StreamName = { project: projects.pinned, stream }
    for (const tag of await streams.reader.tags(name)) {
      const image = parseDigest(tag.record.items[0]?.image ?? '')
      if (image === undefined) continue
      pins += 1
      if ((await store.get(unheldKey(name, tag.name))) !== undefined) continue
      heldPins += 1
      faults.push(
        ...(await missingParts({ streams, content }, name, image)).map((what) => `${stream}:${tag.name}: ${what}`),
      )
    }
  }
  for (const [place, digest] of session.acknowledged) {
    if (session.moving.has(place)) continue
    const [, project = '', stream = '', tag = ''] = /^(.+)\/(.+):(.+)$/.exec(place) ?? []
    const at = (await streams.reader.tag({ project, stream }, tag))?.record.items[0]?.image
    if (at !== digest) faults.push(`${place} was acknowledged at ${digest} and is at ${at}`)
  }
  return { pins, heldPins }
}

async function missingParts(
  { streams, content }: Pick<PinsOptions, 'streams' | 'content'>,
  name: StreamName,
  image: Digest,
): Promise<string[]> {
  const parts = await closureOf(streams.links, name, image, ['linux/amd64'])
  const missing: string[] = []
  for (const { digest, kind, link, isWanted, isUnread } of parts) {
    if (!isWanted) continue
    if (link === undefined) missing.push(`there is no link to ${kind} ${digest}`)
    else if (isUnread && kind === 'manifest') missing.push(`manifest ${digest} was never read`)
    else if ((await content.held(link)) === undefined) missing.push(`${kind} ${digest} is not held`)
  }
  return missing
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(file, { highWaterMark: 1024 * 1024 })) hash.update(piece)
  return hash.digest('hex')
}
