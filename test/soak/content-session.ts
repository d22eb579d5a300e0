/** Keeps a Weir busy until it is killed: pulls, imports, rollbacks and prunes, many at once. */
import { setTimeout as delay } from 'node:timers/promises'
import type { BlobUpstream } from '../support/blob-upstream.ts'
import { type GeneratedBlob, generatedBlob } from '../support/generated-blob.ts'
import { type Connection, pullBlob, pullManifest, pullToken, requestApi } from './content-requests.ts'

/** Whose pins are kept whole, and where only what was pulled is. */
export const projects = { pinned: 'keep', pulled: 'cache' } as const

const streams = ['app', 'web'] as const
/** Nobody moves or pulls its tags after the first session: whatever is evicted by age would go first. */
export const stillStream = 'still'
export const pinnedStreams = [...streams, stillStream] as const
export const pinnedTags = ['a', 'b', 'c'] as const
const tags = { keep: pinnedTags, cache: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] } as const

/** What went on when the session was killed, and what was acknowledged before. */
export interface Session {
  imports: number
  pulls: number
  prunes: number
  rollbacks: number
  freedBytes: number
  /** Prunes that were asked for and not answered. */
  pruning: number
  /** By `project/stream:tag`: the digest that it must stand at, as the last answer said. */
  acknowledged: Map<string, string>
  /** Tags that were being moved. */
  moving: Set<string>
  /** Answers that no client should get; text. */
  faults: string[]
}

/** Most layers that images of all tags share. */
const sharedLayers = Array.from({ length: 4 }, (_, i) => generatedBlob(`shared ${i}`, 300_000 + i * 50_000))
let made = 0

/** One in which nothing was done yet. */
export function newSession(): Session {
  return {
    imports: 0,
    pulls: 0,
    prunes: 0,
    rollbacks: 0,
    freedBytes: 0,
    pruning: 0,
    acknowledged: new Map(),
    moving: new Set(),
    faults: [],
  }
}

/** How many do what at once: many leave a collector no room to get far, few let it remove and evict. */
const loads = [
  { pinnedImports: 2, pulledImports: 2, pulls: 4 },
  { pinnedImports: 0, pulledImports: 1, pulls: 2 },
] as const

/** Drives a session, and notes in it what was done: settles when its Weir is gone. */
export async function drive(connection: Connection, upstream: BlobUpstream, session: Session): Promise<void> {
  const load = anyOf(loads)
  const { signal } = connection
  const forever = async (work: () => Promise<void>): Promise<void> => {
    while (!signal.aborted) {
      try {
        await work()
      } catch (error) {
        // The connection breaks when Weir is killed; whatever fails before that is told by its status.
        if (!signal.aborted && !isBroken(error)) session.faults.push(String(error))
        await delay(5)
      }
    }
  }
  const every = [
    ...times(load.pinnedImports, () => importTag(connection, upstream, session, projects.pinned)),
    ...times(load.pulledImports, () => importTag(connection, upstream, session, projects.pulled)),
    ...times(load.pulls, () => pullTag(connection, session)),
    () => prune(connection, session),
    () => rollBack(connection, session),
  ]
  await Promise.all(every.map(forever))
}

async function importTag(
  connection: Connection,
  upstream: BlobUpstream,
  session: Session,
  project: (typeof projects)[keyof typeof projects],
): Promise<void> {
  const stream = anyOf(streams)
  const tag = anyOf(tags[project])
  const place = `${project}/${stream}:${tag}`
  if (session.moving.has(place)) return void (await delay(5))
  session.moving.add(place)
  const { answer, digest } = await importImage(connection, upstream, { project, stream, tag })
  // A tag that was rolled back is held: that is an answer of its own.
  const [imported] =
    (answer.body.status as { images?: { image?: object; status?: { status?: string } }[] })?.images ?? []
  if (answer.status === 201 && imported?.image !== undefined) {
    session.acknowledged.set(place, digest)
    session.imports += 1
  } else if (answer.status >= 500) session.faults.push(`import: ${answer.status} ${JSON.stringify(answer.body)}`)
  session.moving.delete(place)
  await delay(Math.random() * 60)
}

/** Puts an image upstream that was never there, and imports it. */
export async function importImage(
  connection: Connection,
  upstream: BlobUpstream,
  { project, stream, tag }: { project: string; stream: string; tag: string },
): Promise<{ answer: Awaited<ReturnType<typeof requestApi>>; digest: string }> {
  made += 1
  const own = generatedBlob(`own ${made}`, 200_000 + Math.floor(Math.random() * 1_500_000))
  const layers: GeneratedBlob[] = [own, anyOf(sharedLayers)]
  const { manifest } = upstream.put(`lib/${project}-${stream}`, tag, layers, `image ${made}`)
  const image = {
    from: { kind: 'DockerImage', name: `${upstream.host}/lib/${project}-${stream}:${tag}` },
    to: { name: tag },
    importPolicy: {},
  }
  const answer = await requestApi(
    connection,
    'POST',
    `/apis/image.openshift.io/v1/namespaces/${project}/imagestreamimports`,
    {
      kind: 'ImageStreamImport',
      apiVersion: 'image.openshift.io/v1',
      metadata: { name: stream },
      spec: { import: true, images: [image] },
    },
  )
  return { answer, digest: manifest.digest }
}

async function pullTag(connection: Connection, session: Session): Promise<void> {
  const project = Math.random() < 0.3 ? projects.pinned : projects.pulled
  const repository = `${project}/${anyOf(streams)}`
  const token = await pullToken(connection, repository)
  const manifest = await pullManifest(connection, { repository, token, reference: anyOf(tags[project]) })
  if (manifest === undefined) return void (await delay(10))
  for (const { digest, size } of [manifest.config, ...manifest.layers]) {
    const got = await pullBlob(connection, { repository, token, digest })
    // A layer may go with the image of a tag that moved meanwhile.
    if (got.status === 404) continue
    if (got.status !== 200) session.faults.push(`pull of ${digest}: ${got.status}`)
    else if (got.digest !== digest || got.bytes !== size) session.faults.push(`pull of ${digest} gave ${got.digest}`)
  }
  session.pulls += 1
}

async function prune(connection: Connection, session: Session): Promise<void> {
  session.pruning += 1
  const body = { kind: 'ContentPrune', apiVersion: 'weir.dev/v1', spec: { dryRun: false, keepYoungerThan: '1h' } }
  const answer = await requestApi(connection, 'POST', '/apis/weir.dev/v1/contentprunes', body)
  session.pruning -= 1
  if (answer.status !== 201) session.faults.push(`prune: ${answer.status} ${JSON.stringify(answer.body)}`)
  session.prunes += 1
  session.freedBytes += (answer.body.status as { freedBytes?: number } | undefined)?.freedBytes ?? 0
}

/** Goes one revision back and on again: what history-keep 1 let go is fetched anew, or the rollback is refused. */
async function rollBack(connection: Connection, session: Session): Promise<void> {
  await delay(50 + Math.random() * 100)
  const place = { stream: anyOf(streams), tag: anyOf(tags.keep) }
  const key = `${projects.pinned}/${place.stream}:${place.tag}`
  if (session.moving.has(key)) return
  session.moving.add(key)
  session.acknowledged.delete(key)
  for (const kind of ['Rollback', 'Resume']) {
    const path = `/apis/weir.dev/v1/namespaces/${projects.pinned}/tagevents`
    const answer = await requestApi(connection, 'POST', path, { kind, ...place })
    if (answer.status === 201) session.rollbacks += 1
    if (answer.status >= 500 && answer.status !== 503)
      session.faults.push(`${kind}: ${answer.status} ${JSON.stringify(answer.body)}`)
  }
  session.moving.delete(key)
}

function isBroken(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ABORT_ERR'].includes(String(error.code))
  )
}

function times(count: number, work: () => Promise<void>): (() => Promise<void>)[] {
  return Array.from({ length: count }, () => work)
}

function anyOf<T>(items: readonly T[]): T {
  const item = items[Math.floor(Math.random() * items.length)]
  if (item === undefined) throw new TypeError('nothing to choose from')
  return item
}
