import { PatternProblem } from './tag-regex-syntax.ts'

/** A step of a pattern: takes a character, goes on in two ways of which the first is preferred, or marks where its group is. */
export type Step =
  | { does: 'take'; set: Uint8Array }
  | { does: 'try'; first: number; second: number }
  | { does: 'go'; to: number }
  | { does: 'mark'; isStart: boolean }
  | { does: 'end' }

/** All that may be going on after some characters: steps that take or end, what is preferred first. */
interface State {
  readonly steps: readonly number[]
  /** Of these, the one that is `end`; -1 without. */
  readonly end: number
  /** By class of character; undefined where nothing goes on. */
  readonly ways: (Way | undefined)[]
}

/** What a character makes of a state. By the places of the next state's steps: */
interface Way {
  readonly to: State
  /** the place of the step from which it came, */
  readonly from: Uint8Array
  /** and what it marked on its way, as {@link startMark} and {@link endMark}. */
  readonly marks: Uint8Array
}

const [startMark, endMark] = [1, 2]
const tagCharacters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-'
const maxStates = 1000
/** Most steps that are looked at while states are made: a millisecond. */
const maxWork = 20_000

/**
 * Makes all states of a program beforehand, so that each character of a tag is looked at once. Of several ways to fit the one counts
 * that backtracking would find first.
 *
 * @param program of 255 steps at most
 * @returns what the group took of a tag that fits as a whole, or all of it where there is no group; undefined when it does not fit
 * @throws PatternProblem when there are too many
 * @see https://swtch.com/~rsc/regexp/regexp1.html, "Caching the NFA to build a DFA"
 */
export function createMachine(program: readonly Step[]): (tag: string) => string | undefined {
  const hasGroup = program.some(({ does }) => does === 'mark')
  const { classes, characters } = classesOf(program)
  const begin = beginOf(program, characters)
  return (tag) => {
    const path: Way[] = []
    let state: State = begin.to
    for (let position = 0; position < tag.length; position++) {
      const way = state.ways[classes[tag.charCodeAt(position)] ?? -1]
      if (way === undefined) return undefined
      path.push(way)
      state = way.to
    }
    if (state.end < 0) return undefined
    return hasGroup ? groupOf(tag, [begin, ...path], state.end) : tag
  }
}

/** Goes back the way that led to the end. */
function groupOf(tag: string, path: readonly Way[], endPlace: number): string | undefined {
  let [place, start, end] = [endPlace, -1, -1]
  for (let position = path.length - 1; position >= 0; position--) {
    const way = path[position]
    const marks = way?.marks[place] ?? 0
    if ((marks & startMark) !== 0) start = position
    if ((marks & endMark) !== 0) end = position
    place = way?.from[place] ?? 0
  }
  return start < 0 || end < 0 ? undefined : tag.slice(start, end)
}

/** Classes of characters that no step tells apart, by code, and a character of each. */
function classesOf(program: readonly Step[]): { classes: Int16Array; characters: number[] } {
  const sets = program.flatMap((step) => (step.does === 'take' ? [step.set] : []))
  const known = new Map<string, number>()
  const classes = new Int16Array(128).fill(-1)
  const characters: number[] = []
  for (const character of tagCharacters) {
    const code = character.charCodeAt(0)
    const takers = sets.map((set) => set[code]).join('')
    const index = known.get(takers) ?? characters.push(code) - 1
    known.set(takers, index)
    classes[code] = index
  }
  return { classes, characters }
}

/** The way to the first state, before any character, from which all others are reached. */
function beginOf(program: readonly Step[], characters: readonly number[]): Way {
  const states = new Map<string, State>()
  const open: State[] = []
  const seenIn = new Int32Array(program.length)
  let seen = 0
  let work = 0

  /** Where the steps lead that go on from `begun`, each with the place that it comes from. */
  function wayFrom(begun: readonly { at: number; place: number }[]): Way | undefined {
    const steps: number[] = []
    const from: number[] = []
    const marks: number[] = []
    seen += 1

    function follow(at: number, place: number, marked: number): void {
      const step = program[at]
      work += 1
      if (step === undefined || seenIn[at] === seen) return
      seenIn[at] = seen
      if (step.does === 'go') follow(step.to, place, marked)
      else if (step.does === 'try') {
        follow(step.first, place, marked)
        follow(step.second, place, marked)
      } else if (step.does === 'mark') follow(at + 1, place, marked | (step.isStart ? startMark : endMark))
      else {
        steps.push(at)
        from.push(place)
        marks.push(marked)
      }
    }

    for (const { at, place } of begun) follow(at, place, 0)
    if (steps.length === 0) return undefined
    return { to: stateOf(steps), from: Uint8Array.from(from), marks: Uint8Array.from(marks) }
  }

  function stateOf(steps: readonly number[]): State {
    const key = steps.join()
    const known = states.get(key)
    if (known !== undefined) return known
    const end = steps.findIndex((at) => program[at]?.does === 'end')
    const state: State = { steps, end, ways: [] }
    states.set(key, state)
    open.push(state)
    return state
  }

  const begin = wayFrom([{ at: 0, place: 0 }])
  if (begin === undefined) throw new TypeError('a program leads somewhere')
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (const [i, code] of characters.entries()) {
      const taken = state.steps.flatMap((at, place) => (takes(program[at], code) ? [{ at: at + 1, place }] : []))
      state.ways[i] = wayFrom(taken)
      work += state.steps.length
      if (work > maxWork || states.size > maxStates) throw new PatternProblem('it can be read in too many ways')
    }
  }
  return begin
}

function takes(step: Step | undefined, code: number): boolean {
  return step?.does === 'take' && step.set[code] === 1
}
