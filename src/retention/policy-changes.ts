import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import { createMirror } from '../store/mirror.ts'
import { objectPrefix } from '../store/objects.ts'
import type { Change, Store } from '../store/store.ts'
import { policyAnnotations } from '../streams/content-policy.ts'
import { projectOf } from '../streams/open-project.ts'
import type { Scope } from './review.ts'

export interface PolicyChangesOptions {
  /** Must log the prefix `object/`. */
  store: Store
  /** The policy of a project, or of a stream, may be another than before. */
  changed(scope: NonNullable<Scope>): Promise<void>
  log: Logger
}

export interface PolicyChanges {
  /** Settles when no change is missed any more. */
  readonly ready: Promise<unknown>
  /** Settles when it has ended with all that was under way. */
  readonly ended: Promise<void>
}

/** Tells of projects and streams whose annotations about content change, until `signal` aborts; one after the other. */
export function followPolicies({ store, changed, log }: PolicyChangesOptions, signal: AbortSignal): PolicyChanges {
  const waiting = new Map<string, NonNullable<Scope>>()
  let working: Promise<void> | undefined

  function note(changes: readonly Change[]): void {
    for (const change of changes) {
      const scope = scopeOf(change)
      if (scope !== undefined) waiting.set(`${scope.project}/${scope.stream ?? ''}`, scope)
    }
    if (waiting.size > 0) working ??= work()
  }

  async function work(): Promise<void> {
    // Whoever tells of changes does not wait.
    await undefined
    for (let [next] = waiting; next !== undefined && !signal.aborted; [next] = waiting) {
      const [key, scope] = next
      waiting.delete(key)
      await changed(scope).catch((error: unknown) => {
        if (!signal.aborted) log.warn({ ...scope, err: error }, 'pins could not be looked at after a change')
      })
    }
    working = undefined
  }

  const following = { apply: note, reset: () => undefined, preload: false, signal }
  const mirrors = ['namespaces', 'imagestreams'].map((resource) =>
    createMirror(store, { ...following, prefix: objectPrefix(resource) }),
  )

  async function end(): Promise<void> {
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    await working
  }

  return { ready: Promise.all(mirrors.map(({ ready }) => ready)).catch(() => undefined), ended: end() }
}

/** Whose policy a change of an object changes; what is new has nothing yet, and what is gone nothing more. */
function scopeOf({ key, value, previous }: Change): Scope {
  if (value === undefined || previous === undefined) return undefined
  if (isDeepStrictEqual(policyOf(value), policyOf(previous.value))) return undefined
  const [, resource, project = '', name = ''] = key.split('/')
  return resource === 'namespaces' ? { project: name } : { project, stream: name }
}

function policyOf(value: string) {
  return policyAnnotations(projectOf({ value }).annotations)
}
