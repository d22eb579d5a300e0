import type { Logger } from 'pino'
import type { PolicyRule } from './access.ts'
import { compileSelector, type Labels, type LabelTest } from './label-selector.ts'
import type { BuiltinRole } from './roles.ts'
import { type ClusterRole, compileRules, type RuleTest } from './rules.ts'

/** A role with its rules ready to be asked. */
export interface Role {
  rules: readonly PolicyRule[]
  allows: RuleTest
}

/** Cluster roles in memory: the built-in ones, and those in the store under other names. */
export interface ClusterRoles {
  /** A stored role as it is from now on; undefined when it is gone. One that is called as a built-in one counts for nothing. */
  set(name: string, role: ClusterRole | undefined): void
  /** Forgets the stored ones. */
  clear(): void
  /** The role as bindings give it: of an aggregated one, the rules that it takes over. */
  get(name: string): Role | undefined
}

/** A role as it was written. */
interface Source {
  name: string
  labels: Labels
  rules: readonly PolicyRule[]
  /** Of an aggregated role, which others it takes the rules of. */
  selects: LabelTest | undefined
}

// Whoever may write cluster roles must not be able to make everybody's checks slow: what etcd holds of a role, as JSON.
const maxRulesLength = 1024 * 1024
/** Most aggregated roles through which one role takes over rules. */
const maxAggregated = 100

/**
 * Keeps cluster roles with aggregation: a role with an `aggregationRule` has the rules of all roles that its selectors select
 * and none of its own. Where those are aggregated themselves, it has the rules of what they select, and so on; roles that
 * select one another have the same rules. That is where Kubernetes' controller comes to rest, which copies rules from role
 * to role. At most 1 MiB of rules is taken over, through at most 100 aggregated roles; the built-in
 * ones come first, and what is cut off is logged.
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
 */
export function createClusterRoles(builtin: readonly BuiltinRole[], log: Pick<Logger, 'warn'>): ClusterRoles {
  const builtinSources = new Map(builtin.map((role) => [role.name, sourceOf(role.name, role)]))
  const stored = new Map<string, Source>()
  /** Those of either that take over rules. */
  const takers = new Map([...builtinSources].filter(([, { selects }]) => selects !== undefined))
  const ready = new Map<string, Role>()
  let ordered: Source[] | undefined

  const sourceAt = (name: string) => builtinSources.get(name) ?? stored.get(name)
  const isBuiltin = (source: Source) => builtinSources.get(source.name) === source

  /** All roles in the order in which their rules are taken over. */
  function inOrder(): readonly Source[] {
    ordered ??= [...builtinSources.values(), ...[...stored.values()].sort((a, b) => (a.name < b.name ? -1 : 1))]
    return ordered
  }

  /** The roles without aggregation that can be come to from an aggregated one, each once. */
  function selectedBy(root: Source): Source[] {
    const seen = new Set([root])
    const found: Source[] = []
    let aggregated = 0
    // A set is gone through with what is added on the way.
    for (const role of seen) {
      const { selects } = role
      if (selects === undefined) found.push(role)
      else if (++aggregated <= maxAggregated) {
        for (const other of inOrder()) if (selects(other.labels)) seen.add(other)
      }
    }
    return found
  }

  function aggregate(root: Source): PolicyRule[] {
    const rules: PolicyRule[] = []
    const selected = selectedBy(root)
    const [own, others] = [selected.filter(isBuiltin), selected.filter((role) => !isBuiltin(role))]
    let length = 0
    for (const rule of [...own, ...others].flatMap((role) => role.rules)) {
      length += JSON.stringify(rule).length
      if (length > maxRulesLength) {
        log.warn(
          { clusterRole: root.name, maxRulesLength },
          'an aggregated role is too large: the rest of its rules is cut',
        )
        break
      }
      rules.push(rule)
    }
    return rules
  }

  /** Lets go of the rules of those who take over rules, directly or through others, of a role with one of these labels. */
  function forgetTakers(labels: readonly Labels[]): void {
    if (ready.size === 0) return
    const changed = [...labels]
    const left = new Set(takers.values())
    for (let each = changed.pop(); each !== undefined; each = changed.pop()) {
      for (const taker of left) {
        if (!taker.selects?.(each)) continue
        left.delete(taker)
        ready.delete(taker.name)
        changed.push(taker.labels)
      }
    }
  }

  return {
    set(name, role) {
      if (builtinSources.has(name)) return
      const before = stored.get(name)
      const after = role && sourceOf(name, role)
      after === undefined ? stored.delete(name) : stored.set(name, after)
      after?.selects === undefined ? takers.delete(name) : takers.set(name, after)
      ordered = undefined
      ready.delete(name)
      forgetTakers([before, after].flatMap((source) => (source === undefined ? [] : [source.labels])))
    },
    clear() {
      for (const name of stored.keys()) takers.delete(name)
      stored.clear()
      ready.clear()
      ordered = undefined
    },
    get(name) {
      const known = ready.get(name)
      if (known !== undefined) return known
      const source = sourceAt(name)
      if (source === undefined) return undefined
      const role = roleOf(source.selects === undefined ? source.rules : aggregate(source))
      ready.set(name, role)
      return role
    },
  }
}

export function roleOf(rules: readonly PolicyRule[]): Role {
  return { rules, allows: compileRules(rules) }
}

function sourceOf(name: string, { labels, rules, aggregationRule }: ClusterRole): Source {
  const selectors = aggregationRule?.clusterRoleSelectors.map(compileSelector)
  return { name, labels, rules, selects: selectors && ((of) => selectors.some((selects) => selects(of))) }
}
