/** Opens what follows upstreams: imports by hand, and those that go on by themselves. */
import { runPendingImports } from './importer/pending.ts'
import { createImporter, type Importer, type ImporterOptions } from './importer.ts'
import type { Lifetime } from './lifetime.ts'
import type { Store } from './store/store.ts'
import type { Streams } from './streams/create-streams.ts'

export interface OpenImportsOptions extends Omit<ImporterOptions, keyof Streams> {
  store: Store
  streams: Streams
  lifetime: Lifetime
}

/** Begins what is pending at once. */
export function openImports({ store, streams, lifetime, ...options }: OpenImportsOptions): Importer {
  const importer = createImporter({ ...streams, ...options })
  lifetime.run((signal) => runPendingImports({ ...streams, ...importer, store, signal, log: options.log }))
  return importer
}
