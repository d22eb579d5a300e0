import type { FakeApi, RecordedRequest, Reply } from './fake-api.ts'
import { failure } from './fake-api.ts'
import { type CliResult, run } from './run.ts'

/** Paths and objects of tags, as `tag` and `describe` meet them. */
export const [a, b, c] = ['a', 'b', 'c'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string, string]
export const created = '2026-01-30T00:00:00Z'

const root = '/apis/image.openshift.io/v1/namespaces'

/** The path of an object in a project; without a name that of the list. */
export function path(resource: string, name?: string, project = 'demo'): string {
  return `${root}/${project}/${resource}${name === undefined ? '' : `/${name}`}`
}

export const itag = (name: string, project?: string) => path('imagetags', name, project)
export const istag = (name: string, project?: string) => path('imagestreamtags', name, project)
export const streamPath = (name: string, project?: string) => path('imagestreams', name, project)
export const events = '/apis/weir.dev/v1/namespaces/demo/tagevents'

/** An ImageTag: what is wanted of it, and the digests where it stands and stood, newest first. */
export function imageTag(
  name: string,
  spec: object | null,
  images: string[] = [],
  more: object = {},
): { body: object } {
  const [, tag] = name.split(':')
  const items = images.map((image) => ({ image, created, generation: 1 }))
  return {
    body: {
      kind: 'ImageTag',
      metadata: { name, namespace: 'demo' },
      spec: spec === null ? null : { name: tag, ...spec },
      status: { tag, items, ...more },
      image: null,
    },
  }
}

/** The answer to a write of a tag, as a server gives that moves it to `image`. */
export function written(image: string, generation = 5): (request: RecordedRequest) => Reply {
  return ({ body }) => {
    const sent = body as { metadata: object; tag: object }
    return {
      body: {
        kind: 'ImageStreamTag',
        metadata: sent.metadata,
        tag: { ...sent.tag, generation },
        generation: image === '' ? 0 : generation,
        image: { metadata: { name: image } },
      },
    }
  }
}

/** A refusal with one cause. */
export function invalid(field: string, reason: string, message: string): Reply {
  const text = `ImageStreamTag.image.openshift.io "app:prod" is invalid: ${field}: ${message}`
  return failure(422, 'Invalid', text, { kind: 'imagestreamtags', causes: [{ field, reason, message }] })
}

/** The ledger of any tag: these entries, newest first. */
export function ledger(...items: object[]): { body: object } {
  return { body: { kind: 'TagEventList', metadata: {}, items } }
}

/** Runs a command line against `api`. */
export async function weir(api: FakeApi, ...argv: string[]): Promise<CliResult> {
  return run([...argv, '--server', api.url, '--token', 't'])
}
