import type { Logger } from 'pino'
import { createMirror } from '../store/mirror.ts'
import type { Change, Store } from '../store/store.ts'

/** Objects of one kind, in memory. */
export interface ObjectMirror {
  readonly ready: Promise<void>
  /** Grows with every applied change. */
  readonly version: number
  reached(revision: number): Promise<void>
}

export interface ObjectMirrorOptions<T> {
  store: Store
  /** The plural: `rolebindings`. */
  resource: string
  /** Reads one stored object; undefined leaves it out as if it were not there. */
  parse(value: unknown): T | undefined
  /** An object as it is from now on; undefined when it is gone or could not be read. */
  set(project: string, name: string, object: T | undefined): void
  reset(): void
  signal: AbortSignal
  log: Logger
}

/** Keeps the API objects of one kind in memory, told to `set` one by one. */
export function mirrorObjects<T>(options: ObjectMirrorOptions<T>): ObjectMirror {
  const { store, resource, set, reset, signal } = options
  const prefix = `object/${resource}/`
  let version = 0
  const apply = (changes: readonly Change[]) => {
    for (const change of changes) {
      const [project = '', name = ''] = split(change.key.slice(prefix.length))
      set(project, name, change.value === undefined ? undefined : read(change.key, change.value, options))
    }
    if (changes.length > 0) version++
  }
  const mirror = createMirror(store, {
    prefix,
    apply,
    reset: () => {
      version++
      reset()
    },
    signal,
  })
  return {
    ready: mirror.ready,
    reached: (revision) => mirror.reached(revision),
    get version() {
      return version
    },
  }
}

function read<T>(key: string, value: string, { parse, log }: ObjectMirrorOptions<T>): T | undefined {
  try {
    const object = parse(JSON.parse(value))
    if (object !== undefined) return object
  } catch {
    // What is not JSON is as little a right as what has another shape.
  }
  log.warn({ key }, 'the object can not be read and counts as absent')
  return undefined
}

function split(projectAndName: string): [string, string] {
  const slash = projectAndName.indexOf('/')
  return [projectAndName.slice(0, slash), projectAndName.slice(slash + 1)]
}
