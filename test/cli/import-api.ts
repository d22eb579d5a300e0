import type { FakeApi, Reply } from './fake-api.ts'
import { type CliResult, run } from './run.ts'

/** Paths and objects of the import API, as `import-image` meets them. */
export const stream = '/apis/image.openshift.io/v1/namespaces/demo/imagestreams/app'
export const imports = '/apis/image.openshift.io/v1/namespaces/demo/imagestreamimports'
export const events = '/apis/weir.dev/v1/namespaces/demo/tagevents'
export const [a, b, c] = ['a', 'b', 'c'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string, string]

/** One element of a stream's `spec.tags`. */
export interface SpecTag {
  name: string
  from?: { kind: string; name: string } | null
  reference?: boolean
  importPolicy?: object
  referencePolicy?: object
}

/** A tag that follows a registry's image. */
export function docker(name: string, from: string, more: Partial<SpecTag> = {}): SpecTag {
  return { name, from: { kind: 'DockerImage', name: from }, ...more }
}

/** A stream that wants `tags`, of which those in `stands` stand at a digest. */
export function streamOf(tags: SpecTag[], stands: Record<string, string> = {}): { body: object } {
  const status = Object.entries(stands).map(([tag, image]) => ({
    tag,
    items: [{ image, created: '2026-01-01T00:00:00Z' }],
  }))
  return { body: { kind: 'ImageStream', metadata: { name: 'app' }, spec: { tags }, status: { tags: status } } }
}

/** The answer to an import; each image is a digest or a failure. */
export function imported(...images: (string | { reason: string; message: string; details?: object })[]) {
  const told = images.map((image) =>
    typeof image === 'string'
      ? { status: { kind: 'Status', status: 'Success' }, image: { metadata: { name: image } } }
      : { status: { kind: 'Status', status: 'Failure', ...image } },
  )
  return {
    status: 201,
    body: {
      kind: 'ImageStreamImport',
      metadata: { name: 'app' },
      spec: { import: true, images },
      status: { images: told },
    },
  }
}

/** The answer to an import, with the stream as it is stored afterwards. */
export function importedInto(stored: { body: object }, ...images: Parameters<typeof imported>): Reply {
  const { status, body } = imported(...images)
  return { status, body: { ...body, status: { ...body.status, import: stored.body } } }
}

/** One entry of a ledger. */
export function event(revision: number, image: string, previousImage?: string): object {
  return { revision, image, ...(previousImage === undefined ? {} : { previousImage }) }
}

/** Runs `import-image`. */
export async function importing(api: FakeApi, ...argv: string[]): Promise<CliResult> {
  return run(['import-image', ...argv, '--server', api.url, '--token', 't'])
}
