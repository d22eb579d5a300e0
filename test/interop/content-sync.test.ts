import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { digestHex, digestOf } from '../../src/oci/digest.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { must } from './support/process.ts'

const bytes = '{"schemaVersion":2}'
const digest = digestOf(bytes)

/** Keeps one manifest and prints `kept` when that is said to be durable. */
const writer = (directory: string) => `
  import { writeSync } from 'node:fs'
  import { createContent } from ${JSON.stringify(sourceUrl('create-content.ts'))}
  const content = await createContent({ directory: ${JSON.stringify(directory)}, source: {} })
  const location = { kind: 'upstream', host: 'a.example', repository: 'lib/app', project: 'demo' }
  await content.putManifest(${JSON.stringify(digest)}, Buffer.from(${JSON.stringify(bytes)}), location)
  writeSync(1, 'kept')
`

test('I6: a manifest is durable before it is said to be kept: file, rename, directory, proof', async () => {
  const temporary = await temporaryDirectory()
  const directory = join(temporary, 'content')
  const trace = join(temporary, 'trace')
  const calls = 'trace=fsync,fdatasync,rename,write'
  const node = [process.execPath, '--input-type=module-typescript', '--eval', writer(directory)]
  await must('strace', ['-f', '-y', '-e', calls, '-o', trace, ...node])
  const done = completed(await readFile(trace, 'latin1'))

  const hex = digestHex(digest)
  const shard = join(directory, 'sha256', hex.slice(0, 2))
  const file = join(shard, hex)
  const at = (pattern: string | RegExp, from = 0) => {
    const found = done.findIndex(
      (call, i) => i >= from && (typeof pattern === 'string' ? call.includes(pattern) : pattern.test(call)),
    )
    expect(found, `${pattern} after ${from} in\n${done.join('\n')}`).toBeGreaterThanOrEqual(0)
    return found
  }
  const synced = at(new RegExp(`^fsync\\(\\d+<${directory}/tmp/[^>]+>\\)`))
  const renamed = at(/^rename\(/, synced)
  expect(done[renamed]).toContain(`"${file}"`)
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

/** The calls of a trace in the order in which they ended; one that began before and ended after another is joined. */
function completed(trace: string): string[] {
  const begun = new Map<string, string>()
  return trace.split('\n').flatMap((line) => {
    const [, thread = '', call = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    if (call.endsWith('<unfinished ...>')) {
      begun.set(thread, call.replace(/\s*<unfinished \.\.\.>$/, ''))
      return []
    }
    const rest = /^<\.\.\. \w+ resumed>(.*)$/.exec(call)?.[1]
    return rest === undefined ? [call] : [`${begun.get(thread) ?? ''}${rest}`]
  })
}

function sourceUrl(name: string): string {
  return pathToFileURL(fileURLToPath(new URL(`../../src/content/${name}`, import.meta.url))).href
}
