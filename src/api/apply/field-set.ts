/**
 * A set of fields of an object, as a tree. The names of a node's children are path elements as FieldsV1 writes them:
 * `f:NAME` of a map, `k:{"KEY":VALUE}` of a list with keys, `v:VALUE` of a set.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/#System
 */
export interface FieldSet {
  /** Whether the node itself is in the set, and not only some below it. */
  isMember: boolean
  children: ReadonlyMap<string, FieldSet>
}

export const noFields: FieldSet = { isMember: false, children: new Map() }

/** A node that is in the set, without any below it. */
export const leaf: FieldSet = { isMember: true, children: new Map() }

/** A set of the nodes that have something; undefined children are left out. */
export function fieldSet(isMember: boolean, children: Iterable<readonly [string, FieldSet | undefined]>): FieldSet {
  const kept = new Map<string, FieldSet>()
  for (const [element, child] of children) {
    if (child !== undefined && !isEmpty(child)) kept.set(element, child)
  }
  return { isMember, children: kept }
}

export function isEmpty({ isMember, children }: FieldSet): boolean {
  return !isMember && children.size === 0
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(a)) return b
  if (isEmpty(b)) return a
  const children = new Map(a.children)
  for (const [element, child] of b.children) children.set(element, union(children.get(element) ?? noFields, child))
  return { isMember: a.isMember || b.isMember, children }
}

/** What is in `a` and not in `b`; what lies below a member of `b` is judged by itself. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(b)) return a
  const children = [...a.children].map(
    ([element, child]) => [element, difference(child, b.children.get(element) ?? noFields)] as const,
  )
  return fieldSet(a.isMember && !b.isMember, children)
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const children = [...a.children].map(
    ([element, child]) => [element, intersection(child, b.children.get(element) ?? noFields)] as const,
  )
  return fieldSet(a.isMember && b.isMember, children)
}

/** The members with nothing below them: values, but not the maps and items that hold them. */
export function leaves({ isMember, children }: FieldSet): FieldSet {
  return fieldSet(
    isMember && children.size === 0,
    [...children].map(([element, child]) => [element, leaves(child)]),
  )
}

export function equals(a: FieldSet, b: FieldSet): boolean {
  if (a.isMember !== b.isMember || a.children.size !== b.children.size) return false
  for (const [element, child] of a.children) {
    const other = b.children.get(element)
    if (other === undefined || !equals(child, other)) return false
  }
  return true
}

/** The paths of all members, each as its path elements. */
export function* members(set: FieldSet, above: readonly string[] = []): Generator<readonly string[]> {
  if (set.isMember) yield above
  for (const [element, child] of set.children) yield* members(child, [...above, element])
}
