import { describe, expect, test } from 'vitest'
import { createListed } from '../../../src/api/watch/listed.ts'
import { shareChange } from '../../../src/api/watch/shared-change.ts'

const named = (name: string) => ({ metadata: { name, namespace: 'demo', resourceVersion: '1' } })

/** Two names with one FNV-1a of 32 bits, as chance brings them among 100,000. */
function collidingNames(): [string, string] {
  const seen = new Map<number, string>()
  for (let i = 0; ; i += 1) {
    const name = `app-${i.toString(36)}`
    let hash = 0x811c9dc5
    for (const character of `demo/${name}`) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193)
    const other = seen.get(hash)
    if (other !== undefined) return [other, name]
    seen.set(hash, name)
  }
}

describe('a list at the beginning of a watch', () => {
  test('that shows an object hides no other that is made meanwhile, though its name looks alike', () => {
    const [shown, made] = collidingNames()
    const listed = createListed(1)
    listed.add(named(shown))
    listed.end(9)
    const birth = shareChange({ before: undefined, after: named(made) }, 5)
    expect(listed.isNews(birth, 'ADDED')).toBe(true)
    expect(listed.isNews(shareChange({ before: undefined, after: named(shown) }, 6), 'ADDED')).toBe(false)
  })
})
