/** What tells one element of a list from the others: an id, or the element itself where it is a scalar. */
export type ElementId = string

/** The id of a scalar, or of the values of an element's keys: `"v1"` and `1` are two. */
export function elementId(...values: readonly unknown[]): ElementId {
  return JSON.stringify(values)
}

/**
 * Puts the elements of `wanted` into its order and everything else where it stood: before the first wanted element that
 * it stood before in `live`, otherwise behind.
 *
 * @param ids the elements that there are, others first as they stood
 * @see https://github.com/kubernetes/design-proposals-archive/blob/main/cli/preserve-order-in-strategic-merge-patch.md
 */
export function orderElements(
  ids: readonly ElementId[],
  wanted: readonly ElementId[],
  live: readonly ElementId[],
): ElementId[] {
  const present = new Set(ids)
  const leading = [...new Set(wanted)].filter((id) => present.has(id))
  const isLeading = new Set(leading)
  const liveIndex = new Map(live.map((id, i) => [id, i]))
  const ordered: ElementId[] = []
  let next = 0
  for (const id of ids.filter((each) => !isLeading.has(each))) {
    const index = liveIndex.get(id) ?? Number.POSITIVE_INFINITY
    for (let lead = leading[next]; lead !== undefined && (liveIndex.get(lead) ?? -1) <= index; lead = leading[next]) {
      ordered.push(lead)
      next += 1
    }
    ordered.push(id)
  }
  return [...ordered, ...leading.slice(next)]
}
