import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { TestImage } from '../../support/images.ts'
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts'
import { createKubectl, type Kubectl, type KubectlOptions, kubeconfigOf } from './kubectl.ts'
import { realImage } from './real-images.ts'
import { type RunningWeir, startWeir } from './weir.ts'

/** A Weir before a docker-registry that has `lib/app` in three versions, and kubectl for anybody. */
export interface KubectlWorld {
  directory: string
  registry: DockerRegistry
  weir: RunningWeir
  /** `localhost:PORT/lib/app:VERSION`; versions are 1, 2 and 3. */
  app(version: number): string
  digest(version: number): string
  /** kubectl as the admin in a project that is made. */
  inProject(project: string, options?: Pick<KubectlOptions, 'release'>): Promise<Kubectl>
  /** kubectl as another, whose token it is, in a project that is there. */
  as(token: string, project: string, options?: Pick<KubectlOptions, 'release'>): Promise<Kubectl>
  stop(): Promise<void>
}

export async function startKubectlWorld(): Promise<KubectlWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-kubectl-'))
  const registry = await startDockerRegistry(directory)
  const images = new Map<number, TestImage>([1, 2, 3].map((version) => [version, realImage(`app ${version}`)]))
  for (const [version, image] of images) await registry.put('lib/app', image, String(version))
  const weir = await startWeir(directory, { upstreams: [{ host: registry.host, insecure: true }] })
  let homes = 0
  const home = () => {
    homes += 1
    return join(directory, `home-${homes}`)
  }
  return {
    directory,
    registry,
    weir,
    app: (version) => `${registry.host}/lib/app:${version}`,
    digest: (version) => images.get(version)?.manifest.digest ?? '',
    async inProject(project, options = {}) {
      await weir.weir('new-project', project)
      return createKubectl({ kubeconfig: weir.kubeconfig, project, home: home(), ...options })
    },
    async as(token, project, options = {}) {
      const own = home()
      const kubeconfig = await kubeconfigOf(weir.kubeconfig, token, `${own}.kubeconfig`)
      return createKubectl({ kubeconfig, project, home: own, ...options })
    },
    async stop() {
      await weir.stop()
      await registry.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Where a tag comes from: `host/repository:tag`, or `stream:tag` and `tag` after `istag/`, `stream@digest` after `isimage/`. */
export type Source = string

/** The YAML of an image stream, its tags in the order given. */
export function streamYaml(
  name: string,
  tags: Readonly<Record<string, Source>> = {},
  { spec = {}, ...metadata }: { spec?: object; labels?: object; annotations?: object; resourceVersion?: string } = {},
): string {
  const list = Object.entries(tags).map(([tag, source]) => ({ name: tag, from: from(source) }))
  return stringify({
    apiVersion: 'image.openshift.io/v1',
    kind: 'ImageStream',
    metadata: { name, ...metadata },
    spec: { ...spec, ...(list.length > 0 && { tags: list }) },
  })
}

function from(source: Source): { kind: string; name: string } {
  if (source.startsWith('istag/')) return { kind: 'ImageStreamTag', name: source.slice('istag/'.length) }
  if (source.startsWith('isimage/')) return { kind: 'ImageStreamImage', name: source.slice('isimage/'.length) }
  return { kind: 'DockerImage', name: source }
}
