/** An upstream whose bytes are wrong, late, too many or too few: no client takes them for the blob, and nothing of them is kept. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { digestHex } from '../../src/oci/digest.ts'
import type { BlobFault, BlobRequest } from '../support/blob-upstream.ts'
import { generatedBlob } from '../support/generated-blob.ts'
import { type BlobWorld, filesBelow, startBlobWorld } from './support/blob-world.ts'

const size = 6_000_000
const half = size / 2
const cleanups: (() => Promise<void>)[] = []
/** By digest: tests run beside each other. */
const faults = new Map<string, BlobWorld['upstream']['fault']>()
let world: BlobWorld

beforeAll(async () => {
  world = await startBlobWorld({ defer: (cleanup) => void cleanups.push(cleanup) })
  world.upstream.fault = (request, before) => faults.get(request.digest)?.(request, before)
})

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
})

interface Hostility {
  name: string
  fault: BlobWorld['upstream']['fault']
  /** Whether clients get the blob all the same; undefined: they may, or not. */
  succeeds?: boolean
}

/** The first answer breaks off in the middle; what is asked for then goes wrong in another way. */
const onResume =
  (fault: BlobFault | ((request: BlobRequest) => BlobFault)): Hostility['fault'] =>
  (request, before) => {
    if (before === 0) return { cutAt: half }
    return typeof fault === 'function' ? fault(request) : fault
  }

const hostilities: Hostility[] = [
  { name: 'changes one bit at the start', fault: () => ({ flipAt: 0 }), succeeds: false },
  { name: 'changes one bit in the middle', fault: () => ({ flipAt: half }), succeeds: false },
  { name: 'changes one bit of the last byte', fault: () => ({ flipAt: size - 1 }), succeeds: false },
  { name: 'always breaks off at the same byte', fault: () => ({ cutAt: half }), succeeds: false },
  { name: 'always ends one byte early', fault: () => ({ endAt: size - 1 }), succeeds: false },
  { name: 'breaks off before the first byte', fault: () => ({ cutAt: 0 }), succeeds: false },
  { name: 'sends on and on', fault: () => ({ isEndless: true }) },
  { name: 'sends on and on, and one bit is wrong', fault: () => ({ isEndless: true, flipAt: half }), succeeds: false },
  { name: 'claims to compress', fault: () => ({ headers: { 'content-encoding': 'gzip' } }), succeeds: false },
  {
    name: 'promises less than the manifest',
    fault: () => ({ headers: { 'content-length': String(half) }, endAt: half }),
    succeeds: false,
  },
  { name: 'ignores the Range of a resume', fault: onResume({ ignoresRange: true }), succeeds: true },
  {
    name: 'ignores the Range of a resume, and one bit before it is wrong now',
    fault: onResume({ ignoresRange: true, flipAt: 0 }),
  },
  {
    name: 'answers a resume from another offset, and says so',
    fault: onResume({ claimsOffset: half + 1, sendsFrom: half + 1 }),
    succeeds: false,
  },
  { name: 'answers a resume from another offset, and denies it', fault: onResume({ sendsFrom: 0 }), succeeds: false },
  { name: 'lies about the offset of a resume alone', fault: onResume({ claimsOffset: half + 1 }), succeeds: false },
  { name: 'tells another size at a resume', fault: onResume({ claimsSize: size * 2 }), succeeds: false },
  { name: 'answers a resume with 416', fault: onResume({ status: 416 }) },
  { name: 'answers a resume with 404', fault: onResume({ status: 404 }), succeeds: false },
  { name: 'answers a resume with 401', fault: onResume({ status: 401 }), succeeds: false },
  { name: 'changes one bit after a resume', fault: onResume({ flipAt: half + 1 }), succeeds: false },
]

test.concurrent.for(hostilities)(
  'I4: of an upstream that $name no wrong byte is taken or kept',
  async (hostility, { expect }) => {
    const { fault, succeeds } = hostility
    const stream = `hostile${hostilities.indexOf(hostility)}`
    const layer = generatedBlob(stream, size)
    const { pull } = await world.image(stream, [layer])
    faults.set(layer.digest, fault)
    const clients = [1, 2, 3].map(() => pull.curl(layer.digest))
    const results = await Promise.all(clients.map(({ result }) => result))
    for (const result of results) {
      if (result.code === 0) expect(result.digest, 'taken for whole').toBe(layer.digest)
      if (succeeds !== undefined) expect(result.code === 0, result.stderr).toBe(succeeds)
      // Whoever was told the blob's length and then cut off knows it: never a clean end.
      if (result.code !== 0 && result.bytes > 0) expect(result.bytes).toBeLessThan(size)
    }
    const isTaken = results.some(({ code }) => code === 0)
    const kept = async () =>
      (await filesBelow(world.contentDirectory)).filter((file) => file.includes(digestHex(layer.digest)))
    const file = join('blobs/sha256', digestHex(layer.digest))
    await expect.poll(kept, { message: 'nothing but what is right' }).toEqual(isTaken ? [file] : [])

    faults.delete(layer.digest)
    const healed = await pull.curl(layer.digest).result
    expect(healed, 'the upstream is good again').toMatchObject({ code: 0, digest: layer.digest })
    await expect.poll(kept, { message: 'and is kept' }).toEqual([file])
  },
)

test('a client that gives up on a stalled upstream fails, and so does nobody else for it', async () => {
  const layer = generatedBlob('stalled', size)
  const { pull } = await world.image('stalled', [layer])
  faults.set(layer.digest, (_, before) => (before === 0 ? { stallAt: half } : undefined))
  const gaveUp = await pull.curl(layer.digest, '--max-time', '2').result
  expect(gaveUp.code, 'timed out').toBe(28)
  expect(gaveUp.bytes, 'what was there came at once').toBeGreaterThan(half - 1024 * 1024)
})

test('Weir still answers, and has crashed nowhere', async () => {
  expect((await fetch(`${world.weir.url}/readyz`)).status).toBe(200)
})
