import { formatMoment } from './ages.ts'
import type { Image } from './api.ts'
import { heldLine, inheritedLines, type Level } from './content-state.ts'
import { artifactType, formatPlatforms, imageFields, isIndex, pullLines, referrersText } from './describe-image.ts'
import {
  digestText,
  earlier,
  inForce,
  lookLines,
  type Stood,
  sourceLine,
  standingLines,
  type TagView,
  troubleLines,
} from './describe-state.ts'
import { annotationLines } from './describe-stream.ts'
import { formatFields, formatLines } from './fields.ts'
import { immutableText } from './immutable.ts'
import { formatCause } from './ledger.ts'
import { type Column, formatTable } from './output.ts'
import { formatStreamReference } from './references.ts'

/** A tag, the image it stands at, and what is known beside them. */
export interface TagDetails extends TagView {
  image: Image | undefined
  /** Of an index: what is known of its images, by digest. */
  children: ReadonlyMap<string, Image>
  /** What clients write before `:tag`; undefined where it could not be read. */
  repository: string | undefined
  /** Tags that follow it, directly or through others. */
  followers: readonly string[]
  /** What it is in, the nearest first. */
  above: readonly Level[]
}

/** Formats one tag. */
export function formatTagDetails(details: TagDetails): string {
  const { tag, image } = details
  return [
    formatHeader(details),
    formatLines(troubleLines(details)),
    tag.image === undefined ? '' : formatImage(details, tag.image, image),
    formatEarlier(details),
  ]
    .filter((part) => part !== '')
    .join('\n')
}

function formatHeader(details: TagDetails): string {
  const { tag, image, repository, followers, content, above, wide } = details
  const pulls =
    tag.image === undefined || repository === undefined
      ? []
      : pullLines(image, repository, { tag: tag.tag, digest: tag.image })
  const policy = tag.wanted?.referencePolicy?.type
  return formatFields([
    ['Name', formatStreamReference(tag)],
    ['Stands', standingLines(details).map((line) => line.replace(/^stands /, ''))],
    ['Source', [sourceLine(details), ...lookLines(details)]],
    ['Tracked by', followers.length === 0 ? undefined : followers.join(', ')],
    ['Reference', policy === 'Source' ? 'others are told to pull from the source' : undefined],
    ['Annotations', annotationLines(tag.wanted?.annotations, wide)],
    ['Inherited', inheritedLines(tag.wanted?.annotations, above)],
    ['Immutable', immutableText(tag, above)],
    ['Content', heldLine(content)],
    ['Pull', pulls],
  ])
}

function formatImage(details: TagDetails, digest: string, image: Image | undefined): string {
  const digestField = ['Digest', digest] as const
  if (image === undefined) return formatFields([digestField, ['Image', 'nothing is known of it here']])
  if (!isIndex(image)) return formatFields([digestField, ...imageFields(image, details)])
  const children = image.dockerImageManifests ?? []
  const type = ['Media type', image.dockerImageManifestMediaType] as const
  const count = ['Index', `of ${children.length} image${children.length === 1 ? '' : 's'}`] as const
  const artifact = ['Artifact type', artifactType(image)] as const
  const referrers = ['Referrers', referrersText(image)] as const
  return `${formatFields([digestField, type, artifact, referrers, count])}\n${formatPlatforms(children, details.children, details)}`
}

function formatEarlier(details: TagDetails): string {
  const stood = earlier(details)
  if (stood.length === 0) return ''
  const columns: Column<Stood>[] = [
    { header: 'REVISION', value: ({ event }) => `${event?.revision ?? '-'}` },
    {
      header: 'STOOD AT',
      value: ({ item }) => (item.image ? digestText(details, item.image) : (item.dockerImageReference ?? '-')),
    },
    {
      header: 'SINCE',
      value: ({ item, event }) => formatMoment(event?.metadata?.creationTimestamp ?? item.created, details.nowMs),
    },
    { header: 'CAUSE', value: ({ event }) => formatCause(event?.cause) || '-' },
    { header: 'BY', value: ({ event }) => event?.cause?.by ?? '-' },
    { header: 'REASON', value: ({ event }) => event?.cause?.reason ?? '' },
  ]
  const newest = inForce(details)?.revision
  const more =
    newest === undefined ? '' : formatLines([`all of it: weir history ${formatStreamReference(details.tag)}`])
  return `${formatTable(columns, stood, details.wide)}${more}`
}
