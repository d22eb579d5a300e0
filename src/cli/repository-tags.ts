import { meansFallbackTags, parseFallbackTag } from '../oci/fallback-tag.ts'
import { parseImageReference, type StreamName } from '../oci/reference.ts'
import { matchesPattern, maxTagPatterns, readPatterns } from '../oci/tag-patterns.ts'
import { apiVersion, type ImageStreamImport, resources } from './api.ts'
import { type Client, movePatienceMs } from './client.ts'
import { causesOf } from './explain.ts'
import { CliError, misuse } from './failures.ts'

/** Which tags of a repository are meant; patterns have `*`, several are separated by commas. */
export interface TagSelection {
  include?: readonly string[]
  exclude?: readonly string[]
  /** So many in the order in which the server names them: `latest`, then versions, each from the highest down. */
  newest?: number
}

/** Most tags of one import: a repository may have very many, and each costs a request. */
const maxTags = 1000

/** @throws CliError when a pattern is none, or `from` no repository */
export function checkSelection(from: string, { include = [], exclude = [] }: TagSelection): void {
  if (/@|:[^/]*$/.test(from) || parseImageReference(from) === undefined) {
    throw misuse(`--all takes a repository: --from "${from}" is none, such as quay.io/org/app`)
  }
  for (const [flag, written] of [
    ...include.map((each) => ['include', each]),
    ...exclude.map((each) => ['exclude', each]),
  ]) {
    if (written === undefined || (readPatterns(written)?.length ?? 0) > 0) continue
    throw misuse(
      `--${flag} "${written}" is no pattern of tags: write names with *, such as 1.*,v2-*, ${maxTagPatterns} at most`,
    )
  }
}

/**
 * Those of `listed` that are meant, in its order. Tags that are derived from digests, as of signatures, are only where a pattern means
 * such: Weir gives what refers to an image without them.
 *
 * @throws CliError when there are none, or too many
 */
export function selectTags(from: string, listed: readonly string[], selection: TagSelection): string[] {
  const { newest = Number.POSITIVE_INFINITY } = selection
  const [include, exclude] = [selection.include, selection.exclude].map((all) =>
    all?.flatMap((each) => readPatterns(each) ?? []),
  )
  const means = (tag: string): boolean => {
    if (exclude?.some((pattern) => matchesPattern(tag, pattern))) return false
    const patterns = parseFallbackTag(tag) === undefined ? include : (include ?? []).filter(meansFallbackTags)
    return patterns === undefined || patterns.some((pattern) => matchesPattern(tag, pattern))
  }
  const meant = listed.filter(means)
  if (meant.length === 0) {
    const hints =
      listed.length === 0 ? [] : [`it has ${listed.slice(0, 5).join(', ')}${listed.length > 5 ? ', ...' : ''}`]
    throw new CliError(`${from} has ${listed.length} tags, and none of them is meant`, { hints })
  }
  if (Math.min(meant.length, newest) > maxTags) {
    const hints = [`say which: --newest ${maxTags}, --include PATTERN, --exclude PATTERN`]
    throw new CliError(`${from} has ${meant.length} such tags, and ${maxTags} are imported at once at most`, { hints })
  }
  return meant.slice(0, newest)
}

/** The tags of a repository in the order of import, as the server lists them without importing any. */
export async function listRepository(
  client: Client,
  { project, stream }: StreamName,
  from: string,
): Promise<readonly string[]> {
  const resource = resources.imageStreamImports
  const body = {
    kind: 'ImageStreamImport',
    apiVersion: apiVersion(resource),
    metadata: { name: stream, namespace: project, annotations: { 'weir.dev/max-tags': '0' } },
    spec: { import: false, repository: { from: { kind: 'DockerImage', name: from } } },
    status: {},
  }
  const answer = await client.request<ImageStreamImport>(
    'POST',
    { resource, project },
    { body, patienceMs: movePatienceMs },
  )
  const { status, images, additionalTags } = answer.status?.repository ?? {}
  if (status?.status === 'Failure') {
    throw new CliError(`the tags of ${from} were not listed: ${status.reason ?? 'Unknown'}: ${status.message ?? ''}`, {
      hints: causesOf({ status }),
    })
  }
  const first = (images ?? []).flatMap(({ tag }) => (tag === undefined ? [] : [tag]))
  return [...first, ...(additionalTags ?? [])]
}
