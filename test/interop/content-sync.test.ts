import { join } from 'node:path'
import { expect, test } from 'vitest'
import { digestHex, digestOf } from '../../src/oci/digest.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { sourceUrl, traceModule } from './support/strace.ts'

const bytes = '{"schemaVersion":2}'
const digest = digestOf(bytes)

/** Keeps one manifest and prints `kept` when that is said to be durable. */
const writer = (directory: string) => `
  import { writeSync } from 'node:fs'
  import { createContent } from ${JSON.stringify(sourceUrl('content/create-content.ts'))}
  const content = await createContent({ directory: ${JSON.stringify(directory)}, source: {} })
  const location = { kind: 'upstream', host: 'a.example', repository: 'lib/app', project: 'demo' }
  await content.putManifest(${JSON.stringify(digest)}, Buffer.from(${JSON.stringify(bytes)}), location)
  writeSync(1, 'kept')
`

test('I6: a manifest is durable before it is said to be kept: file, rename, directory, proof', async () => {
  const temporary = await temporaryDirectory()
  const directory = join(temporary, 'content')
  const { at, calls } = await traceModule(writer(directory), {
    calls: 'fsync,fdatasync,rename,write',
    file: join(temporary, 'trace'),
  })

  const hex = digestHex(digest)
  const shard = join(directory, 'sha256', hex.slice(0, 2))
  const file = join(shard, hex)
  const synced = at(new RegExp(`^fsync\\(\\d+<${directory}/tmp/[^>]+>\\)`))
  const renamed = at(/^rename\(/, synced)
  expect(calls[renamed]).toContain(`"${file}"`)
  const listed = at(`<${shard}>)`, renamed)
  const proofWritten = at(new RegExp(`^write\\(\\d+<${file}\\.locations>`), listed)
  const proofSynced = at(`<${file}.locations>)`, proofWritten + 1)
  const proofListed = at(`<${shard}>)`, proofSynced)
  const kept = at(/^write\(1.*"kept"/)
  expect(kept).toBeGreaterThan(proofListed)
  expect(at(`<${join(directory, 'sha256')}>)`)).toBeLessThan(kept)
  expect(at(`<${directory}>)`)).toBeLessThan(kept)
  expect(at(`<${temporary}>)`)).toBeLessThan(kept)
})
