import { makeImage } from '../../support/images.ts'
import { type Answered, type ApiWorld, apiWorld, imageApi, inDemo } from '../world.ts'

export const v1 = makeImage('v1')
export const v2 = makeImage('v2')
export const imports = `${imageApi}/${inDemo}/imagestreamimports`
export const streams = `${imageApi}/${inDemo}/imagestreams`
export const tags = `${imageApi}/${inDemo}/imagestreamtags`

export interface ImagesWorld extends ApiWorld {
  /** `127.0.0.1:port/lib/app:v1`, which stands at the image `v1` until it is moved. */
  from: string
  /** Imports `from` into the stream `app` (or `stream`) as the admin, through the API. */
  importTag(tag: string, stream?: string): Promise<Answered>
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
  return { ...world, from, importTag }
}
