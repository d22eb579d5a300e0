import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { TestImage, TestIndex } from '../../support/images.ts'
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts'
import { decodeAsGo } from './go-types.ts'
import { createOc, type Oc, type OcAnswer } from './oc.ts'
import { type MakeStep, postImport, type Row, rbacApi, streams } from './oc-commands.ts'
import { realImage, realIndex } from './real-images.ts'
import { type RunningWeir, startWeir } from './weir.ts'

/** A Weir for a test file, with the projects demo, other and secret, before a docker-registry. */
export interface OcWorld {
  /** Only while tests run. */
  parts(): { directory: string; registry: DockerRegistry; weir: RunningWeir; admin: Oc }
  /** The images of `lib/app`, versions 1 to 3; `lib/few` has them as 1.0, 1.1 and 1.2. */
  images: readonly TestImage[]
  /** What `lib/index:1` is. */
  index: TestIndex
  app(version: number): string
  digest(version: number): string
  /** Sends a command's requests one after the other; answers the answers. */
  replay(steps: readonly MakeStep[], as?: Oc): Promise<OcAnswer[]>
  /** Makes a test of each row. */
  rows(list: readonly Row[]): void
  /** Makes a stream whose tags stand at versions of `lib/app`. */
  given(stream: string, versions: Record<string, number>, project?: string): Promise<void>
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  streamOf(name: string, project?: string): Promise<any>
  /** The version of `lib/app` that each tag stands at, 0 for none of them. */
  standing(name: string, project?: string): Promise<Record<string, number>>
  /** Waits for an import behind the answer. */
  comesToStand(name: string, versions: Record<string, number>, project?: string): Promise<void>
  /** A robot of a project that may do what these rules say there. */
  robot(name: string, rules: readonly object[], project?: string): Promise<Oc>
}

/** Starts it before the tests of a file and ends it after them. */
export function useOcWorld(): OcWorld {
  const images = [1, 2, 3].map((version) => realImage(`app ${version}`))
  const index = realIndex('app index')
  const digests: string[] = images.map((image) => image.manifest.digest)
  const digest = (version: number) => digests[version - 1] ?? ''
  let directory: string
  let registry: DockerRegistry
  let weir: RunningWeir
  let admin: Oc

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'weir-oc-'))
    registry = await startDockerRegistry(directory)
    for (const [i, image] of images.entries()) {
      await registry.put('lib/app', image, String(i + 1))
      await registry.put('lib/few', image, `1.${i}`)
    }
    await registry.put('lib/index', index, '1')
    weir = await startWeir(directory, { upstreams: [{ host: registry.host, insecure: true }] })
    for (const project of ['demo', 'other', 'secret']) await weir.weir('new-project', project)
    admin = await createOc(weir.kubeconfig)
  })

  afterAll(async () => {
    await weir?.stop()
    await registry?.stop()
    if (directory !== undefined) await rm(directory, { recursive: true, force: true })
  })

  const app = (version: number) => `${registry.host}/lib/app:${version}`

  async function replay(steps: readonly MakeStep[], as: Oc = admin): Promise<OcAnswer[]> {
    const answers: OcAnswer[] = []
    for (const make of steps) {
      const { needs, ...request } = make(answers)
      const answer = await as.send(request)
      const what = `${request.method} ${request.path}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 1000)}`
      expect([needs.status].flat(), what).toContain(answer.status)
      if (request.method !== 'HEAD' && typeof answer.body === 'object') {
        const isDiscovery = /^\/(apis?|version)(\?|$)/.test(request.path)
        if (!isDiscovery) expect(() => decodeAsGo(answer.body), what).not.toThrow()
        if (answer.status >= 400) expect(answer.body, what).toMatchObject({ kind: 'Status', code: answer.status })
      }
      if (needs.contentType !== undefined) expect(answer.contentType).toBe(needs.contentType)
      if (needs.body !== undefined) expect(answer.body, what).toMatchObject(needs.body)
      answers.push(answer)
    }
    return answers
  }

  async function given(stream: string, versions: Record<string, number>, project = 'demo'): Promise<void> {
    const sources = Object.fromEntries(Object.entries(versions).map(([tag, version]) => [tag, app(version)]))
    await replay([() => postImport(stream, { tags: sources, project })])
  }

  async function streamOf(name: string, project = 'demo') {
    const { body } = await admin.send({ method: 'GET', path: `${streams(project)}/${name}` })
    return body
  }

  async function standing(name: string, project = 'demo'): Promise<Record<string, number>> {
    const { status } = await streamOf(name, project)
    const heads = (status.tags ?? []) as { tag: string; items: { image: string }[] | null }[]
    return Object.fromEntries(heads.map(({ tag, items }) => [tag, digests.indexOf(items?.[0]?.image ?? '') + 1]))
  }

  async function comesToStand(name: string, versions: Record<string, number>, project = 'demo'): Promise<void> {
    await vi.waitFor(async () => expect(await standing(name, project)).toMatchObject(versions), { timeout: 20_000 })
  }

  async function robot(name: string, rules: readonly object[], project = 'demo'): Promise<Oc> {
    const token = (await weir.weir('token', name, '-n', project)).trim()
    const metadata = { name }
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name }
    const subjects = [{ kind: 'ServiceAccount', name, namespace: project }]
    const path = `${rbacApi}/namespaces/${project}`
    for (const [resource, body] of [
      ['roles', { metadata, rules }],
      ['rolebindings', { metadata, roleRef, subjects }],
    ] as const) {
      const { status } = await admin.send({ method: 'POST', path: `${path}/${resource}`, body })
      expect(status).toBe(201)
    }
    return createOc(weir.kubeconfig, { token })
  }

  function rows(list: readonly Row[]): void {
    for (const { command, given, as, steps, leads } of list) {
      test(command, async () => {
        await given?.()
        const answers = await replay(steps, await as?.())
        await leads?.(answers)
      })
    }
  }

  return {
    parts: () => ({ directory, registry, weir, admin }),
    images,
    index,
    app,
    digest,
    replay,
    rows,
    given,
    streamOf,
    standing,
    comesToStand,
    robot,
  }
}
