import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Location } from '../../src/content/content.ts'
import { mergedLinks, type Said, saidOf, streamLink, withLink } from '../../src/streams/link-records.ts'
import type { LinkRecord } from '../../src/streams/records.ts'
import { digest, imageType } from './world.ts'

const life = { uid: 'u', projectUid: 'p' }
const here: Location = { kind: 'here' }
const quay: Location = { kind: 'upstream', host: 'quay.io', repository: 'org/app', project: 'demo' }
const mediaType = 'application/octet-stream'
const context = { nowMs: 0 }

const claim = (size: number | undefined): Said => ({ mediaType, size, locations: [quay] })
const measured: Said = { mediaType, size: 7, locations: [here], measured: true }

/** What another stream says whose link came to be by `said`. */
function copied(said: readonly Said[]): Said {
  return saidOf(recordOf(said))
}

function recordOf(said: readonly Said[]): LinkRecord {
  let record: LinkRecord | undefined
  for (const each of said) record = withLink(record, each, life, context) ?? record
  if (record === undefined) throw new Error('nothing was said')
  return record
}

const claims = fc.option(fc.nat(20), { nil: undefined }).map(claim)
const told = fc.oneof(claims, fc.array(claims, { minLength: 1, maxLength: 4 }).map(copied))

test('a size that was measured is that of the link for good, whatever is claimed before and after, and by way of copies', () => {
  fc.assert(
    fc.property(fc.array(told), fc.array(told), fc.array(told), (before, after, ofCopy) => {
      const record = recordOf([...before, measured, ...after])
      expect(record).toMatchObject({ size: 7, measured: true })
      expect(record.disputed).toBeUndefined()
      const copy = recordOf([...ofCopy, saidOf(record), ...after])
      expect(streamLink(digest('a'), copy)).toMatchObject({ size: 7, measured: true })
      expect(copy.disputed).toBeUndefined()
    }),
    { numRuns: 300 },
  )
})

test('claims are never a measurement: two that differ leave none, in any order and by way of copies', () => {
  fc.assert(
    fc.property(fc.array(told, { minLength: 1 }), fc.array(fc.nat(20), { minLength: 1 }), (said, sizes) => {
      const all = [...said, ...sizes.map(claim)]
      const record = recordOf(all)
      expect(record.measured).toBeUndefined()
      expect(streamLink(digest('a'), record).measured).toBeUndefined()
      const isDisputed = all.some((each) => each.disputed) || new Set(all.flatMap(({ size = [] }) => size)).size > 1
      expect(record.size).toBe(isDisputed ? undefined : sizes[0])
    }),
    { numRuns: 300 },
  )
})

test('a manifest that was received tells its size, also of bytes that came as a blob', () => {
  const received: Said = { mediaType: imageType, size: 7, locations: [quay], received: true }
  for (const said of [
    [measured, received, claim(9)],
    [received, measured, claim(9)],
  ])
    expect(recordOf(said)).toMatchObject({ size: 7, received: true, mediaType: imageType })
})

test('of several links of a digest that are added at once the measured one tells the size', () => {
  const one = { digest: digest('a'), ...measured }
  const other = { digest: digest('a'), ...claim(9) }
  for (const links of [
    [one, other],
    [other, one],
  ])
    expect(mergedLinks(links).get(digest('a'))).toMatchObject({
      size: 7,
      measured: true,
      locations: expect.arrayContaining([here, quay]),
    })
})
