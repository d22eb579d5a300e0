/**
 * Whether a host with its port is one that `pattern` names: label by label, `*` standing for anything within one, ports equal.
 *
 * @see https://kubernetes.io/docs/concepts/containers/images/#config-json
 */
export function matchesHost(pattern: string, host: string): boolean {
  if (!pattern.includes('*')) return pattern === host
  const wanted = pattern.split('.')
  const labels = host.split('.')
  if (wanted.length !== labels.length) return false
  // Port and last label are one part, of which a `*` takes no colon: so ports are equal.
  return wanted.every((label, index) => matchesLabel(label, labels[index] ?? ''))
}

/** Whether a repository is `path` or below it, in whole components; the empty path is all repositories. */
export function matchesPath(path: string, repository: string): boolean {
  return path === '' || repository === path || repository.startsWith(`${path}/`)
}

function matchesLabel(pattern: string, label: string): boolean {
  const pieces = pattern.split('*')
  const first = pieces.shift() ?? ''
  const last = pieces.pop()
  if (last === undefined) return first === label
  if (label.length < first.length + last.length || !label.startsWith(first) || !label.endsWith(last)) return false
  // Each piece at its first place leaves the most to those after it.
  let rest = label.slice(first.length, label.length - last.length)
  if (rest.includes(':')) return false
  for (const piece of pieces) {
    const at = rest.indexOf(piece)
    if (at < 0) return false
    rest = rest.slice(at + piece.length)
  }
  return true
}
