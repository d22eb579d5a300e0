import type { Objects } from '../../store/objects.ts'
import type { Follow } from '../resource.ts'

/**
 * Creates the function that tells whether a project was made after `since`: what happened before in one of its name
 * concerns others.
 *
 * @param follow the projects
 * @throws CompactedError (from the function) when `since` is too old
 */
export function createProjectBorn(objects: Pick<Objects, 'get'>, follow: Follow) {
  return async (project: string, since: number): Promise<boolean> => {
    const standing = await objects.get('namespaces', '', project)
    const changedAt = Number(standing?.metadata.resourceVersion ?? 0)
    // It was there, and as it is.
    if (changedAt <= since) return false
    const done = new AbortController()
    try {
      for await (const { revision, changes } of follow({ since, signal: done.signal })) {
        if (changes.some(({ before, after }) => before === undefined && after?.metadata.name === project)) return true
        if (revision >= changedAt) return false
      }
      return false
    } finally {
      done.abort()
    }
  }
}
