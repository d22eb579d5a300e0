import type { StreamName } from '../../src/oci/reference.ts'
import { createPullThrough, type PullThrough, type PullThroughOptions } from '../../src/pull-through.ts'
import { createObjects } from '../../src/store/objects.ts'
import { type FlowsWorld, flowsWorld } from '../support/flows.ts'
import type { Piece, TestImage, TestIndex } from '../support/images.ts'

export const app: StreamName = { project: 'demo', stream: 'app' }

export interface PullWorld extends FlowsWorld {
  /** A pull path with nothing in memory, as after a restart. */
  restarted(changes?: Partial<PullThroughOptions>): PullThrough
  /** Puts content into `lib/app` of the registry and imports it as `tag` of a stream. */
  import(
    content: TestImage | TestIndex | Piece,
    options?: { name?: StreamName; repository?: string; tag?: string },
  ): Promise<void>
  /** What the registry was asked for since the last time: `GET lib/app sha256:...`, or a tag. */
  asked(): string[]
}

/** The flows with projects `demo` and `evil`; `pullThrough` follows the test's clock. */
export async function pullWorld(): Promise<PullWorld> {
  const world = await flowsWorld()
  const { registry, store, clock, importer } = world
  await createObjects({ store, now: clock.now }).create('namespaces', '', { metadata: { name: 'evil' } })
  const restarted: PullWorld['restarted'] = (changes) => createPullThrough({ ...world, now: clock.now, ...changes })
  let told = 0
  return {
    ...world,
    restarted,
    pullThrough: restarted(),
    async import(content, { name = app, repository = 'lib/app', tag = 'prod' } = {}) {
      registry.put(repository, content, { tag })
      const images = [{ from: `${registry.host}/${repository}:${tag}`, to: tag, importPolicy: {} }]
      const { images: results } = await importer.import({ ...name, by: 'admin', images })
      for (const result of results) if ('error' in result) throw result.error
      told = registry.requests.length
    },
    asked() {
      const requests = registry.requests.slice(told)
      told = registry.requests.length
      return requests.flatMap(({ method, path }) => {
        const match = /^\/v2\/(.+)\/(?:manifests|blobs)\/(.+)$/.exec(path)
        return match === null ? [] : [`${method} ${match[1]} ${match[2]}`]
      })
    },
  }
}
