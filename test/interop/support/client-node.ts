import {
  CustomObjectsApi,
  KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  makeInformer,
} from '@kubernetes/client-node'

/** An image stream as far as the tests look at it. */
export interface StreamObject extends KubernetesObject {
  spec?: { tags?: { name: string; from?: { kind: string; name: string }; annotations?: object | null }[] }
  status?: { tags?: { tag: string; items: { image: string }[] | null }[] }
}

/** An image stream tag, as far. */
export interface TagObject extends KubernetesObject {
  image?: { metadata?: { name?: string } }
}

export const imageApi = { group: 'image.openshift.io', version: 'v1' } as const
export const inDemo = { ...imageApi, namespace: 'demo', plural: 'imagestreams' } as const

export function kubeConfigOf(file: string): KubeConfig {
  const config = new KubeConfig()
  config.loadFromFile(file)
  return config
}

/** What an informer told of one object. */
export interface Told {
  type: 'add' | 'update' | 'delete'
  name: string
  uid: string
  version: number
  /** The image that each tag stands at. */
  heads: Record<string, string>
}

/** An informer that is started again whenever it fails, as its users do, and a record of all that it told. */
export interface RecordedInformer {
  told: Told[]
  /** Why it had to be started again. */
  failures: string[]
  /** How often it asked for a list. */
  lists(): number
  /** What it knows now: each object's resourceVersion by its name, in the order of names. */
  cache(): [name: string, version: number][]
  /** The image that each tag is known to stand at, by `stream:tag`, when it informs itself of tags. */
  images(): [name: string, image: string][]
  stop(): Promise<void>
}

export interface InformerOptions {
  /** Default `imagestreams`. */
  plural?: 'imagestreams' | 'imagestreamtags'
  labelSelector?: string
}

/** Informs itself of the project demo. */
export async function recordInformer(config: KubeConfig, options: InformerOptions = {}): Promise<RecordedInformer> {
  const { plural = 'imagestreams', labelSelector } = options
  const api = config.makeApiClient(CustomObjectsApi)
  let lists = 0
  const list = async (): Promise<KubernetesListObject<StreamObject & TagObject>> => {
    lists += 1
    return api.listNamespacedCustomObject({
      ...inDemo,
      plural,
      ...(labelSelector === undefined ? {} : { labelSelector }),
    })
  }
  const path = `/apis/image.openshift.io/v1/namespaces/demo/${plural}`
  const informer = makeInformer<StreamObject & TagObject>(config, path, list, labelSelector)
  const told: Told[] = []
  const failures: string[] = []
  let stopped = false
  for (const type of ['add', 'update', 'delete'] as const) {
    informer.on(type, (object) => void told.push({ type, ...summary(object) }))
  }
  informer.on('error', (error) => {
    failures.push(String(error))
    if (!stopped) setTimeout(() => stopped || informer.start(), 100)
  })
  await informer.start()
  return {
    told,
    failures,
    lists: () => lists,
    cache: () => versions(informer.list()),
    images: () => imagesOf(informer.list()),
    stop() {
      stopped = true
      return informer.stop()
    },
  }
}

/** Each object's resourceVersion by its name, in the order of names. */
export function versions(objects: readonly KubernetesObject[]): [name: string, version: number][] {
  return objects
    .map(({ metadata }): [string, number] => [metadata?.name ?? '', Number(metadata?.resourceVersion)])
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

/** The image of each tag by its name, in the order of names. */
export function imagesOf(objects: readonly TagObject[]): [name: string, image: string][] {
  return objects
    .map(({ metadata, image }): [string, string] => [metadata?.name ?? '', image?.metadata?.name ?? ''])
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

/** The image that each tag of a stream stands at. */
export function headsOf({ status }: StreamObject): Record<string, string> {
  return Object.fromEntries((status?.tags ?? []).map(({ tag, items }) => [tag, items?.[0]?.image ?? '']))
}

function summary(object: StreamObject): Omit<Told, 'type'> {
  const { name = '', uid = '', resourceVersion } = object.metadata ?? {}
  return { name, uid, version: Number(resourceVersion), heads: headsOf(object) }
}
