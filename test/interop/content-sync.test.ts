import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { digestHex, digestOf } from '../../src/oci/digest.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { sourceUrl, type Trace, traceModule } from './support/strace.ts'

const bytes = '{"schemaVersion":2}'
const digest = digestOf(bytes)

/** Runs `work` with a content store whose one location has the bytes, and prints `kept` when that is said to be durable. */
const writer = (directory: string, store: string, work: string) => `
  import { writeSync } from 'node:fs'
  import { createContent } from ${JSON.stringify(sourceUrl('content/create-content.ts'))}
  import { createLevelStore } from ${JSON.stringify(sourceUrl('store/level.ts'))}
  import { createHeldRecords } from ${JSON.stringify(sourceUrl('streams/held-records.ts'))}
  const bytes = Buffer.from(${JSON.stringify(bytes)})
  const digest = ${JSON.stringify(digest)}
  const location = { kind: 'upstream', host: 'a.example', repository: 'lib/app', project: 'demo' }
  const link = { digest, mediaType: 'application/octet-stream', size: bytes.length, locations: [location] }
  const source = {
    size: async () => bytes.length,
    async open() {
      const pieces = [bytes]
      return { size: bytes.length, offset: 0, body: { read: async () => pieces.shift(), close() {} } }
    },
  }
  const store = await createLevelStore({ directory: ${JSON.stringify(store)}, logged: [] })
  const content = await createContent({
    directory: ${JSON.stringify(directory)},
    source,
    records: createHeldRecords({ store, now: Date.now }),
    acquireLease: (name, signal) => store.lease(name, signal),
    maxBytes: 1e9,
    finishBytes: 1e6,
  })
  ${work}
  writeSync(1, 'kept')
  await content.close()
  await store.close()
`

/** Things are in the order in which nothing that was said to be kept can get lost. */
function expectDurable({ at }: Trace, directory: string, store: string): void {
  const blobs = join(directory, 'blobs', 'sha256')
  const written = at(new RegExp(`^(?:write|pwrite64|writev)\\(\\d+<${directory}/partial/[^>]+>`))
  const synced = at(new RegExp(`^fsync\\(\\d+<${directory}/partial/[^>]+>\\)`), written)
  // A name of its own comes before: what it has there nobody else replaces.
  const renamed = at(new RegExp(`^rename\\(".*", "${join(blobs, digestHex(digest))}"\\)`), synced)
  const listed = at(new RegExp(`^fsync\\(\\d+<${blobs}>\\)`), renamed)
  const noted = at(/^write\(.*data\/held\//)
  expect(noted).toBeGreaterThan(listed)
  const recorded = at(new RegExp(`^fdatasync\\(\\d+<${store}/`), noted)
  const kept = at(/^write\(1.*"kept"/)
  expect(kept).toBeGreaterThan(recorded)
  for (const path of [join(directory, 'blobs'), directory, join(directory, '..')]) {
    expect(at(new RegExp(`^fsync\\(\\d+<${path}>\\)`))).toBeLessThan(kept)
  }
}

test.each([
  ['a manifest is', 'await content.putManifest(digest, bytes, location)'],
  ['a blob is', 'await content.fetch(link, { signal: new AbortController().signal })'],
])('I6: %s durable before it is said to be kept: file, rename, directory, record', async (_, work) => {
  const temporary = await temporaryDirectory()
  const [directory, store] = [join(temporary, 'content'), join(temporary, 'store')]
  const trace = await traceModule(writer(directory, store, work), {
    calls: 'fsync,fdatasync,rename,write,writev,pwrite64',
    file: join(temporary, 'trace'),
  })
  expectDurable(trace, directory, store)
})

test('I6: a piece of an upload is durable before it is acknowledged, and its blob before that is: file, names, record', async () => {
  const temporary = await temporaryDirectory()
  const [directory, store] = [join(temporary, 'content'), join(temporary, 'store')]
  const id = randomUUID()
  const work = `
    const id = ${JSON.stringify(id)}
    async function* body() { yield bytes }
    await content.uploads.append(id, body())
    writeSync(1, 'acknowledged')
    await content.uploads.finish(id, digest)
  `
  const { at } = await traceModule(writer(directory, store, work), {
    calls: 'fsync,fdatasync,rename,link,write,writev,pwrite64',
    file: join(temporary, 'trace'),
  })
  const file = join(directory, 'uploads', id)
  const written = at(new RegExp(`^(?:write|pwrite64|writev)\\(\\d+<${file}>`))
  const synced = at(new RegExp(`^fdatasync\\(\\d+<${file}>`), written)
  const listed = at(new RegExp(`^fsync\\(\\d+<${join(directory, 'uploads')}>`), written)
  const acknowledged = at(/^write\(1.*"acknowledged"/)
  expect(acknowledged).toBeGreaterThan(Math.max(synced, listed))
  const blobs = join(directory, 'blobs', 'sha256')
  const named = at(new RegExp(`^rename\\(".*", "${join(blobs, digestHex(digest))}"`), acknowledged)
  const nameListed = at(new RegExp(`^fsync\\(\\d+<${blobs}>`), named)
  const recorded = at(new RegExp(`^fdatasync\\(\\d+<${store}/`), at(/^write\(.*data\/held\//, nameListed))
  expect(at(/^write\(1.*"kept"/)).toBeGreaterThan(recorded)
})

test('I6: what a crash left of an upload is durable before anybody is told of it', async () => {
  const temporary = await temporaryDirectory()
  const [directory, store] = [join(temporary, 'content'), join(temporary, 'store')]
  const id = randomUUID()
  const file = join(directory, 'uploads', id)
  await mkdir(join(directory, 'uploads'), { recursive: true })
  await writeFile(file, bytes)
  const work = `
    const offset = await content.uploads.offset(${JSON.stringify(id)})
    writeSync(1, 'there are ' + offset)
  `
  const { at } = await traceModule(writer(directory, store, work), {
    calls: 'fsync,fdatasync,write',
    file: join(temporary, 'trace'),
  })
  const synced = at(new RegExp(`^fdatasync\\(\\d+<${file}>`))
  expect(at(new RegExp(`^write\\(1.*"there are ${bytes.length}"`))).toBeGreaterThan(synced)
})
