import type { FakeApi } from './fake-api.ts'
import { type CliResult, run } from './run.ts'

/** The ledger of a tag, as `history`, `rollback` and `resume` meet it. */
export const events = '/apis/weir.dev/v1/namespaces/demo/tagevents'
export const [a, b] = ['a', 'b'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string]

/** One entry of the ledger of `demo/app:prod`. */
export function event(revision: number, image: string, cause: object): object {
  const metadata = {
    name: `app.prod.${revision}`,
    namespace: 'demo',
    creationTimestamp: `2026-01-0${revision}T00:00:00Z`,
  }
  return { metadata, stream: 'app', tag: 'prod', revision, image, cause }
}

const from = { kind: 'DockerImage', name: 'quay.io/org/app:v1' }
export const rolledBack = event(3, a, { kind: 'rollback', by: 'jane', reason: 'bad build', restoredRevision: 1 })
export const moved = event(2, b, { kind: 'import', by: 'weir:admin', from })
export const first = event(1, a, { kind: 'import', by: 'weir:admin', from })

/** A page of the ledger. */
export function listed(items: object[], next?: string): { body: object } {
  const metadata = next === undefined ? {} : { continue: next }
  return { body: { kind: 'TagEventList', apiVersion: 'weir.dev/v1', metadata, items } }
}

/** Runs a command line against `api`. */
export async function weir(api: FakeApi, ...argv: string[]): Promise<CliResult> {
  return run([...argv, '--server', api.url, '--token', 't'])
}
