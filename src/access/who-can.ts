import type { Grant, Rbac } from './access.ts'
import { type SubjectKey, subjectOf } from './bindings.ts'

type WhoCan = ReturnType<Rbac['whoCan']>

const maxSubjects = 10_000

/** Everybody of these, each once, with the first grant told of him; at most 10,000. */
export function whoCan(...told: Iterable<{ key: SubjectKey; grant: Grant }>[]): WhoCan {
  const subjects = new Map<SubjectKey, WhoCan['subjects'][number]>()
  for (const some of told) {
    for (const { key, grant } of some) {
      if (subjects.has(key)) continue
      if (subjects.size === maxSubjects) return { subjects: [...subjects.values()], incomplete: true }
      subjects.set(key, { ...subjectOf(key), grant })
    }
  }
  return { subjects: [...subjects.values()], incomplete: false }
}
