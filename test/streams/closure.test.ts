import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { closureOf, type Part } from '../../src/streams/closure.ts'
import type { ImageRecord } from '../../src/streams/records.ts'
import type { StreamLink } from '../../src/streams/streams.ts'

const name = { project: 'demo', stream: 'app' }
const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const indexType = 'application/vnd.oci.image.index.v1+json'

/** A node of a graph of manifests: numbers name others; blobs are numbers too. */
interface Node {
  platform: 'linux/amd64' | 'linux/arm64' | 'linux/s390x' | undefined
  children: number[]
  blobs: number[]
  isRead: boolean
  isLinked: boolean
}

const manifestOf = (n: number): Digest => digestOf(`manifest ${n}`)
const blobOf = (n: number): Digest => digestOf(`blob ${n}`)

/** Links and images of a stream with these manifests. Children have higher numbers: a digest can not name itself. */
function linksOf(nodes: readonly Node[]) {
  const byDigest = new Map(nodes.map((node, n) => [manifestOf(n), node]))
  const described = (n: number) => {
    const [os, architecture] = nodes[n]?.platform?.split('/') ?? []
    const mediaType = manifestType
    return { digest: manifestOf(n), mediaType, size: n, ...(os && architecture ? { os, architecture } : {}) }
  }
  return {
    async get(_name: unknown, digest: Digest): Promise<StreamLink | undefined> {
      const node = byDigest.get(digest)
      if (node !== undefined && !node.isLinked) return undefined
      return {
        digest,
        mediaType: node === undefined ? 'application/octet-stream' : indexType,
        manifestType: node === undefined ? undefined : indexType,
        size: 1,
        locations: [],
        children: [],
        received: true,
        isBlob: node === undefined,
        createdAt: '',
      }
    },
    async image(digest: Digest): Promise<ImageRecord | undefined> {
      const node = byDigest.get(digest)
      if (node === undefined || !node.isRead) return undefined
      const [config, ...layers] = node.blobs.map((n) => ({ digest: blobOf(n), mediaType: 'blob', size: n }))
      return {
        mediaType: indexType,
        size: 1,
        layers,
        manifests: node.children.map(described),
        ...(config && { config }),
      }
    },
  }
}

/** The same, found in the plainest way: all that is reachable, wanted when some way to it is. */
function expected(nodes: readonly Node[], platforms: readonly string[]): Map<Digest, boolean> {
  const found = new Map<Digest, boolean>()
  const walk = (n: number, isWanted: boolean): void => {
    const node = nodes[n]
    if (node === undefined) return
    found.set(manifestOf(n), (found.get(manifestOf(n)) ?? false) || isWanted)
    if (!node.isLinked || !node.isRead) return
    for (const blob of node.blobs) found.set(blobOf(blob), (found.get(blobOf(blob)) ?? false) || isWanted)
    for (const child of node.children) {
      const platform = nodes[child]?.platform
      walk(child, isWanted && (platform === undefined || platforms.includes(platform)))
    }
  }
  walk(0, true)
  return found
}

const graph = fc.integer({ min: 1, max: 8 }).chain((count) =>
  fc.tuple(
    ...Array.from({ length: count }, (_, n) =>
      fc.record({
        platform: fc.constantFrom('linux/amd64' as const, 'linux/arm64' as const, 'linux/s390x' as const, undefined),
        children: fc.uniqueArray(fc.integer({ min: n + 1, max: Math.max(n + 1, count - 1) }), { maxLength: 4 }),
        blobs: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { maxLength: 4 }),
        isRead: fc.boolean().map((no) => !no || n === 0),
        isLinked: fc.integer({ min: 0, max: 9 }).map((chance) => chance > 0),
      }),
    ),
  ),
)
const chosen = fc.subarray(['linux/amd64', 'linux/arm64', 'linux/s390x'])

function shown(parts: readonly Part[]): [Digest, boolean][] {
  return parts.map(({ digest, isWanted }): [Digest, boolean] => [digest, isWanted]).sort()
}

describe('everything that an image is made of', () => {
  test('is found once, and is wanted when any wanted manifest names it', async () => {
    await fc.assert(
      fc.asyncProperty(graph, chosen, async (nodes: Node[], platforms) => {
        const within = nodes.map((node) => ({ ...node, children: node.children.filter((n) => n < nodes.length) }))
        const parts = await closureOf(linksOf(within), name, manifestOf(0), platforms)
        expect(shown(parts)).toEqual([...expected(within, platforms)].sort())
        expect(parts[0]?.digest).toBe(manifestOf(0))
        const wanted = await closureOf(linksOf(within), name, manifestOf(0), platforms, { wantedAlone: true })
        expect(shown(wanted)).toEqual(shown(parts).filter(([, isWanted]) => isWanted))
      }),
      { numRuns: 300 },
    )
  })

  test('is not looked for beyond the most parts that somebody wants to know of', async () => {
    const children = Array.from({ length: 500 }, (_, i) => i + 1)
    const node = { platform: undefined, blobs: [], isRead: true, isLinked: true }
    const nodes = [{ ...node, children }, ...children.map(() => ({ ...node, children: [] }))]
    let asked = 0
    const links = linksOf(nodes)
    const counting = { ...links, get: (...of: Parameters<typeof links.get>) => links.get(...of).finally(() => asked++) }
    const parts = await closureOf(counting, name, manifestOf(0), [], { maxParts: 100 })
    expect(parts).toHaveLength(101)
    expect(asked).toBe(101)
  })

  test('has nothing of layers that no registry has to have', async () => {
    const links = linksOf([{ platform: undefined, children: [], blobs: [1], isRead: true, isLinked: true }])
    const foreign = {
      digest: blobOf(9),
      mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      size: 1,
    }
    const withForeign = {
      ...links,
      image: async (digest: Digest) => {
        const image = await links.image(digest)
        return image && { ...image, layers: [...image.layers, foreign] }
      },
    }
    const parts = await closureOf(withForeign, name, manifestOf(0), [])
    expect(parts.map(({ digest }) => digest)).toEqual([manifestOf(0), blobOf(1)])
  })
})
