import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../support/directory.ts'
import { sourceUrl, traceModule } from './support/strace.ts'

/** Makes a key, seals a record with it, and prepares the key that follows; prints what is said to be durable. */
const writer = (directory: string) => `
  import { writeSync } from 'node:fs'
  import { openSecretKeys, prepareNextKey, secretKeyFile } from ${JSON.stringify(sourceUrl('access/secret-key.ts'))}
  import { createLevelStore } from ${JSON.stringify(sourceUrl('store/level.ts'))}
  const directory = ${JSON.stringify(directory)}
  const store = await createLevelStore({ directory: directory + '/store', logged: [] })
  const file = secretKeyFile(directory)
  const log = { info() {}, warn() {} }
  await openSecretKeys({ store, file, log })
  writeSync(1, 'opened')
  await prepareNextKey(file)
  writeSync(1, 'prepared')
  await openSecretKeys({ store, file, log })
  writeSync(1, 'followed')
  await store.close()
`

test('I6: a secret key is durable before anything can be sealed with it, and the old one stays until then', async () => {
  const directory = await temporaryDirectory()
  const { at, calls } = await traceModule(writer(directory), {
    calls: 'fsync,fdatasync,rename,link,unlink,write',
    file: join(directory, 'trace'),
  })
  const key = join(directory, 'secret.key')
  /** From a position on: the draft is whole, then in its place, then its place is. */
  const written = (from: number, way: 'rename' | 'link', to: string) => {
    const synced = at(new RegExp(`^fsync\\(\\d+<${key}\\.[^>]+\\.tmp>\\)`), from)
    const placed = at(new RegExp(`^${way}\\(`), synced)
    expect(calls[placed]).toContain(`, "${to}")`)
    return at(new RegExp(`^fsync\\(\\d+<${directory}>\\)`), placed)
  }
  const opened = at(/^write\(1.*"opened"/)
  const prepared = at(/^write\(1.*"prepared"/)
  const followed = at(/^write\(1.*"followed"/)
  expect(written(0, 'rename', key)).toBeLessThan(opened)
  expect(written(opened, 'link', `${key}.next`)).toBeLessThan(prepared)
  const both = written(prepared, 'rename', key)
  expect(both).toBeLessThan(followed)
  expect(at(`unlink("${key}.next")`)).toBeGreaterThan(both)
})
