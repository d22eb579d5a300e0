/**
 * Regular expressions for tags, matched in time that is linear in the tag's length whatever the expression: they are written by
 * tenants. Literals, `.`, classes, `\d \w \D \W`, groups, `|` and the greedy quantifiers; no lookaround and no backreferences.
 *
 * @see https://swtch.com/~rsc/regexp/regexp2.html, "Pike's Implementation"
 */
import { type PatternNode, PatternProblem, parsePattern } from './tag-regex-syntax.ts'

export interface TagRegex {
  /** What its group took of a tag that it fits as a whole, or all of it where it has no group; undefined when it does not fit. */
  match(tag: string): string | undefined
}

type Step =
  | { does: 'take'; set: Uint8Array }
  | { does: 'try'; first: number; second: number }
  | { does: 'go'; to: number }
  | { does: 'mark'; isStart: boolean }
  | { does: 'end' }

/** A way through the program: what its group took. */
interface Thread {
  at: number
  start: number
  end: number
}

const maxSteps = 200
const maxVisits = 5000

/** @throws PatternProblem */
export function compileTagRegex(pattern: string): TagRegex {
  const program = compile(parsePattern(pattern))
  return { match: (tag) => run(program, tag) }
}

function compile(root: PatternNode): Step[] {
  const steps: Step[] = []
  let visits = 0

  function add(step: Step): number {
    if (steps.length >= maxSteps) throw new PatternProblem('it repeats too much')
    return steps.push(step) - 1
  }

  function visit(node: PatternNode): void {
    visits += 1
    if (visits > maxVisits) throw new PatternProblem('it repeats too much')
    if (node.kind === 'set') add({ does: 'take', set: node.set })
    else if (node.kind === 'all') node.nodes.forEach(visit)
    else if (node.kind === 'any') visitAny(node.nodes)
    else if (node.kind === 'repeat') visitRepeat(node)
    else visitGroup(node.node)
  }

  function visitGroup(node: PatternNode): void {
    add({ does: 'mark', isStart: true })
    visit(node)
    add({ does: 'mark', isStart: false })
  }

  function visitAny(nodes: readonly PatternNode[]): void {
    const ends: number[] = []
    for (const [i, node] of nodes.entries()) {
      if (i === nodes.length - 1) {
        visit(node)
        break
      }
      const branch = add({ does: 'try', first: steps.length + 1, second: 0 })
      visit(node)
      ends.push(add({ does: 'go', to: 0 }))
      steps[branch] = { does: 'try', first: branch + 1, second: steps.length }
    }
    for (const end of ends) steps[end] = { does: 'go', to: steps.length }
  }

  function visitRepeat({ node, min, max }: { node: PatternNode; min: number; max: number }): void {
    for (let n = 0; n < min; n++) visit(node)
    if (max === Number.POSITIVE_INFINITY) {
      const loop = add({ does: 'try', first: steps.length + 1, second: 0 })
      visit(node)
      add({ does: 'go', to: loop })
      steps[loop] = { does: 'try', first: loop + 1, second: steps.length }
      return
    }
    const skips: number[] = []
    for (let n = min; n < max; n++) {
      skips.push(add({ does: 'try', first: steps.length + 1, second: 0 }))
      visit(node)
    }
    for (const skip of skips) steps[skip] = { does: 'try', first: skip + 1, second: steps.length }
  }

  visit(root)
  add({ does: 'end' })
  return steps
}

/** Every step is looked at once for each character at most; of two ways to one step the first counts, as in backtracking. */
function run(program: readonly Step[], tag: string): string | undefined {
  const seenAt = new Int32Array(program.length).fill(-1)
  let threads: Thread[] = []

  function follow(thread: Thread, position: number, into: Thread[]): void {
    const step = program[thread.at]
    if (step === undefined || seenAt[thread.at] === position) return
    seenAt[thread.at] = position
    if (step.does === 'go') follow({ ...thread, at: step.to }, position, into)
    else if (step.does === 'try') {
      follow({ ...thread, at: step.first }, position, into)
      follow({ ...thread, at: step.second }, position, into)
    } else if (step.does === 'mark') {
      const marked = step.isStart ? { start: position } : { end: position }
      follow({ ...thread, ...marked, at: thread.at + 1 }, position, into)
    } else into.push(thread)
  }

  follow({ at: 0, start: -1, end: -1 }, 0, threads)
  for (let position = 0; position < tag.length && threads.length > 0; position++) {
    const code = tag.charCodeAt(position)
    const next: Thread[] = []
    for (const thread of threads) {
      const step = program[thread.at]
      if (step?.does === 'take' && step.set[code] === 1) follow({ ...thread, at: thread.at + 1 }, position + 1, next)
    }
    threads = next
  }
  const found = threads.find(({ at }) => program[at]?.does === 'end')
  if (found === undefined) return undefined
  if (!program.some(({ does }) => does === 'mark')) return tag
  return found.start < 0 || found.end < 0 ? undefined : tag.slice(found.start, found.end)
}
