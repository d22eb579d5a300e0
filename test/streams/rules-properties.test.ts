import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatTime } from '../../src/streams/events.ts'
import { applyChange } from '../../src/streams/rules.ts'
import {
  changeOf,
  contextOf,
  type Driven,
  drive,
  modelItems,
  newTag,
  pinOf,
  referenceOf,
  type Step,
  steps,
} from './model.ts'
import { digest } from './world.ts'

const runs = { numRuns: 300 }

/** Runs every step of a life and lets `check` see each. */
function follow(
  life: readonly Step[],
  check: (seen: { before: Driven; after: Driven; step: Step; outcome: string }) => void,
): Driven {
  let driven = newTag()
  for (const step of life) {
    const { after, outcome } = drive(driven, step)
    check({ before: driven, after, step, outcome })
    driven = after
  }
  return driven
}

const isAutomatic = (step: Step): boolean =>
  step.does === 'move' && (step.kind === 'scheduled' || step.kind === 'follow')

const isHeld = ({ record, uid }: Driven): boolean => record?.uid === uid && record.hold !== undefined

test('I3: the ledger grows by one numbered entry at a time, also across deletions and new streams', () => {
  fc.assert(
    fc.property(steps, (life) => {
      const last = follow(life, ({ before, after }) => {
        expect(after.ledger.slice(0, before.ledger.length)).toEqual(before.ledger)
        expect(after.ledger.length - before.ledger.length).toBeLessThanOrEqual(1)
      })
      expect(last.ledger.map(({ revision }) => revision)).toEqual(last.ledger.map((_, i) => i + 1))
      expect(last.record?.revision ?? 0).toBe(last.ledger.length)
    }),
    runs,
  )
})

test('the items are the newest 10 of what the table makes of the moves', () => {
  fc.assert(
    fc.property(steps, (life) => {
      let moves: [string, string, string][] = []
      follow(life, ({ before, after, step, outcome }) => {
        if (step.does === 'recreate' || (step.does === 'remove' && outcome === 'applied')) moves = []
        const stays = step.does === 'move' && isHeld(before) && (isAutomatic(step) || isPushedAgain(before, step))
        const moved = step.does === 'move' && outcome !== 'refused' && !stays
        if (moved) {
          const image = digest(step.image)
          moves.push([referenceOf(step), image, formatTime(contextOf(after).nowMs)])
        }
        const items = after.record?.uid === after.uid ? after.record.items : []
        const shown = items.map((item) => [item.dockerImageReference, item.image, item.created])
        expect(shown).toEqual(modelItems(moves).slice(0, 10))
      })
    }),
    runs,
  )
})

test('the pin is the image of the newest entry of the ledger, and `current` its revision', () => {
  fc.assert(
    fc.property(steps, (life) => {
      follow(life, ({ after }) => {
        const newest = after.ledger.at(-1)
        const told = newest?.uid === after.uid && newest.image !== '' ? newest : undefined
        expect(pinOf(after)).toBe(told?.image)
        if (after.record?.uid === after.uid) expect(after.record.current).toBe(told?.revision ?? 0)
      })
    }),
    runs,
  )
})

test('every entry says which digest it replaced', () => {
  fc.assert(
    fc.property(steps, (life) => {
      follow(life, ({ before, after }) => {
        if (after.ledger.length > before.ledger.length) {
          expect(after.ledger.at(-1)?.previousImage).toBe(pinOf(before))
        }
      })
    }),
    runs,
  )
})

test('a held tag never moves by an automatic cause, and import, tag and push are refused', () => {
  fc.assert(
    fc.property(steps, (life) => {
      follow(life, ({ before, after, step, outcome }) => {
        if (!isHeld(before) || step.does !== 'move') return
        if (isAutomatic(step)) {
          expect(after.record?.items).toEqual(before.record?.items)
          expect(after.ledger).toEqual(before.ledger)
          const wants = digest(step.image) === pinOf(before) ? undefined : digest(step.image)
          expect(after.record?.candidate?.image).toBe(wants)
        } else if (isPushedAgain(before, step)) {
          expect(after.record?.items).toEqual(before.record?.items)
          expect(after.ledger).toEqual(before.ledger)
        } else expect(outcome === 'refused').toBe(step.kind !== 'rollback')
      })
    }),
    runs,
  )
})

/** A client that heard no answer pushes again. */
function isPushedAgain(before: Driven, { kind, image }: Extract<Step, { does: 'move' }>): boolean {
  return kind === 'push' && digest(image) === pinOf(before)
}

test('a hold ends by resume and deletion alone', () => {
  fc.assert(
    fc.property(steps, (life) => {
      follow(life, ({ before, after, step }) => {
        if (!isHeld(before) || ['resume', 'remove', 'recreate'].includes(step.does)) return
        expect(isHeld(after)).toBe(true)
      })
    }),
    runs,
  )
})

test('I7: a failed attempt changes no pin, no item and no revision', () => {
  fc.assert(
    fc.property(steps, (life) => {
      follow(life, ({ before, after, step }) => {
        if (step.does !== 'fail') return
        expect(pinOf(after)).toBe(pinOf(before))
        expect(after.ledger).toEqual(before.ledger)
        if (before.record?.uid === before.uid) expect(after.record?.items).toEqual(before.record.items)
      })
    }),
    runs,
  )
})

test('I7: that an upstream lost an image is said of the pin alone, moves nothing and is told to nobody', () => {
  fc.assert(
    fc.property(steps, (life) => {
      follow(life, ({ before, after, step, outcome }) => {
        const gone = after.record?.uid === after.uid ? after.record.upstreamGone : undefined
        if (gone !== undefined) expect(gone.image).toBe(pinOf(after))
        if (step.does !== 'gone' && step.does !== 'seen') return
        expect([pinOf(after), after.ledger, after.notices, after.generation]).toEqual([
          pinOf(before),
          before.ledger,
          before.notices,
          before.generation,
        ])
        if (step.does === 'gone')
          expect(gone !== undefined).toBe(digest(step.image) === pinOf(before) || isGone(before))
        else if (step.image === undefined || digest(step.image) === pinOf(before)) expect(gone).toBeUndefined()
        if (isGone(before) && step.does === 'gone') expect(outcome).toBe('nothing')
      })
    }),
    runs,
  )
})

const isGone = ({ record, uid }: Driven): boolean => record?.uid === uid && record.upstreamGone !== undefined

test('generations of the stream grow by at most one, and no tag is ahead of its stream', () => {
  fc.assert(
    fc.property(steps, (life) => {
      follow(life, ({ before, after, step }) => {
        if (step.does === 'recreate') return
        expect([before.generation, before.generation + 1]).toContain(after.generation)
        if (after.record?.uid !== after.uid) return
        const { spec, condition, items } = after.record
        const numbers = [spec?.generation, condition?.generation, ...items.map((item) => item.generation)]
        for (const generation of numbers) expect(generation ?? 0).toBeLessThanOrEqual(after.generation)
      })
    }),
    runs,
  )
})

test('I2: every entry has a notice, every notice belongs to a written record, and notices are numbered through', () => {
  fc.assert(
    fc.property(steps, (life) => {
      const last = follow(life, ({ before, after, outcome }) => {
        const told = after.notices.slice(before.notices.length)
        if (outcome !== 'applied') expect(told).toEqual([])
        if (after.ledger.length === before.ledger.length) return
        expect(told.filter(({ kind }) => kind === 'moved' || kind === 'gone')).toHaveLength(1)
        expect(told.every(({ revision }) => revision === after.ledger.length)).toBe(true)
      })
      expect(last.record?.noticed ?? 0).toBe(last.notices.length)
    }),
    runs,
  )
})

test('applyChange() is pure: frozen input, and the same output twice', () => {
  fc.assert(
    fc.property(steps, (life) => {
      follow(life, ({ before, step, outcome }) => {
        const change = step.does === 'recreate' ? undefined : changeOf(step, before)
        if (change === undefined || outcome === 'refused') return
        const frozen = deepFreeze(structuredClone(before.record))
        const first = applyChange(frozen, deepFreeze(change), contextOf(before))
        expect(applyChange(structuredClone(before.record), structuredClone(change), contextOf(before))).toEqual(first)
      })
    }),
    runs,
  )
})

test('a step that is taken again right away writes nothing, but for entries of rollbacks', () => {
  fc.assert(
    fc.property(steps, (life) => {
      let driven = newTag()
      for (const step of life) {
        driven = drive(driven, step).after
        const repeats =
          ['fail', 'gone', 'seen'].includes(step.does) || (step.does === 'move' && step.kind !== 'rollback')
        if (!repeats || isHeld(driven)) continue
        const again = drive(driven, step)
        expect(again.outcome).toBe('nothing')
      }
    }),
    runs,
  )
})

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner)
    Object.freeze(value)
  }
  return value
}
