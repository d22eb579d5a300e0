import { agoInWords } from './ages.ts'
import { type Image, type ImageStreamImage, resources } from './api.ts'
import type { Client } from './client.ts'
import { mapFew } from './concurrent.ts'
import { childPlatform, createdOf, isIndex, platformText } from './describe-image.ts'
import { unlessForbidden } from './failures.ts'
import { noteNone, readStreams, type Scope } from './get-scope.ts'
import { type Column, digestColumns, type Format, printDocuments, printRows } from './output.ts'
import { formatStreamReference } from './references.ts'
import { formatBytes } from './sizes.ts'
import { type StreamTag, tagsOf } from './stream-tags.ts'
import type { VerbContext } from './verbs.ts'

/** Most images that a table tells more of than their digest: each is a request. */
const maxRead = 300
const atOnce = 8

/** An image that tags of a project stand or stood at. */
interface UsedImage {
  digest: string
  /** A stream that has it. */
  project: string
  stream: string
  /** The tags that stand at it now. */
  tags: StreamTag[]
  /** When it came last, RFC 3339. */
  came: string
  image?: Image | undefined
}

/** Lists images: a project's or a stream's by its tags, those of all projects as the API has them. */
export async function getImages(
  context: VerbContext,
  client: Client,
  scope: Scope,
  format: Format | undefined,
): Promise<void> {
  if (scope.project === undefined) return getAllImages(context, client, format)
  const streams = await readStreams(client, scope)
  const images = usedImages(streams.items.flatMap(tagsOf))
  if (images.length === 0) await noteNone(context, client, 'images', scope)
  if (format === 'json' || format === 'yaml') {
    const objects = await mapFew(images, atOnce, (image) => readImage(client, image))
    const items = objects.filter((object) => object !== undefined)
    return printDocuments(context.stdout, format, { kind: 'ImageStreamImageList', items })
  }
  if (format !== 'name') {
    if (images.length > maxRead) context.note(`note: platforms and sizes are shown of the first ${maxRead} images`)
    await mapFew(images.slice(0, maxRead), atOnce, async (used) => {
      used.image = (await readImage(client, used))?.image ?? undefined
    })
  }
  const name = ({ project, stream, digest }: UsedImage) => `${project}/${stream}@${digest}`
  printRows(context.stdout, format, images, { name, columns: usedColumns(context.clock.now()) })
}

async function getAllImages(context: VerbContext, client: Client, format: Format | undefined): Promise<void> {
  const images = await client.list<Image>({ resource: resources.images })
  if (images.items.length === 0) context.note('no images in any project')
  if (format === 'json' || format === 'yaml') return printDocuments(context.stdout, format, images)
  const columns: Column<Image>[] = [
    ...digestColumns<Image>('DIGEST', digestOf),
    { header: 'REFERENCE', value: ({ dockerImageReference }) => dockerImageReference?.replace(/@.*/, '') ?? '' },
    ...imageColumns<Image>((image) => image, context.clock.now()),
  ]
  printRows(context.stdout, format, images.items, { name: digestOf, columns })
}

function digestOf({ metadata }: Image): string {
  return metadata?.name ?? ''
}

/** The images that tags stand or stood at, the one that came last first. */
function usedImages(tags: readonly StreamTag[]): UsedImage[] {
  const used = new Map<string, UsedImage>()
  for (const tag of tags) {
    for (const [i, { image: digest, created = '' }] of tag.items.entries()) {
      if (!digest) continue
      const known = used.get(digest)
      const image = known ?? { digest, project: tag.project, stream: tag.stream, tags: [], came: created }
      if (i === 0) image.tags.push(tag)
      if (created > image.came) image.came = created
      used.set(digest, image)
    }
  }
  return [...used.values()].sort((a, b) => (a.came === b.came ? 0 : a.came > b.came ? -1 : 1))
}

/** The image as its stream has it; undefined when it is gone from there, or the caller may not read it. */
async function readImage(
  client: Client,
  { project, stream, digest }: UsedImage,
): Promise<ImageStreamImage | undefined> {
  const target = { resource: resources.imageStreamImages, project, name: `${stream}@${digest}` }
  return unlessForbidden(client.find<ImageStreamImage>(target), undefined)
}

function usedColumns(nowMs: number): Column<UsedImage>[] {
  const names = (tags: readonly StreamTag[]) => tags.map(formatStreamReference)
  return [
    ...digestColumns<UsedImage>('DIGEST', ({ digest }) => digest),
    { header: 'TAGS', value: ({ tags }) => firstOf(names(tags)), narrow: true },
    { header: 'TAGS', value: ({ tags }) => names(tags).join(',') || '-', wide: true },
    ...imageColumns<UsedImage>(({ image }) => image, nowMs),
    { header: 'CAME', value: ({ came }) => agoInWords(came, nowMs) || '-', narrow: true },
    { header: 'CAME', value: ({ came }) => came || '-', wide: true },
  ]
}

function firstOf(names: readonly string[]): string {
  const more = names.length - 3
  return `${names.slice(0, 3).join(',') || '-'}${more > 0 ? ` + ${more} more` : ''}`
}

function imageColumns<Row>(imageOf: (row: Row) => Image | undefined, nowMs: number): Column<Row>[] {
  return [
    { header: 'PLATFORM', value: (row) => platformsOf(imageOf(row)) },
    { header: 'SIZE', value: (row) => sizeOf(imageOf(row)) },
    { header: 'BUILT', value: (row) => agoInWords(createdOf(imageOf(row)?.dockerImageMetadata), nowMs) || '-' },
  ]
}

function platformsOf(image: Image | undefined): string {
  if (image === undefined) return '-'
  if (!isIndex(image)) return platformText(image.dockerImageMetadata) ?? '-'
  const platforms = [...new Set((image.dockerImageManifests ?? []).map(childPlatform))]
  return firstOf(platforms)
}

/** Of an index none: clients fetch one of its images. */
function sizeOf(image: Image | undefined): string {
  return image === undefined || isIndex(image) ? '-' : formatBytes(image.dockerImageMetadata?.Size)
}
