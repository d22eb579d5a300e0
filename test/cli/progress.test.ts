import { describe, expect, test } from 'vitest'
import { createProgress } from '../../src/cli/progress.ts'

function telling(terminal: { isTTY?: boolean; columns?: number } = {}) {
  const written: string[] = []
  const clock = { nowMs: 0, now: () => clock.nowMs }
  const progress = createProgress({ ...terminal, write: (text) => written.push(text) }, clock)
  return { progress, clock, written }
}

describe('progress that no terminal shows', () => {
  test('is a line at once, then every ten seconds', () => {
    const { progress, clock, written } = telling()
    for (const nowMs of [0, 1, 9999, 10_000, 19_999, 20_000]) {
      clock.nowMs = nowMs
      progress.show(`at ${nowMs}`)
    }
    expect(written).toEqual(['at 0\n', 'at 10000\n', 'at 20000\n'])
  })

  test('is a line whenever the state is another', () => {
    const { progress, written } = telling()
    for (const [line, state] of [
      ['1', 'a'],
      ['2', 'a'],
      ['3', 'b'],
      ['4', 'b'],
      ['5', 'a'],
    ]) {
      progress.show(line ?? '', state)
    }
    progress.clear()
    expect(written).toEqual(['1\n', '3\n', '5\n'])
  })

  test('writes no control characters', () => {
    const { progress, written } = telling()
    progress.show('a\u001b[2J\nb')
    expect(written).toEqual(['a?[2J?b\n'])
  })
})

describe('progress on a terminal', () => {
  test('writes over one line, which never fills the last column', () => {
    const { progress, written } = telling({ isTTY: true, columns: 10 })
    progress.show('0123456789abc')
    progress.show('x\u001b[2J')
    expect(written).toEqual(['\r012345678\u001b[K', '\rx?[2J\u001b[K'])
  })

  test('takes the line away once, and only where there is one', () => {
    const { progress, written } = telling({ isTTY: true })
    progress.clear()
    progress.show('x')
    progress.clear()
    progress.clear()
    expect(written).toEqual(['\rx\u001b[K', '\r\u001b[K'])
  })

  test('of no known width takes 80 columns', () => {
    const { progress, written } = telling({ isTTY: true, columns: 0 })
    progress.show('x'.repeat(200))
    expect(written).toEqual([`\r${'x'.repeat(79)}\u001b[K`])
  })
})
