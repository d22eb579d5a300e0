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
      ...(body === undefined ? {} : { body }),
    })
    return { status: answered.status, body: answered.body }
  })
  return {
    ...world,
    weir: (argv, token = world.adminToken) =>
      run([...argv, '--server', front.url, ...(token === '' ? [] : ['--token', token])]),
    publish: (seed) => {
      const image = makeImage(seed)
      world.registry.put('lib/app', image, { tag: 'v1' })
      return image.manifest.digest
    },
    from: `${world.registry.host}/lib/app:v1`,
  }
}
