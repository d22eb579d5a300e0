import type { Logger } from 'pino'
import type { PolicyRule, RoleRef } from './access.ts'
import { type ClusterRoles, createClusterRoles, type Role, roleOf } from './cluster-roles.ts'
import { builtinRoles } from './roles.ts'

/** All roles in memory. */
export interface Roles {
  /** A Role of a project as it is from now on; undefined when it is gone. */
  setRole(project: string, name: string, rules: readonly PolicyRule[] | undefined): void
  clearRoles(): void
  clusterRoles: ClusterRoles
  /** What a binding in `project` ('' for the whole cluster) binds to; undefined when there is no such role. */
  get(roleRef: Pick<RoleRef, 'kind' | 'name'>, project: string): Role | undefined
}

export function createRoles(log: Pick<Logger, 'warn'>): Roles {
  const roles = new Map<string, Role>()
  const clusterRoles = createClusterRoles(builtinRoles, log)
  return {
    setRole(project, name, rules) {
      const key = `${project}/${name}`
      rules === undefined ? roles.delete(key) : roles.set(key, roleOf(rules))
    },
    clearRoles: () => roles.clear(),
    clusterRoles,
    get({ kind, name }, project) {
      return kind === 'ClusterRole' ? clusterRoles.get(name) : roles.get(`${project}/${name}`)
    },
  }
}
