import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import type { Push, Pusher } from '../../src/push.ts'
import { ann, blobWorld, bob, sent } from './blob-world.ts'

const step = fc.record({
  by: fc.constantFrom(ann, bob),
  what: fc.constantFrom('begin', 'append', 'append', 'status', 'finish', 'finishWrong', 'cancel', 'restart'),
  /** Which of the uploads of this run. */
  at: fc.nat(3),
  piece: fc.uint8Array({ maxLength: 50 }),
  /** Where the piece is said to go, beside the end of the upload; undefined: nothing is said. */
  shift: fc.constantFrom(undefined, 0, 0, -1, 1),
  /** How much longer than it is the piece is said to be. */
  excess: fc.constantFrom(0, 0, 0, -1, 1),
})

interface Known {
  id: string
  by: Pusher
  bytes: Buffer
  isOver: boolean
}

/** What a call came to: its answer, or the code of its refusal. */
async function outcome(work: Promise<unknown>): Promise<unknown> {
  try {
    return await work
  } catch (error) {
    if (error instanceof RegistryError) return error.code
    throw error
  }
}

test('whatever two users send to uploads of one stream, in whatever order, it has what came and nothing else', async () => {
  const world = await blobWorld()
  let push: Push = world.push
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      runs += 1
      const name = { project: 'demo', stream: `run-${runs}` }
      const known: Known[] = []
      const blobs = new Map<string, Buffer>()
      for (const { by, what, at, piece, shift, excess } of steps) {
        if (what === 'restart') push = world.pushWith()
        if (what === 'begin') {
          const begun = await push.begin(name, by)
          known.push({ id: 'upload' in begun ? begun.upload.id : '', by, bytes: Buffer.alloc(0), isOver: false })
        }
        const upload = known[at]
        if (upload === undefined || what === 'begin' || what === 'restart') continue
        const { id, bytes } = upload
        const isHis = upload.by === by && !upload.isOver
        const start = bytes.length + (shift ?? 0)
        const length = piece.length + excess
        const range = shift === undefined || start < 0 || length < 0 ? undefined : { start, length }
        const refusal = !isHis
          ? 'BLOB_UPLOAD_UNKNOWN'
          : range !== undefined && range.start !== bytes.length
            ? 'UPLOAD_OFFSET_INVALID'
            : range !== undefined && range.length !== piece.length
              ? 'SIZE_INVALID'
              : undefined
        const after = refusal === undefined ? Buffer.concat([bytes, piece]) : bytes
        const body = { body: sent(Buffer.from(piece)), ...(range && { range }) }
        if (what === 'status') {
          const expected = isHis ? { id, offset: bytes.length } : 'BLOB_UPLOAD_UNKNOWN'
          expect(await outcome(push.status(name, id, by))).toEqual(expected)
        } else if (what === 'append') {
          const appended = await outcome(push.append(name, id, by, body.body, range))
          expect(appended).toEqual(refusal ?? { id, offset: after.length })
          upload.bytes = after
        } else if (what === 'cancel') {
          expect(await outcome(push.cancel(name, id, by))).toBe(isHis ? undefined : 'BLOB_UPLOAD_UNKNOWN')
          upload.isOver ||= isHis
        } else {
          const isRight = what === 'finish'
          const digest = digestOf(isRight ? after : Buffer.concat([after, Buffer.from('!')]))
          const finished = await outcome(push.finish(name, id, by, digest, body))
          expect(finished).toBe(refusal ?? (isRight ? undefined : 'DIGEST_INVALID'))
          upload.isOver ||= refusal === undefined
          if (refusal === undefined && isRight) blobs.set(digest, after)
        }
      }
      for (const [digest, bytes] of blobs) expect(await world.blob(name, digestOf(bytes))).toEqual(blobs.get(digest))
      expect((await world.links.list(name)).map(({ digest }) => digest).sort()).toEqual([...blobs.keys()].sort())
      const open = known.filter(({ isOver }) => !isOver)
      const left = (await world.uploads()).records.sort()
      expect(left).toEqual(open.map(({ id }) => id).sort())
      for (const { id, by } of open) await push.cancel(name, id, by)
      expect(await world.uploads()).toEqual({ records: [], files: [] })
    }),
    { numRuns: 200 },
  )
}, 120_000)
