/** Pushes to a Weir until it is killed: images and indexes, by every kind of upload, many at once; uploads that go on. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from './content-requests.ts'
import { digestOf, openPusher, type Pusher, send } from './push-requests.ts'

export const project = 'pushed'
const streams = ['app', 'web'] as const
const pushers = 5
const uploaders = 2
const indexShare = 0.3
const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const ociIndex = 'application/vnd.oci.image.index.v1+json'

/** A manifest that was sent, with the tags that it is to move. */
export interface Attempt {
  stream: string
  digest: string
  tags: readonly string[]
  isAcknowledged: boolean
}

/** An upload that may go on after the kill. */
export interface OpenUpload {
  stream: string
  location: string
  bytes: Buffer
  /** As the last answer said. */
  acknowledged: number
  /** Most that may have come. */
  sent: number
  /** Its last request was sent, and not answered. */
  isEnding: boolean
}

export interface PushSession {
  /** In the order in which they were sent. */
  attempts: Attempt[]
  /** Blobs whose push was acknowledged, by stream. */
  blobs: { stream: string; digest: string }[]
  uploads: Set<OpenUpload>
  /** What is sent and not answered. */
  open: { manifests: number; pieces: number; ends: number }
  faults: string[]
}

export function newSession(): PushSession {
  return { attempts: [], blobs: [], uploads: new Set(), open: { manifests: 0, pieces: 0, ends: 0 }, faults: [] }
}

/** Layers that images of all sessions share. */
const sharedLayers = Array.from({ length: 3 }, (_, i) => Buffer.alloc(100_000 + i * 20_000, `shared ${i} `))

/** Drives a session and notes in it what was done; `uploads` go on first. Settles when its Weir is gone. */
export async function drive(
  connection: Connection,
  session: PushSession,
  uploads: Iterable<OpenUpload> = [],
): Promise<void> {
  const { signal } = connection
  const opened = new Map<string, Pusher>()
  const forever = async (work: () => Promise<void>): Promise<void> => {
    while (!signal.aborted) {
      try {
        await work()
      } catch (error) {
        if (!signal.aborted && !isBroken(error)) session.faults.push(String(error))
        await delay(5)
      }
    }
  }
  try {
    for (const stream of streams) opened.set(stream, await openPusher(connection, `${project}/${stream}`))
  } catch (error) {
    if (!signal.aborted && !isBroken(error)) session.faults.push(String(error))
    return
  }
  const left = [...uploads]
  for (const upload of left) session.uploads.add(upload)
  const to = (stream: string): Pusher => opened.get(stream) as Pusher
  const images = Array.from({ length: pushers }, (_, i) => () => {
    const stream = anyOf(streams)
    return pushImage({ session, stream, pusher: to(stream) }, `t${i}`)
  })
  const pieces = Array.from({ length: uploaders }, () => async () => {
    const stream = anyOf(streams)
    const upload = left.pop() ?? (await beginUpload({ session, stream, pusher: to(stream) }))
    await goOn({ session, stream: upload.stream, pusher: to(upload.stream) }, upload)
  })
  await Promise.all([...images, ...pieces].map(forever))
}

interface Work {
  session: PushSession
  stream: string
  pusher: Pusher
}

async function pushImage(work: Work, tag: string): Promise<void> {
  // A worker moves tags of its own, so that the order of a tag's pushes is known.
  const tags = Math.random() < 0.3 ? [tag, `${tag}-too`] : [tag]
  if (Math.random() >= indexShare) return pushManifest(work, await makeManifest(work), ociManifest, tags)
  const manifests = []
  for (const architecture of ['amd64', 'arm64']) {
    const bytes = await makeManifest(work)
    await pushManifest(work, bytes, ociManifest, [])
    const descriptor = { mediaType: ociManifest, digest: digestOf(bytes), size: bytes.length }
    manifests.push({ ...descriptor, platform: { os: 'linux', architecture } })
  }
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }))
  await pushManifest(work, index, ociIndex, tags)
}

/** Pushes a config and layers, and makes the manifest of them. */
async function makeManifest(work: Work): Promise<Buffer> {
  const config = Buffer.from(
    JSON.stringify({ os: 'linux', architecture: 'amd64', made: randomBytes(8).toString('hex') }),
  )
  const layers = [randomBytes(1000 + Math.floor(Math.random() * 150_000)), anyOf(sharedLayers)]
  await Promise.all([config, ...layers].map((bytes) => pushBlob(work, bytes)))
  const describe = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifest,
      config: describe('application/vnd.oci.image.config.v1+json', config),
      layers: layers.map((bytes) => describe('application/vnd.oci.image.layer.v1.tar', bytes)),
    }),
  )
}

async function pushManifest(work: Work, bytes: Buffer, mediaType: string, tags: readonly string[]): Promise<void> {
  const { session, stream, pusher } = work
  const attempt: Attempt = { stream, digest: digestOf(bytes), tags, isAcknowledged: false }
  session.attempts.push(attempt)
  const [tag] = tags
  const byTag = tags.length === 1 && tag !== undefined
  const query = byTag || tags.length === 0 ? '' : `?${tags.map((each) => `tag=${each}`).join('&')}`
  const path = `/v2/${pusher.repository}/manifests/${byTag ? tag : attempt.digest}${query}`
  session.open.manifests += 1
  const answer = await send(pusher, 'PUT', path, { body: bytes, headers: { 'content-type': mediaType } })
  session.open.manifests -= 1
  if (answer.status === 201) attempt.isAcknowledged = true
  else session.faults.push(`PUT ${path}: ${answer.status} ${answer.body}`)
}

/** By one request, two, or many. */
async function pushBlob(work: Work, bytes: Buffer): Promise<void> {
  const { session, stream, pusher } = work
  const path = `/v2/${pusher.repository}/blobs/uploads/`
  const digest = digestOf(bytes)
  const how = Math.random()
  if (how >= 0.6) return goOn(work, await beginUpload(work, bytes))
  session.open.ends += 1
  const opened = how < 0.3 ? undefined : await send(pusher, 'POST', path)
  const answer =
    opened === undefined
      ? await send(pusher, 'POST', `${path}?digest=${digest}`, { body: bytes, headers: octets })
      : await send(pusher, 'PUT', ended(opened.headers.location, digest), { body: bytes, headers: octets })
  session.open.ends -= 1
  if (answer.status === 201) session.blobs.push({ stream, digest })
  else session.faults.push(`push of a blob: ${opened?.status ?? ''} ${answer.status} ${answer.body}`)
}

async function beginUpload({ session, stream, pusher }: Work, bytes?: Buffer): Promise<OpenUpload> {
  const { status, headers, body } = await send(pusher, 'POST', `/v2/${pusher.repository}/blobs/uploads/`)
  if (status !== 202) throw new Error(`begin of an upload: ${status} ${body}`)
  const upload: OpenUpload = {
    stream,
    location: headers.location ?? '',
    bytes: bytes ?? randomBytes(100_000 + Math.floor(Math.random() * 500_000)),
    acknowledged: 0,
    sent: 0,
    isEnding: false,
  }
  session.uploads.add(upload)
  return upload
}

/** Asks how far an upload is, sends what is missing piece by piece, and ends it. */
export async function goOn(work: Work, upload: OpenUpload): Promise<void> {
  const { session, stream, pusher } = work
  const digest = digestOf(upload.bytes)
  const asked = await send(pusher, 'GET', upload.location)
  if (asked.status === 404) {
    // When its end was not answered, that may have come to something, or not.
    if (!upload.isEnding) session.faults.push(`an upload of ${upload.acknowledged} bytes is gone`)
    return void session.uploads.delete(upload)
  }
  let at = offsetOf(asked.headers.range)
  // What was killed while it ended begins anew, when its bytes had already got their place.
  if (upload.isEnding && at === 0) Object.assign(upload, { acknowledged: 0, isEnding: false })
  const isRight = asked.status === 204 && at >= upload.acknowledged && at <= upload.sent
  if (!isRight) {
    const expected = `between ${upload.acknowledged} and ${upload.sent}`
    session.faults.push(`status of an upload: ${asked.status}, ${asked.headers.range} is not ${expected}`)
    return void session.uploads.delete(upload)
  }
  while (at < upload.bytes.length) {
    const piece = upload.bytes.subarray(at, at + 20_000 + Math.floor(Math.random() * 150_000))
    upload.sent = Math.max(upload.sent, at + piece.length)
    const range = { 'content-range': `${at}-${at + piece.length - 1}`, ...octets }
    session.open.pieces += 1
    const answer = await send(pusher, 'PATCH', upload.location, { body: piece, headers: range })
    session.open.pieces -= 1
    if (answer.status !== 202) throw new Error(`PATCH at ${at}: ${answer.status} ${answer.body}`)
    at += piece.length
    upload.acknowledged = at
    upload.location = answer.headers.location ?? upload.location
  }
  upload.isEnding = true
  session.open.ends += 1
  const answer = await send(pusher, 'PUT', ended(upload.location, digest))
  session.open.ends -= 1
  if (answer.status === 201) session.blobs.push({ stream, digest })
  else session.faults.push(`end of an upload: ${answer.status} ${answer.body}`)
  session.uploads.delete(upload)
}

const octets = { 'content-type': 'application/octet-stream' }

const ended = (location: string | undefined, digest: string): string => `${location}?digest=${digest}`

/** `0-N` is N + 1 bytes; of an upload without bytes there are several ways to say so. */
function offsetOf(range: string | undefined): number {
  const last = Number(/^0-(-?\d+)$/.exec(range ?? '')?.[1] ?? -1)
  return last <= 0 ? 0 : last + 1
}

function isBroken(error: unknown): boolean {
  const codes = ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ABORT_ERR']
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

function anyOf<T>(items: readonly T[]): T {
  const item = items[Math.floor(Math.random() * items.length)]
  if (item === undefined) throw new TypeError('nothing to choose from')
  return item
}
