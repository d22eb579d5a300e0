import { setImmediate } from 'node:timers/promises'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { runPendingImports } from '../../src/importer/pending.ts'
import { type ApiWorld, apiWorld } from '../api/world.ts'
import { makeImage } from '../support/images.ts'
import { startFakeApi } from './fake-api.ts'
import { type CliResult, run } from './run.ts'

/** The command line before the real API over real parts. */
export interface Story extends ApiWorld {
  /** Runs a command line as the administrator, or as the bearer of `token`. */
  weir(argv: string[], token?: string): Promise<CliResult>
  /** Lets the upstream's `lib/app:v1` be another image; answers its digest. */
  publish(seed: string): string
  /** `lib/app:v1` as a user names it. */
  from: string
  /** Imports in the background what tags want, as a server does, until the test ends. */
  importPending(): void
}

/** Starts it, with the project `demo` and nothing in it. */
export async function story(): Promise<Story> {
  const world = await apiWorld()
  const front = await startFakeApi()
  front.otherwise(async ({ method, path, query, headers, body }) => {
    const token = headers.authorization?.replace('Bearer ', '')
    const search = new URLSearchParams(query).toString()
    const answered = await world.send(method, search === '' ? path : `${path}?${search}`, {
      ...(token === undefined ? {} : { token }),
      ...(headers['content-type'] === undefined ? {} : { headers: { 'content-type': headers['content-type'] } }),
      ...(body === undefined ? {} : { body }),
    })
    return { status: answered.status, body: answered.body }
  })
  const clock = { now: world.clock.now, pause: () => setImmediate() }
  return {
    ...world,
    weir: (argv, token = world.adminToken) =>
      run([...argv, '--server', front.url, ...(token === '' ? [] : ['--token', token])], { clock }),
    publish: (seed) => {
      const image = makeImage(seed)
      world.registry.put('lib/app', image, { tag: 'v1' })
      return image.manifest.digest
    },
    from: `${world.registry.host}/lib/app:v1`,
    importPending: () => {
      const { store, reader, importer } = world
      const ending = new AbortController()
      const { importPending } = importer
      const log = pino({ level: 'silent' })
      const work = runPendingImports({ store, reader, importPending, signal: ending.signal, log })
      onTestFinished(async () => {
        ending.abort()
        await work
      })
    },
  }
}
