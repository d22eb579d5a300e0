/** What Weir is asked in the rows of the table. */
import { expect } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { indexOf, nestedIndexes } from '../support/hostile-documents.ts'
import { check, schedule, track } from './checks.ts'
import { layerOf, type Place } from './place.ts'

/**
 * What came of it. Of an import, `reason` is that of the tag's condition, of a check that of its last one; of a pull, `code` is the
 * registry error's.
 */
export type Outcome =
  | { kind: 'moved'; digest: string }
  | { kind: 'failed'; reason: string; message: string }
  | { kind: 'listed'; tags: string[]; message: string }
  | { kind: 'told'; referrers: string[]; warning: string }
  | { kind: 'gave'; status: number; digest: string; length: string | undefined }
  | { kind: 'refused'; status: number; code: string; message: string; retryAfter: string | undefined }
  | { kind: 'cut' }

/** What a row asks: first what is to be there, while the registry is still honest; then the request. */
export interface Request {
  prepare?(place: Place): Promise<void> | void
  send(place: Place): Promise<Outcome>
}

/** What is asked of a layer where a part of it is asked for. */
export const firstOfRange = 2 ** 21
export const lastOfRange = 2 ** 21 + 99

/** `lib/app:v1` stands at another image than `prod` does. */
function moveUpstream({ registry, next }: Place): void {
  registry.put('lib/app', next, { tag: 'v1' })
}

/** The index that `multi` stands at; its only child is the `next` image, which nobody has yet. */
export function multiOf({ next }: Place) {
  return indexOf([next.manifest], 'multi')
}

async function importMulti(place: Place): Promise<void> {
  const { registry, next } = place
  registry.put('lib/app', multiOf(place), { tag: 'multi' })
  expect(await importImage(place, `${registry.host}/lib/app:multi`, 'multi')).toMatchObject({ kind: 'moved' })
  registry.put('lib/app', next)
}

/** `deep` stands at an index of an index of an index ..., with the `next` image at the end. */
async function importDeep(place: Place): Promise<void> {
  const { registry, next } = place
  const [outermost = expect.unreachable(), ...inner] = nestedIndexes(next.manifest, 200)
  for (const each of inner) registry.put('lib/app', each)
  registry.put('lib/app', outermost, { tag: 'deep' })
  registry.put('lib/app', next)
  expect(await importImage(place, `${registry.host}/lib/app:deep`, 'deep')).toMatchObject({ kind: 'moved' })
}

const requests = {
  'import by tag': {
    prepare: moveUpstream,
    send: (place) => importImage(place, `${place.registry.host}/lib/app:v1`, 'prod'),
  },
  'import by digest': {
    prepare: moveUpstream,
    send: (place) => importImage(place, `${place.registry.host}/lib/app@${place.next.manifest.digest}`, 'prod'),
  },
  'import of a whole repository': {
    prepare: moveUpstream,
    send: importRepository,
  },
  'pull by tag': {
    prepare: moveUpstream,
    send: ({ world, stream }) => pull(world.pull(`demo/${stream}:prod`)),
  },
  'pull of a manifest by digest': {
    prepare: importMulti,
    send: ({ world, stream, next }) => pull(world.pull(`demo/${stream}@${next.manifest.digest}`)),
  },
  'scheduled check': { prepare: schedule, send: check },
  'scheduled check of a tag that tracks versions': { prepare: track, send: check },
  'listing of referrers': { send: listReferrers },
  'blob GET': { send: (place) => pullBlob(place) },
  'blob HEAD': { send: (place) => pullBlob(place, { method: 'HEAD' }) },
  'blob GET with Range': {
    send: (place) => pullBlob(place, { headers: { range: `bytes=${firstOfRange}-${lastOfRange}` } }),
  },
  'GET of a blob that is in no manifest read so far': {
    prepare: importDeep,
    send: (place) => pullBlob(place, {}, layerOf(place.next).digest),
  },
} satisfies Record<string, Request>

export type RequestName = keyof typeof requests

export function requestOf(name: RequestName): Request {
  return requests[name]
}

interface Told {
  status: string
  message?: string
}

async function imported({ world, stream }: Place, spec: object) {
  const path = '/apis/image.openshift.io/v1/namespaces/demo/imagestreamimports'
  const answer = await world.api('POST', path, { metadata: { name: stream }, spec: { import: true, ...spec } })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return answer.body.status as {
    images?: { status: Told; image?: { metadata: { name: string } } }[]
    repository?: { status: Told; images?: { tag: string; status: Told }[]; additionalTags?: string[] }
  }
}

async function importImage(place: Place, name: string, tag: string): Promise<Outcome> {
  const { images } = await imported(place, { images: [{ from: { kind: 'DockerImage', name }, to: { name: tag } }] })
  const [{ status, image } = expect.unreachable()] = images ?? []
  if (status.status === 'Success') return { kind: 'moved', digest: image?.metadata.name ?? '' }
  const condition = await conditionOf(place, tag)
  return { kind: 'failed', reason: condition.reason, message: `${condition.message} ${status.message}` }
}

async function importRepository(place: Place): Promise<Outcome> {
  const from = { kind: 'DockerImage', name: `${place.registry.host}/lib/app` }
  const { repository } = await imported(place, { repository: { from } })
  const { status, images = [] } = repository ?? expect.unreachable()
  const tags = images.filter((each) => each.status.status === 'Success').map(({ tag }) => tag)
  const message = [status, ...images.map((each) => each.status)].map((each) => each.message ?? '').join(' ')
  return { kind: 'listed', tags, message }
}

interface Condition {
  type: string
  status: string
  reason: string
  message: string
}

/** Why a tag's last import failed. */
export async function conditionOf({ world, stream }: Place, tag: string): Promise<Condition> {
  const { body } = await world.api('GET', `/apis/image.openshift.io/v1/namespaces/demo/imagestreams/${stream}`)
  const { tags } = body.status as { tags: { tag: string; conditions?: Condition[] }[] }
  const conditions = tags.find((each) => each.tag === tag)?.conditions ?? []
  return conditions.find(({ type }) => type === 'ImportSuccess') ?? expect.unreachable(`no condition of ${tag}`)
}

async function listReferrers({ world, stream, good }: Place): Promise<Outcome> {
  const token = await world.pullToken(`repository:demo/${stream}:pull`)
  const { status, headers, body } = await world.request(`/v2/demo/${stream}/referrers/${good.manifest.digest}`, {
    token,
  })
  expect(status).toBe(200)
  const { manifests } = JSON.parse(body.toString()) as { manifests: { digest: string }[] }
  return { kind: 'told', referrers: manifests.map(({ digest }) => digest), warning: String(headers.warning ?? '') }
}

type Answered = Awaited<ReturnType<Place['world']['request']>>

async function pullBlob(
  { world, stream, good }: Place,
  options: { method?: string; headers?: Record<string, string> } = {},
  digest = layerOf(good).digest,
): Promise<Outcome> {
  const token = await world.pullToken(`repository:demo/${stream}:pull`)
  return pull(world.request(`/v2/demo/${stream}/blobs/${digest}`, { token, ...options }))
}

async function pull(answering: Promise<Answered>): Promise<Outcome> {
  const answer = await answering.catch(() => undefined)
  if (answer === undefined) return { kind: 'cut' }
  const { status, body, headers } = answer
  if (status < 400) return { kind: 'gave', status, digest: digestOf(body), length: headers['content-length'] }
  const { errors: [error] = [] } = JSON.parse(body.toString() || '{}') as {
    errors?: { code: string; message: string; detail?: unknown }[]
  }
  const { code = '', message = '', detail } = error ?? {}
  return {
    kind: 'refused',
    status,
    code,
    message: `${message} ${JSON.stringify(detail)}`,
    retryAfter: headers['retry-after'],
  }
}
