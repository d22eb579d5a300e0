import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decode,
  encode,
  eventKey,
  ledgerRange,
  lifeKey,
  livesRange,
  outboxKey,
  streamOfKey,
  tagKey,
  tagOfKey,
  tagsRange,
} from '../../src/streams/keys.ts'

const component = fc.stringMatching(/^[a-z0-9]+([._-][a-z0-9]+)?$/).filter((value) => value.length <= 20)
const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,12}$/)
const name = fc.record({ project: component, stream: component })
const runs = { numRuns: 300 }

/** Order of the store: UTF-8 bytes. */
const isBefore = (a: string, b: string): boolean => Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0

test('entries and notices sort by their number', () => {
  fc.assert(
    fc.property(name, tag, fc.nat({ max: 2 ** 31 - 1 }), fc.nat({ max: 2 ** 31 - 1 }), (of, t, a, b) => {
      expect(isBefore(eventKey(of, t, a), eventKey(of, t, b))).toBe(a < b)
      expect(isBefore(outboxKey(of, t, a), outboxKey(of, t, b))).toBe(a < b)
    }),
    runs,
  )
})

test('the range of a tag covers no entry of another tag', () => {
  fc.assert(
    fc.property(name, tag, tag, fc.nat(), (of, one, other, revision) => {
      const covers = eventKey(of, other, revision).startsWith(ledgerRange(of, one, undefined).prefix)
      expect(covers).toBe(one === other)
    }),
    runs,
  )
})

test('the tags of a stream are not those of another', () => {
  fc.assert(
    fc.property(name, name, tag, (one, other, t) => {
      const covers = tagKey(other, t).startsWith(tagsRange(one, undefined).prefix)
      expect(covers).toBe(lifeKey(one) === lifeKey(other))
    }),
    runs,
  )
})

test('a page after a key begins right behind it', () => {
  fc.assert(
    fc.property(name, tag, tag, (of, after, other) => {
      const start = tagsRange(of, after).start ?? ''
      expect(isBefore(tagKey(of, other), start)).toBe(!isBefore(tagKey(of, after), tagKey(of, other)))
    }),
    runs,
  )
})

test('names are read back from keys', () => {
  fc.assert(
    fc.property(name, tag, (of, t) => {
      expect(streamOfKey(lifeKey(of))).toEqual(of)
      expect(lifeKey(of).startsWith(livesRange(of.project, undefined).prefix)).toBe(true)
      expect(tagOfKey(tagKey(of, t))).toBe(t)
    }),
    runs,
  )
})

test('records are read back as they were written', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = encode(value)
      expect(encode(decode({ key: 'k', value: text, revision: 1 }))).toBe(text)
    }),
    runs,
  )
})
