import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createClient } from '../../src/cli/client.ts'
import { CliError } from '../../src/cli/failures.ts'
import { findDigest } from '../../src/cli/ledger.ts'
import { startFakeApi } from './fake-api.ts'
import { event, events, listed } from './ledger-api.ts'

const name = { project: 'demo', stream: 'app', tag: 'prod' }

// Few digits, so that digests often begin alike.
const digest = fc
  .array(fc.constantFrom('a', 'b'), { minLength: 9, maxLength: 9 })
  .map((digits) => `sha256:${digits.join('').padEnd(64, '0')}`)

test('the beginning of a digest stands for the one digest that begins so, or for none', async () => {
  const api = await startFakeApi()
  const client = createClient({ server: { url: api.url, from: 'a test', insecureSkipTlsVerify: false } })
  const ledger = fc.array(digest, { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(
      ledger,
      digest,
      fc.integer({ min: 7, max: 64 }),
      fc.boolean(),
      async (images, wanted, size, isHex) => {
        api.answer('GET', events, listed(images.map((image, i) => event(i + 1, image, {}))))
        const begins = wanted.slice(0, 7 + size)
        const found = await findDigest(client, name, isHex ? begins.slice(7) : begins).catch((error: unknown) => error)
        const expected = [...new Set(images)].filter((image) => image.startsWith(begins))
        if (expected.length === 1) expect(found).toBe(expected[0])
        else expect(found).toBeInstanceOf(CliError)
      },
    ),
    { numRuns: 200 },
  )
  client.close()
})
