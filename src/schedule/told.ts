import { keyOf, type Source, type Sources } from './sources.ts'

/** A source that somebody says has changed; without a host at any registry, without a tag every tag of the repository. */
export interface ToldChange {
  host?: string
  repository: string
  tag?: string
}

/** The sources that changes are about, whoever follows them; where no host is named, of those that tags of `project` follow. */
export function toldSources(
  sources: Pick<Sources, 'get' | 'ofProject'>,
  project: string,
  changes: readonly ToldChange[],
): ReadonlySet<Source> {
  const told = new Set<Source>()
  const searched = new Map<string, ToldChange[]>()
  for (const change of changes) {
    const { host, repository, tag } = change
    if (host === undefined || tag === undefined) {
      searched.set(repository, [...(searched.get(repository) ?? []), change])
      continue
    }
    // A tag that is new there may be what a tracking policy looks for.
    for (const reference of [
      { host, repository, tag },
      { host, repository },
    ]) {
      const source = sources.get(keyOf(reference))
      if (source !== undefined) told.add(source)
    }
  }
  for (const source of searched.size === 0 ? [] : sources.ofProject(project)) {
    const ofRepository = searched.get(source.reference.repository) ?? []
    if (ofRepository.some((change) => isOf(source, change))) told.add(source)
  }
  return told
}

/** Of the same repository. */
function isOf({ reference }: Source, { host, tag }: ToldChange): boolean {
  const isWhole = reference.tag === undefined && reference.digest === undefined
  const isTag = isWhole || tag === undefined || tag === reference.tag
  return (host ?? reference.host) === reference.host && isTag
}
