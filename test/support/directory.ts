import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Keeps what is to be done when what was made for a test goes: with the test by default. */
export type Defer = (cleanup: () => Promise<void>) => void

/** An empty directory that goes with the test. */
export async function temporaryDirectory(defer: Defer = onTestFinished): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-test-'))
  defer(() => rm(directory, { recursive: true, force: true }))
  return directory
}
