import type { StreamTag } from './stream-tags.ts'

const trackAnnotation = 'weir.dev/track'

/** The policy that chooses among the tags of a repository, and which; undefined of a tag that follows what its source names. */
export function trackingOf({ from, wanted }: StreamTag): { policy: string; repository: string } | undefined {
  const policy = wanted?.annotations?.[trackAnnotation]
  if (policy === undefined || from?.kind !== 'DockerImage' || wanted?.reference === true) return undefined
  return { policy, repository: from.name.replace(/(?::[^:/]*)?(?:@.*)?$/, '') }
}
