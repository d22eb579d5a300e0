import { describe, expect, test } from 'vitest'
import { appendEvent, formatTime, maxStatusItems } from '../../src/streams/events.ts'
import type { TagEvent } from '../../src/streams/records.ts'
import { digest } from './world.ts'

const [a, b] = [digest('a'), digest('b')]

function item(image: TagEvent['image'], reference: string, generation: number, created = 'then'): TagEvent {
  return { created, image, dockerImageReference: reference, generation }
}

const older = item(b, 'old/ref', 1)
const head = item(a, 'r/x', 2)

describe('appendEvent() follows the table of okd.md 2.3', () => {
  test('without items the event is the first', () => {
    const next = item(a, 'r/x', 1, 'now')
    expect(appendEvent([], next)).toEqual({ items: [next], changed: true, moved: true })
  })

  test.each([
    ['reference, image and generation are the same: nothing', item(a, 'r/x', 2, 'now'), [head, older], false, false],
    ['only the generation differs: it is renewed', item(a, 'r/x', 3, 'now'), [item(a, 'r/x', 3), older], true, false],
    [
      'the same reference, another image: no new item',
      item(b, 'r/x', 3, 'now'),
      [item(b, 'r/x', 3), older],
      true,
      true,
    ],
    [
      'another reference, the same image: no new item',
      item(a, 'm/x', 3, 'now'),
      [item(a, 'm/x', 3), older],
      true,
      false,
    ],
    ['both differ: prepended', item(b, 'm/x', 3, 'now'), [item(b, 'm/x', 3, 'now'), head, older], true, true],
  ])('%s', (_row, next, items, changed, moved) => {
    expect(appendEvent([head, older], next)).toEqual({ items, changed, moved })
  })

  test('A, B, A makes three items', () => {
    const events = [item(a, 'r@a', 1), item(b, 'r@b', 2), item(a, 'r@a', 3)]
    const items = events.reduce<TagEvent[]>((before, next) => appendEvent(before, next).items, [])
    expect(items.map(({ image }) => image)).toEqual([a, b, a])
  })

  test('a reference tag keeps one item, whatever its target', () => {
    const first = appendEvent([], item('', 'r/x:1', 1))
    const second = appendEvent(first.items, item('', 'r/x:2', 2, 'now'))
    expect(second).toEqual({ items: [item('', 'r/x:2', 2)], changed: true, moved: false })
  })

  test(`no more than ${maxStatusItems} items are kept, and the newest are`, () => {
    const generations = Array.from({ length: 25 }, (_, i) => i)
    const items = generations.reduce<TagEvent[]>(
      (before, i) => appendEvent(before, item(i % 2 ? a : b, `r/${i}`, i)).items,
      [],
    )
    expect(items.map(({ generation }) => generation)).toEqual(generations.slice(-10).reverse())
  })
})

test('formatTime() writes whole seconds in UTC', () => {
  expect(formatTime(Date.UTC(2026, 1, 3, 4, 5, 6, 789))).toBe('2026-02-03T04:05:06Z')
})
