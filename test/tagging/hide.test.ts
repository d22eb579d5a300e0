import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Tag } from '../../src/streams/streams.ts'
import { hiddenItems } from '../../src/tagging/hide.ts'
import { digest } from '../streams/world.ts'

type Item = { image: string; created: string }

/** Items by a letter each, newest first; the n-th oldest was created in the n-th second. */
function items(letters: string): Item[] {
  return [...letters].map((letter, i) => ({
    image: digest(letter),
    created: `2026-01-01T00:00:${String(letters.length - i).padStart(2, '0')}Z`,
  }))
}

function tag(name: string, present: Item[], storeRevision = 10): Tag {
  const events = present.map((item) => ({ ...item, dockerImageReference: item.image, generation: 1 }))
  const record = { uid: 'u', revision: events.length, items: events, current: events.length, commitId: '' }
  return { name, record: record as unknown as Tag['record'], storeRevision }
}

const cba = items('cba')
const [c, b, a] = cba as [Item, Item, Item]

describe('items of a tag', () => {
  test.each<[string, Item[], number[]]>([
    ['all of them hide none', [c, b, a], []],
    ['any but the newest may go', [c, a], [1]],
    ['all but the newest may go', [c], [1, 2]],
  ])('%s', (_, shown, left) => {
    const hidden = hiddenItems([tag('v1', cba)], [{ tag: 'v1', items: shown }], undefined)
    expect(hidden).toEqual({ hide: new Map(left.length === 0 ? [] : [['v1', left]]), causes: [], conflicts: [] })
  })

  test.each<[string, Item[]]>([
    ['the newest can not go', [b, a]],
    ['all can not go', []],
    ['their order stays', [b, c, a]],
    ['no item comes twice', [c, c, b, a]],
    ['no item is made up', [c, { ...b, image: digest('f') }, a]],
    ['the time of an item stays', [c, { ...b, created: '2026-01-01T00:00:00Z' }, a]],
  ])('%s', (_, shown) => {
    const hidden = hiddenItems([tag('v1', cba)], [{ tag: 'v1', items: shown }], undefined)
    expect(hidden.hide).toEqual(new Map())
    expect(hidden.causes).toMatchObject([{ field: 'status.tags[v1].items', reason: 'FieldValueInvalid' }])
  })

  test('of a tag that is left out can not all go', () => {
    expect(hiddenItems([tag('v1', cba)], [], undefined).causes).toHaveLength(1)
  })

  test('of a tag that is not there can not be made', () => {
    expect(hiddenItems([], [{ tag: 'v9', items: [a] }], undefined).causes).toMatchObject([
      { field: 'status.tags[v9].items' },
    ])
    expect(hiddenItems([], [{ tag: 'v9', items: [] }], undefined).causes).toEqual([])
  })

  test('of every tag are judged at once', () => {
    const shown = [
      { tag: 'v1', items: [b] },
      { tag: 'v2', items: [c, a] },
      { tag: 'v3', items: [a] },
    ]
    const { hide, causes } = hiddenItems([tag('v1', cba), tag('v2', cba)], shown, undefined)
    expect(hide).toEqual(new Map([['v2', [1]]]))
    expect(causes.map(({ field }) => field)).toEqual(['status.tags[v1].items', 'status.tags[v3].items'])
  })
})

describe('items of a tag that changed after what the client saw', () => {
  test('stay when he shows what was there before', () => {
    const shown = [{ tag: 'v1', items: [b, a] }]
    expect(hiddenItems([tag('v1', cba, 11)], shown, 10)).toEqual({ hide: new Map(), causes: [], conflicts: [] })
    expect(hiddenItems([tag('v1', cba, 10)], shown, 10).causes).toHaveLength(1)
  })

  test('stay when the tag is new', () => {
    expect(hiddenItems([tag('v1', cba, 11)], [], 10)).toEqual({ hide: new Map(), causes: [], conflicts: [] })
  })

  test('stay when the oldest fell out of the ten', () => {
    const shown = [{ tag: 'v1', items: [b, a, { image: digest('9'), created: '2025-01-01T00:00:00Z' }] }]
    expect(hiddenItems([tag('v1', cba, 11)], shown, 10).conflicts).toEqual([])
  })

  test('conflict when he hides one of them', () => {
    const { hide, conflicts, causes } = hiddenItems([tag('v1', cba, 11)], [{ tag: 'v1', items: [c, a] }], 10)
    expect(conflicts).toEqual([expect.stringContaining('"v1"')])
    expect([hide.size, causes]).toEqual([0, []])
  })
})

test('whatever is left out, what stays is what was shown, with the newest', () => {
  const letters = fc.string({ unit: fc.constantFrom(...'abc'), minLength: 1, maxLength: 10 })
  fc.assert(
    fc.property(letters, fc.array(fc.boolean(), { minLength: 10, maxLength: 10 }), (names, kept) => {
      const present = items(names)
      const shown = present.filter((_, i) => kept[i])
      const { hide, causes } = hiddenItems([tag('v1', present)], [{ tag: 'v1', items: shown }], undefined)
      const left = hide.get('v1') ?? []
      if (kept[0]) {
        expect(present.filter((_, i) => !left.includes(i))).toEqual(shown)
        expect([left.includes(0), causes]).toEqual([false, []])
      } else {
        expect([left, causes.length]).toEqual([[], 1])
      }
    }),
    { numRuns: 300 },
  )
})
