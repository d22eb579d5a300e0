import { agoInWords, parseTime } from '../age.ts'
import type { ApiObject, Column } from '../resource.ts'
import { listAt, nameColumn, textAt, valueAt } from './columns.ts'

/**
 * The columns of `image.openshift.io`.
 *
 * @see https://github.com/openshift/openshift-apiserver/blob/master/pkg/image/printers/internalversion/printer.go
 */

/** How wide the list of a stream's tags is meant to be, in characters. */
const tagsWidth = 40

const imageReference: Omit<Column, 'value'> = {
  name: 'Image Reference',
  type: 'string',
  description: 'dockerImageReference is the string that can be used to pull this image.',
}

const updated: Omit<Column, 'value'> = { name: 'Updated', type: 'string', description: 'Last update time.' }

const updatedAtCreation: Column = {
  ...updated,
  value: ({ metadata }, nowMs) => agoInWords(metadata.creationTimestamp, nowMs),
}

export const imageColumns: readonly Column[] = [
  nameColumn,
  { ...imageReference, value: (image) => textAt(image, 'dockerImageReference') },
]

export const imageStreamColumns: readonly Column[] = [
  nameColumn,
  {
    name: 'Image Repository',
    type: 'string',
    description:
      'dockerImageRepository represents the effective location this stream may be accessed at. May be empty until the server determines where the repository is located',
    value: (stream) =>
      textAt(stream, 'status', 'publicDockerImageRepository') ||
      textAt(stream, 'spec', 'dockerImageRepository') ||
      textAt(stream, 'status', 'dockerImageRepository'),
  },
  {
    name: 'Tags',
    type: 'string',
    description: 'Human readable list of tags.',
    value: (stream) => tagsUpToWidth(tagNamesNewestFirst(stream), tagsWidth),
  },
  {
    ...updated,
    value: (stream, nowMs) =>
      agoInWords(latest(listAt(stream, 'status', 'tags').map((tag) => textAt(tag, 'items', 0, 'created'))), nowMs),
  },
]

export const imageStreamTagColumns: readonly Column[] = [
  nameColumn,
  { ...imageReference, value: (tag) => textAt(tag, 'image', 'dockerImageReference') },
  updatedAtCreation,
  {
    name: 'Image Name',
    type: 'string',
    description: 'image associated with the ImageStream and tag.',
    priority: 1,
    value: (tag) => textAt(tag, 'image', 'metadata', 'name'),
  },
]

export const imageTagColumns: readonly Column[] = [
  nameColumn,
  { name: 'Spec', type: 'string', description: 'How the tag gets its images.', value: specCell },
  { name: 'Status', type: 'string', description: 'Where the tag stands, or why it does not.', value: statusCell },
  {
    name: 'History',
    type: 'integer',
    description: 'The number of images that the tag shows in its status.',
    value: (tag) => listAt(tag, 'status', 'items').length,
  },
  {
    ...updated,
    value: (tag, nowMs) =>
      agoInWords(
        latest([textAt(tag, 'status', 'items', 0, 'created'), textAt(failedImport(tag), 'lastTransitionTime')]),
        nowMs,
      ),
  },
]

export const imageStreamImageColumns: readonly Column[] = [
  nameColumn,
  updatedAtCreation,
  { ...imageReference, priority: 1, value: (image) => textAt(image, 'image', 'dockerImageReference') },
  {
    name: 'Image Name',
    type: 'string',
    description: 'image associated with the ImageStream and image name.',
    priority: 1,
    value: (image) => textAt(image, 'image', 'metadata', 'name'),
  },
]

/**
 * As many names as fit the width, at least one, and how many more there are. A name may stand out of it by a quarter, when more
 * than a quarter would be left empty without it.
 */
export function tagsUpToWidth(tags: readonly string[], width: number): string {
  let shown = tags.length
  let remaining = width
  for (const [i, tag] of tags.entries()) {
    remaining -= tag.length + 1
    if (remaining >= 0) continue
    const slack = Math.trunc(width / 4)
    if (i > 0 && slack < remaining + tag.length && slack >= -remaining) continue
    shown = Math.max(i, 1)
    break
  }
  const text = tags.slice(0, shown).join(',')
  return shown < tags.length ? `${text} + ${tags.length - shown} more...` : text
}

function tagNamesNewestFirst(stream: ApiObject): string[] {
  const tags = listAt(stream, 'status', 'tags').map((tag) => ({
    name: textAt(tag, 'tag'),
    createdMs: parseTime(textAt(tag, 'items', 0, 'created')) ?? Number.NEGATIVE_INFINITY,
  }))
  // Subtraction would make NaN of two tags without items.
  const isNewer = (a: number, b: number) => (a === b ? 0 : a > b ? -1 : 1)
  return tags.sort((a, b) => isNewer(a.createdMs, b.createdMs) || (a.name < b.name ? -1 : 1)).map(({ name }) => name)
}

function specCell(tag: ApiObject): string {
  const from = valueAt(tag, 'spec', 'from')
  const head = valueAt(tag, 'status', 'items', 0)
  if (typeof from !== 'object' || from === null) return head === undefined ? '' : 'Push'
  if (valueAt(tag, 'spec', 'reference') === true) return 'Ref'
  if (generationOf(head) > generationOf(tag.spec)) return 'Push'
  if (valueAt(tag, 'spec', 'importPolicy', 'scheduled') === true) return 'Scheduled'
  return isInStream(tag, from) ? 'Track' : 'Tag'
}

function statusCell(tag: ApiObject): string {
  const head = valueAt(tag, 'status', 'items', 0)
  const from = valueAt(tag, 'spec', 'from')
  const kind = textAt(from, 'kind')
  const name = textAt(from, 'name')
  if (from && !['DockerImage', 'ImageStreamTag', 'ImageStreamImage'].includes(kind)) return 'InvalidRefKind'
  if (from && name === '') return 'InvalidRefName'
  const failed = failedImport(tag)
  if (failed !== undefined) return `ImportFailed (${textAt(failed, 'reason')})`
  if (conditionOf(tag, 'AwaitsContent', 'True') !== undefined) return 'AwaitsContent'
  const isReference = valueAt(tag, 'spec', 'reference') === true
  if (kind === 'DockerImage' && !isReference && generationOf(tag.spec) > generationOf(head)) return 'Importing'
  const image = textAt(head, 'image')
  if (image !== '') return `image/${image}`
  if (kind === 'ImageStreamTag') return `istag/${name}`
  if (kind === 'ImageStreamImage') return `isimage/${name}`
  return textAt(head, 'dockerImageReference') || name
}

function failedImport(tag: ApiObject): unknown {
  return conditionOf(tag, 'ImportSuccess', 'False')
}

function conditionOf(tag: ApiObject, type: string, status: string): unknown {
  return listAt(tag, 'status', 'conditions').find(
    (condition) => textAt(condition, 'type') === type && textAt(condition, 'status') === status,
  )
}

function isInStream(tag: ApiObject, from: object): boolean {
  const namespace = textAt(from, 'namespace')
  const isHere = namespace === '' || namespace === tag.metadata.namespace
  return textAt(from, 'kind') === 'ImageStreamTag' && isHere && !textAt(from, 'name').includes(':')
}

/** Of a tag's spec or of one of its items; below every other where there is none. */
function generationOf(value: unknown): number {
  const generation = valueAt(value, 'generation')
  return typeof generation === 'number' ? generation : -1
}

function latest(times: readonly string[]): string {
  return times.reduce((newest, time) => ((parseTime(time) ?? -1) > (parseTime(newest) ?? -1) ? time : newest), '')
}
