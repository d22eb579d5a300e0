import type { FakeApi, RecordedRequest, Reply } from './fake-api.ts'
import { type CliResult, type CliWorld, run } from './run.ts'

/** The API of held content, as `prefetch`, `prune` and `verify` meet it. */
export const prefetches = '/apis/weir.dev/v1/namespaces/demo/prefetches'
export const prunes = '/apis/weir.dev/v1/contentprunes'
export const verifications = '/apis/weir.dev/v1/contentverifications'
export const streams = '/apis/image.openshift.io/v1/namespaces/demo/imagestreams'
export const stream = `${streams}/app`
export const namespace = '/api/v1/namespaces/demo'
export const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
export const [a, b, c] = ['a', 'b', 'c'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string, string]

const MiB = 1024 ** 2

/** Seven parts of 500 MiB, of which so many are held. */
export function fetching(heldParts = 3, heldBytes = 120 * MiB): object {
  return { image: a, state: 'fetching', parts: 7, heldParts, bytes: 500 * MiB, heldBytes }
}

export const held = { ...fetching(7, 500 * MiB), state: 'held' }
export const failed = { ...fetching(), state: 'failed', message: 'quay.io answers 503' }

/** Answers each request for a tag with its next status, the last one for ever. */
export function statuses(byTag: Record<string, object[]>): (request: RecordedRequest) => Reply {
  const asked = new Map<string, number>()
  return ({ body }) => {
    const { spec } = body as { spec: { tag: string } }
    const all = byTag[spec.tag] ?? []
    const count = asked.get(spec.tag) ?? 0
    asked.set(spec.tag, count + 1)
    return { status: 201, body: { ...(body as object), status: all[Math.min(count, all.length - 1)] } }
  }
}

/** The stream `demo/app`, whose tags stand at these digests; of none where it is empty. */
export function streamWith(tags: Record<string, string>): Reply {
  const lists = Object.entries(tags).map(([tag, image]) => ({ tag, items: image === '' ? null : [{ image }] }))
  return { body: { kind: 'ImageStream', metadata: { name: 'app', namespace: 'demo' }, status: { tags: lists } } }
}

/** Runs a command line against `api`. */
export async function weir(api: FakeApi, argv: readonly string[], world?: CliWorld): Promise<CliResult> {
  return run([...argv, '--server', api.url, '--token', 't'], world)
}
