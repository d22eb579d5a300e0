import { makeImage } from '../../support/images.ts'
import { type Answered, type ApiWorld, apiWorld, imageApi, inDemo } from '../world.ts'

export const v1 = makeImage('v1')
export const v2 = makeImage('v2')
export const imports = `${imageApi}/${inDemo}/imagestreamimports`
export const streams = `${imageApi}/${inDemo}/imagestreams`
export const tags = `${imageApi}/${inDemo}/imagestreamtags`
export const itags = `${imageApi}/${inDemo}/imagetags`
export const isimages = `${imageApi}/${inDemo}/imagestreamimages`
export const mappings = `${imageApi}/${inDemo}/imagestreammappings`
export const images = `${imageApi}/images`

const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
}

export type PatchType = keyof typeof patchTypes

export interface ImagesWorld extends ApiWorld {
  /** `127.0.0.1:port/lib/app:v1`, which stands at the image `v1` until it is moved. */
  from: string
  /** Imports `from` into the stream `app` (or `stream`) as the admin, through the API. */
  importTag(tag: string, stream?: string): Promise<Answered>
  /** Sends a patch, as the admin unless a token is given. */
  patch(type: PatchType, path: string, body: unknown, token?: string): Promise<Answered>
  /** The newest revision of the store: the same after what wrote nothing. */
  revision(): Promise<number>
}

/** An ImageStreamImport of one image. */
export function importOf(
  from: string,
  to: string | undefined,
  stream = 'app',
  more: object = {},
): Record<string, unknown> {
  return {
    kind: 'ImageStreamImport',
    apiVersion: 'image.openshift.io/v1',
    metadata: { name: stream, namespace: 'demo' },
    spec: {
      import: true,
      images: [{ from: { kind: 'DockerImage', name: from }, ...(to === undefined ? {} : { to: { name: to } }) }],
    },
    ...more,
  }
}

/** The API with an upstream whose `lib/app:v1` is there. */
export async function imagesWorld(...replace: Parameters<typeof apiWorld>): Promise<ImagesWorld> {
  const world = await apiWorld(...replace)
  world.registry.put('lib/app', v1, { tag: 'v1' })
  const from = `${world.registry.host}/lib/app:v1`
  const importTag: ImagesWorld['importTag'] = (tag, stream) =>
    world.asAdmin('POST', imports, importOf(from, tag, stream))
  const patch: ImagesWorld['patch'] = (type, path, body, token = world.adminToken) =>
    world.send('PATCH', path, { token, body, headers: { 'content-type': patchTypes[type] } })
  const revision = async () => (await world.store.range({ prefix: '' })).revision
  return { ...world, from, importTag, patch, revision }
}

/** `metadata.resourceVersion` of what was answered. */
export function versionOf({ body }: Answered): string {
  return (body.metadata as { resourceVersion: string }).resourceVersion
}

/** An object as it was answered, to be sent back. */
export interface Wire {
  metadata: Record<string, unknown>
  spec: { tags?: Record<string, unknown>[]; [field: string]: unknown }
  [field: string]: unknown
}

export function wire({ body }: Pick<Answered, 'body'>): Wire {
  return structuredClone(body) as unknown as Wire
}

/** A tag without what is computed of its content when it is read. */
export function withoutContent(tag: Wire): Wire {
  const { annotations, ...metadata } = tag.metadata
  const { 'weir.dev/content': _computed, ...own } = (annotations ?? {}) as Record<string, string>
  return { ...tag, metadata: Object.keys(own).length === 0 ? metadata : { ...metadata, annotations: own } }
}
