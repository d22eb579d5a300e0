/**
 * A table of what registries do and what Weir does then. Each row is a test, and its name is the row: what is asked, what the
 * registry does, what Weir does. Of each it is asserted too how often and for how many bytes the registry was asked, and what
 * `expectUnharmed` says: nothing wrong is stored, moved, linked, leaked or still waited for.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { any } from '../support/hostile-answers.ts'
import type { Piece, TestImage } from '../support/images.ts'
import { layerOf, type Place, startPlaces, wrongFiles } from './place.ts'
import { firstOfRange, lastOfRange, type Outcome, type RequestName, requestOf } from './requests.ts'
import { expectUnharmed } from './unharmed.ts'

/** What Weir does. */
export type Expected =
  /** The tag moves to the new image: `how` says how Weir got there. */
  | { moves: true }
  /** The import or the check fails for this reason, which a condition tells or the tag's last check, and the tag stands. */
  | { condition: string; says: RegExp }
  /** So many referrers are listed; `warns` of a list that may not be whole. */
  | { refers: number; warns?: RegExp }
  /** These tags of the repository are imported. */
  | { imports: readonly string[]; says?: RegExp }
  /** The client gets the true bytes. */
  | {
      gives:
        | 'the manifest'
        | 'the pinned manifest'
        | 'the layer'
        | 'its size'
        | 'the range'
        | 'the range, of other bytes'
    }
  /** The client gets an error. */
  | { status: number; code: string; says?: RegExp; retryAfter?: string }
  /** The client sees that the body broke off: it never ends well with fewer bytes, or with others. */
  | { cut: true }

export interface Row {
  /** What the registry does. */
  registry: string
  asked: RequestName
  /** Tells the registry what to do. */
  script?(place: Place): Promise<void> | void
  /** What `lib/app:v1` stands at, and may never be kept. */
  plants?(place: Place): Piece
  weir: Expected
  /** How or why, where that says something. */
  note?: string
  /** Most bytes that the registry may get rid of, default 256 KiB beside what is honestly wanted. */
  mostBytes?: number
  /** Most requests that come to it, those before the script not counted; default 8. */
  mostRequests?: number
  /** What Weir waits before it asks again, in milliseconds; default not looked at. */
  waits?: readonly number[]
  /** What else is to be seen. */
  also?(place: Place, outcome: Outcome): Promise<void> | void
}

/** How the registry of each row is served, and for what Weir waits how long. */
type Served = Parameters<typeof startPlaces>[2]

/** Rows that share one Weir and come one after the other. */
export function table(name: string, rows: readonly Row[], served: () => Promise<Served> = async () => ({})): void {
  describe(name, () => {
    const cleanups: (() => Promise<void>)[] = []
    let places: Awaited<ReturnType<typeof startPlaces>>
    beforeAll(async () => {
      places = await startPlaces(rows.length, (cleanup) => void cleanups.push(cleanup), await served())
    })
    afterAll(async () => {
      for (const cleanup of cleanups.reverse()) await cleanup()
    })
    test.for(rows.map((row) => [nameOf(row), row] as const))('%s', async ([, row]) => run(row, await places.next()))
    test('after all of these, what is held is right', async () => {
      expect(await wrongFiles(places.world)).toEqual([])
    })
  })
}

async function run(row: Row, place: Place): Promise<void> {
  const { registry, waits } = place
  const request = requestOf(row.asked)
  await request.prepare?.(place)
  waits.length = 0
  const before = { requests: registry.requests.length, bytes: registry.sentBytes() }
  const planted = row.plants === undefined ? [] : [row.plants(place)]
  for (const piece of planted) registry.put('lib/app', piece, { tag: 'v1' })
  await row.script?.(place)
  const outcome = await request.send(place)
  const asked = registry.requests.slice(before.requests)
  expect(outcome).toMatchObject(outcomeOf(row.weir, place))
  if (row.waits !== undefined) expect(waits).toEqual(row.waits)
  expect(asked.length, asked.map(({ method, path }) => `${method} ${path}`).join('\n')).toBeLessThanOrEqual(
    row.mostRequests ?? 8,
  )
  const isServed = 'moves' in row.weir || 'gives' in row.weir || 'imports' in row.weir
  const honestBytes = isServed ? 2 * layerOf(place.good).bytes.length : 0
  expect(registry.sentBytes() - before.bytes).toBeLessThanOrEqual((row.mostBytes ?? 256 * 1024) + honestBytes)
  await row.also?.(place, outcome)
  await expectUnharmed(place, { asked: row.asked, isServed, planted })
}

/** What is to come of a request. */
function outcomeOf(weir: Expected, { good, next }: Place): object {
  if ('moves' in weir) return { kind: 'moved', digest: next.manifest.digest }
  if ('condition' in weir) {
    return { kind: 'failed', reason: weir.condition, message: expect.stringMatching(weir.says) }
  }
  if ('refers' in weir) {
    const warning = weir.warns === undefined ? '' : expect.stringMatching(weir.warns)
    return { kind: 'told', referrers: { length: weir.refers }, warning }
  }
  if ('imports' in weir) {
    return { kind: 'listed', tags: weir.imports, message: expect.stringMatching(weir.says ?? any) }
  }
  if ('cut' in weir) return { kind: 'cut' }
  if ('status' in weir) {
    const { status, code, says = any, retryAfter } = weir
    const told = retryAfter === undefined ? {} : { retryAfter }
    return { kind: 'refused', status, code, message: expect.stringMatching(says), ...told }
  }
  return gift(weir.gives, good, next)
}

function gift(what: Extract<Expected, { gives: unknown }>['gives'], good: TestImage, next: TestImage): object {
  const layer = layerOf(good).bytes
  const whole = (bytes: Buffer) => ({
    kind: 'gave',
    status: 200,
    length: String(bytes.length),
    digest: digestOf(bytes),
  })
  const part = layer.subarray(firstOfRange, lastOfRange + 1)
  return {
    'the manifest': whole(next.manifest.bytes),
    'the pinned manifest': whole(good.manifest.bytes),
    'the layer': whole(layer),
    'the range': { ...whole(part), status: 206 },
    'the range, of other bytes': { ...whole(Buffer.alloc(part.length, 'wrong')), status: 206 },
    'its size': { ...whole(Buffer.of()), length: String(layer.length) },
  }[what]
}

function nameOf({ asked, registry, weir, note }: Row): string {
  return `${asked} | ${registry} | ${wordsFor(weir, asked)}${note === undefined ? '' : `: ${note}`}`
}

function wordsFor(weir: Expected, asked: RequestName): string {
  if ('moves' in weir) return 'the tag moves'
  if ('condition' in weir) {
    return `the tag stands, ${asked.startsWith('scheduled') ? 'its check says' : 'condition'} ${weir.condition}`
  }
  if ('refers' in weir)
    return `lists ${weir.refers}${weir.warns === undefined ? '' : ', and warns that there may be more'}`
  if ('imports' in weir) return weir.imports.length === 0 ? 'imports nothing' : `imports ${weir.imports.join(', ')}`
  if ('cut' in weir) return 'the client sees it break off'
  if ('status' in weir) return `${weir.status} ${weir.code}`.trimEnd()
  return `gives ${weir.gives}`
}
