/**
 * Regular expressions for tags, matched by one look at each character whatever the expression: they are written by tenants, and
 * meant for very many tags. Literals, `.`, classes, `\d \w \D \W`, groups, `|` and the greedy quantifiers; no lookaround and no
 * backreferences.
 */
import { createMachine, type Step } from './tag-regex-machine.ts'
import { type PatternNode, PatternProblem, parsePattern } from './tag-regex-syntax.ts'

export interface TagRegex {
  /** What its group took of a tag that it fits as a whole, or all of it where it has no group; undefined when it does not fit. */
  match(tag: string): string | undefined
}

const maxSteps = 200
const maxVisits = 5000

/** @throws PatternProblem */
export function compileTagRegex(pattern: string): TagRegex {
  return { match: createMachine(compile(parsePattern(pattern))) }
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
