/**
 * Commits as fast as it can, many at once, until it is killed, and prints on stdout what it does: `open`, then for each
 * commit `begin` and one of `ack` and `conflict`, before it goes on: what `process.stdout` has queued behind a full pipe
 * would be lost with the process.
 *
 * `node test/soak/store-writer.ts DIRECTORY SESSION`
 */

import { writeSync } from 'node:fs'
import { createLevelStore } from '../../src/store/level.ts'
import type { Operation, Precondition } from '../../src/store/store.ts'
import { eventKeys, soakOptions, writerCount } from './store-soak.ts'

const [directory = '', session = ''] = process.argv.slice(2)
const store = await createLevelStore({ directory, ...soakOptions })
say(`open ${(await store.range({ prefix: 'tag/', limit: 0 })).revision}`)
await Promise.all(Array.from({ length: writerCount }, (_, i) => writeForever(i)))

async function writeForever(writer: number): Promise<void> {
  const own = `tag/${writer}`
  let ownRevision = (await store.get(own))?.revision ?? 0
  for (let count = 0; ; count += 1) {
    const id = `${session}.${writer}.${count}`
    const operations: Operation[] = [own, ...eventKeys(id)].map((key) => ({ type: 'put', key, value: valueFor(id) }))
    const preconditions: Precondition[] = [{ key: own, revision: ownRevision }]
    if (count % 3 === 0) {
      // All writers move this one: most of these commits conflict.
      preconditions.push({ key: 'tag/shared', revision: (await store.get('tag/shared'))?.revision ?? 0 })
      operations.push({ type: 'put', key: 'tag/shared', value: valueFor(id) })
    }
    say(`begin ${id}`)
    const result = await store.commit({ operations, preconditions })
    if (result.status === 'unknown') throw result.cause
    if (result.status === 'committed') ownRevision = result.revision
    say(result.status === 'committed' ? `ack ${id} ${result.revision}` : `conflict ${id}`)
  }
}

function valueFor(id: string): string {
  return JSON.stringify({ id, padding: 'x'.repeat(Math.floor(Math.random() * 400)) })
}

function say(line: string): void {
  writeSync(1, `${line}\n`)
}
