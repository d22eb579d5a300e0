import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Content } from '../../src/content/content.ts'
import type { UploadRange } from '../../src/content/uploads.ts'
import { type Digest, type DigestAlgorithm, digestOf } from '../../src/oci/digest.ts'
import { body } from './upload-bodies.ts'
import { contentWorld, linkTo } from './world.ts'

const maxBytes = 60_000

/** What came, and what should be held: the upload begins anew when it ended. */
interface Run {
  content: Content
  restart(): Promise<Content>
  id: string
  came: Buffer
  held: Set<Digest>
}

type Step = (run: Run) => Promise<void>

const algorithm = fc.constantFrom<DigestAlgorithm>('sha256', 'sha512')
const pieces = fc.array(fc.uint8Array({ maxLength: 9000 }).map(Buffer.from), { maxLength: 4 })

async function append(run: Run, sent: readonly (Buffer | Error)[], range?: UploadRange): Promise<void> {
  const all = Buffer.concat(sent.filter((piece): piece is Buffer => !(piece instanceof Error)))
  const came = Buffer.concat([run.came, all])
  const failure = sent.find((piece) => piece instanceof Error)
  const work = run.content.uploads.append(run.id, body(...sent), { maxBytes, ...(range && { range }) })
  const code = expectedFailure(run.came.length, all.length, failure !== undefined, range)
  if (code === undefined && failure === undefined) expect(await work).toBe(came.length)
  else await expect(work).rejects.toMatchObject(code === undefined ? { message: 'broke off' } : { code })
  if (code === undefined) run.came = came
}

function expectedFailure(offset: number, bytes: number, isBroken: boolean, range?: UploadRange): string | undefined {
  if (range !== undefined && range.start !== offset) return 'UPLOAD_OFFSET_INVALID'
  if (range !== undefined && offset + range.length > maxBytes) return 'TOO_LARGE'
  if (range !== undefined && (bytes > range.length || (bytes < range.length && !isBroken))) return 'SIZE_INVALID'
  return offset + bytes > maxBytes ? 'TOO_LARGE' : undefined
}

const steps: fc.Arbitrary<Step> = fc.oneof(
  pieces.map(
    (sent): Step =>
      (run) =>
        append(run, sent),
  ),
  fc.tuple(pieces, fc.constantFrom(0, 0, 0, -1, 1, 7000), fc.constantFrom(0, 0, -1, 1, 5000)).map(
    ([sent, shift, longer]): Step =>
      (run) => {
        const length = Math.max(0, sent.reduce((sum, piece) => sum + piece.length, 0) + longer)
        return append(run, sent, { start: Math.max(0, run.came.length + shift), length })
      },
  ),
  fc.tuple(pieces, fc.option(fc.nat(20_000))).map(
    ([sent, length]): Step =>
      (run) => {
        const range = length === null ? undefined : { start: run.came.length, length }
        return append(run, [...sent, new Error('broke off')], range)
      },
  ),
  fc.constant<Step>(async (run) => {
    run.content = await run.restart()
  }),
  fc.tuple(algorithm, fc.boolean()).map(
    ([named, isRight]): Step =>
      async (run) => {
        const digest = digestOf(isRight ? run.came : Buffer.concat([run.came, Buffer.from('x')]), named)
        const work = run.content.uploads.finish(run.id, digest)
        if (isRight) expect(await work).toBe(run.came.length)
        else await expect(work).rejects.toMatchObject({ code: 'DIGEST_INVALID' })
        if (isRight) run.held.add(digest)
        run.came = Buffer.alloc(0)
      },
  ),
  fc.constant<Step>(async (run) => {
    await run.content.uploads.cancel(run.id)
    run.came = Buffer.alloc(0)
  }),
)

test('I4, I6: whatever is sent in whatever order, an upload is what was acknowledged of it', {
  timeout: 120_000,
}, async () => {
  const world = await contentWorld()
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 12 }), async (sequence) => {
      const run: Run = {
        content: world.content,
        restart: () => world.reopen(),
        id: randomUUID(),
        came: Buffer.alloc(0),
        held: new Set(),
      }
      for (const step of sequence) {
        await step(run)
        expect(await run.content.uploads.offset(run.id)).toBe(run.came.length)
      }
      for (const digest of run.held) expect(await run.content.held(linkTo(digest, { kind: 'here' }))).toBeDefined()
      expect(await run.content.uploads.finish(run.id, digestOf(run.came))).toBe(run.came.length)
    }),
    { numRuns: 200 },
  )
})
