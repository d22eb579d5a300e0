/** A whole Weir in front of hostile registries, and a place for each row of the table. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect } from 'vitest'
import { digestHex, digestOf } from '../../src/oci/digest.ts'
import { type Defer, temporaryDirectory } from '../support/directory.ts'
import type { FakeUpstreamOptions } from '../support/fake-upstream.ts'
import { type HostileRegistry, startHostileRegistry } from '../support/hostile-registry.ts'
import { makeImage, type Piece, type TestImage } from '../support/images.ts'
import { startWorld, type World } from '../support/world.ts'

/** Of a row: nothing of it is shared but Weir. */
export interface Place {
  world: World
  /** Named in the config, with the login of {@link login}. */
  registry: HostileRegistry
  /** Named in the config too, also with a login: where a registry may send on to. */
  other: HostileRegistry
  /** A server that nobody named: nothing may come there. */
  stranger: Stranger
  /** In project `demo`; its tag `prod` stands at `good`, imported from `lib/app:v1` of the registry. */
  stream: string
  good: TestImage
  /** Nobody asked for it yet. */
  next: TestImage
  /** What Weir waited before it asked again, in milliseconds: nothing really waits. */
  waits: number[]
  /** Puts Weir's clock forward. */
  later(ms: number): void
}

export interface Stranger {
  /** `127.0.0.1:port`. */
  host: string
  port: number
  connections(): number
}

/** What Weir shows to registries that ask for it. */
export const login = { username: 'weir-robot', password: 'hunter2-of-the-robot' }

/**
 * Of what is waited for less than by default, and more than an honest registry needs: the first part of an answer, or the next. What
 * is far away does not come before it on a busy machine.
 */
const soonParts = {
  connectMs: 2000,
  headersMs: 2000,
  wholeMs: 120_000,
  tagsMs: 120_000,
  referrersMs: 120_000,
  blobIdleMs: 500,
}

/** The same for whole answers, which may come part by part. */
export const soonWhole = {
  connectMs: 2000,
  headersMs: 120_000,
  wholeMs: 1500,
  tagsMs: 120_000,
  referrersMs: 120_000,
  blobIdleMs: 120_000,
}

/** The same for lists of several pages. */
export const soonLists = {
  connectMs: 2000,
  headersMs: 120_000,
  wholeMs: 120_000,
  tagsMs: 1500,
  referrersMs: 1500,
  blobIdleMs: 120_000,
}

/** How the registries of places are served, and for what Weir waits how long. */
interface Served extends Pick<FakeUpstreamOptions, 'tls'> {
  timeouts?: typeof soonParts
}

/** Starts Weir; gives a place for each row, one after the other. */
export async function startPlaces(
  rows: number,
  defer: Defer,
  { timeouts = soonParts, ...registries }: Served = {},
): Promise<{ next(): Promise<Place>; world: World }> {
  const directory = await temporaryDirectory(defer)
  const passwordFile = join(directory, 'password')
  await writeFile(passwordFile, login.password)
  const pairs = await Promise.all(
    Array.from({ length: rows }, async () => ({
      registry: await startHostileRegistry({ ...registries, defer }),
      other: await startHostileRegistry({ defer }),
    })),
  )
  const waits: number[] = []
  let aheadMs = 0
  const later = (ms: number): void => {
    aheadMs += ms
  }
  const world = await startWorld({
    defer,
    now: () => Date.now() + aheadMs,
    config: {
      upstreams: pairs.flatMap(({ registry, other }) =>
        [registry, other].map(({ host }) => ({
          host,
          insecure: true,
          username: login.username,
          passwordFile,
          projects: ['demo'],
          repositories: ['**'],
          // Of how politely Weir asks, other tests tell.
          limits: { concurrency: 100, requestsPerSecond: 1000 },
        })),
      ),
    },
    patience: {
      timeouts,
      retry: {
        random: () => 0,
        wait: async (ms, signal) => {
          waits.push(ms)
          signal?.throwIfAborted()
        },
      },
    },
  })
  for (const argv of [
    ['new-project', 'demo'],
    ['grant', 'pull', 'anonymous', '-n', 'demo'],
  ]) {
    expect(await world.cli(...argv), argv.join(' ')).toMatchObject({ exitCode: 0 })
  }
  let row = 0
  return {
    world,
    async next() {
      const pair = pairs[row]
      row += 1
      if (pair === undefined) throw new TypeError('more rows than were announced')
      const place = await settle({
        ...pair,
        world,
        waits,
        later,
        stranger: await startStranger(defer),
        stream: `row-${row}`,
      })
      waits.length = 0
      return place
    },
  }
}

async function settle(bare: Omit<Place, 'good' | 'next'>): Promise<Place> {
  const { world, registry, stream } = bare
  const good = image(`${registry.host} good`)
  registry.put('lib/app', good, { tag: 'v1' })
  const from = ['--from', `${registry.host}/lib/app:v1`]
  expect(await world.cli('import-image', `demo/${stream}:prod`, ...from)).toMatchObject({ exitCode: 0 })
  return { ...bare, good, next: image(`${registry.host} next`) }
}

/** One whose layer is too large to be given out as a single piece. */
function image(seed: string): TestImage {
  return makeImage(seed, { layers: [Buffer.alloc(layerBytes, `${seed} `)] })
}

export const layerBytes = 3 * 2 ** 20

/** What a registry can get rid of though nobody reads it: the kernel takes it into the buffers of two sockets. */
export const inSockets = 16e6

/** The layer of an image. */
export function layerOf({ layers: [layer] }: TestImage): Piece {
  return layer ?? expect.unreachable()
}

async function startStranger(defer: Defer): Promise<Stranger> {
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(() => new Promise<void>((resolve) => server.close(() => resolve())))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('a server on TCP has a port')
  return { host: `127.0.0.1:${address.port}`, port: address.port, connections: () => connections }
}

/** Which of these Weir has files of: held, or begun. */
export async function filesOf({ world }: Place, pieces: readonly Piece[]): Promise<string[]> {
  const content = join(world.dataDirectory, 'content')
  const names = await readdir(content, { recursive: true })
  return names.filter((name) => pieces.some(({ digest }) => name.includes(digestHex(digest))))
}

/** The digests whose files have other bytes. */
export async function wrongFiles({ dataDirectory }: World): Promise<string[]> {
  const directory = join(dataDirectory, 'content', 'blobs', 'sha256')
  const wrong: string[] = []
  for (const hex of await readdir(directory)) {
    if (digestHex(digestOf(await readFile(join(directory, hex)))) !== hex) wrong.push(hex)
  }
  return wrong
}
