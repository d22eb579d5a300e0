import { formatMoment } from './ages.ts'
import type { ChildManifest, Image, ImageMetadata } from './api.ts'
import { type Field, formatFields, pairsOf } from './fields.ts'
import { type Column, formatTable, shortDigest } from './output.ts'
import { formatBytes } from './sizes.ts'

/** How an image is shown. */
export interface ImageView {
  nowMs: number
  wide: boolean
}

/** Most lines of a list (environment, labels) that are shown unless all are asked for, and most characters of each. */
const listLength = 40
const lineLength = 200

/** Read-only annotation of what is no image to run: what it is. */
const artifactTypeAnnotation = 'weir.dev/artifact-type'
/** Read-only annotation: what the stream has that refers to the image, `2: example/sbom (1), tag .sig (1)`. */
const referrersAnnotation = 'weir.dev/referrers'
const chartType = 'application/vnd.cncf.helm.config.v1+json'

/** What it is that is no image to run, a chart for instance; undefined of an image, and where nothing is known. */
export function artifactType(image: Image | undefined): string | undefined {
  return image?.metadata?.annotations?.[artifactTypeAnnotation]
}

/** How much refers to an image, and of which types: signatures, bills of materials; undefined where nothing does. */
export function referrersText(image: Image | undefined): string | undefined {
  return image?.metadata?.annotations?.[referrersAnnotation]
}

/** How an image, or what it is else, is pulled by its tag and by its digest. */
export function pullLines(
  image: Image | undefined,
  repository: string,
  { tag, digest }: { tag: string; digest: string },
): string[] {
  const type = artifactType(image)
  const tool = type === undefined ? 'docker' : 'oras'
  const byTag =
    type === chartType
      ? `helm pull oci://${repository} --version ${versionOf(tag)}`
      : `${tool} pull ${repository}:${tag}`
  return [byTag, `${tool} pull ${repository}@${digest}`]
}

/** Tags can not have the `+` of versions: helm writes `_` there. */
function versionOf(tag: string): string {
  return tag.replaceAll('_', '+')
}

/** What an image is, for one that is no index. */
export function imageFields(image: Image, view: ImageView): Field[] {
  const { dockerImageMetadata, dockerImageManifestMediaType } = image
  return [
    ['Media type', dockerImageManifestMediaType || undefined],
    ['Artifact type', artifactType(image)],
    ['Referrers', referrersText(image)],
    ['Size', sizeText(image)],
    ['Platform', platformText(dockerImageMetadata)],
    ...configFields(dockerImageMetadata, view),
  ]
}

/** `34.5 MiB in 5 layers`; undefined where nothing is known of it. */
export function sizeText(image: Image): string | undefined {
  const size = image.dockerImageMetadata?.Size
  if (size === undefined || isIndex(image)) return undefined
  const count = image.dockerImageLayers?.length ?? 0
  return `${formatBytes(size)} in ${count} layer${count === 1 ? '' : 's'}`
}

/** `linux/arm64/v8`; undefined where the config was not read, or says nothing. */
export function platformText(of: ImageMetadata | null | undefined): string | undefined {
  const parts = [of?.Os, of?.Architecture, of?.Variant].filter((part) => part)
  return parts.length === 0 ? undefined : parts.join('/')
}

/** `linux/arm64/v8` of an image that an index names. */
export function childPlatform({ os, architecture, variant }: ChildManifest): string {
  const parts = [os, architecture, variant].filter((part) => part)
  return parts.length === 0 ? 'unknown' : parts.join('/')
}

/** When an image was built, RFC 3339; undefined where it does not say: programs in Go write the year 1 then. */
export function createdOf(of: ImageMetadata | null | undefined): string | undefined {
  return of?.Created && !of.Created.startsWith('0001-01-01T') ? of.Created : undefined
}

/** Whether an image is an index of others. */
export function isIndex({ dockerImageManifests }: Image): boolean {
  return dockerImageManifests !== undefined && dockerImageManifests !== null
}

/** An image of an index, and what the stream knows of it. */
interface Row {
  child: ChildManifest
  image: Image | undefined
}

/** The images of an index as a table, and what each of them is; those that are alike but for their layers are told of once. */
export function formatPlatforms(
  children: readonly ChildManifest[],
  known: ReadonlyMap<string, Image>,
  view: ImageView,
): string {
  const rows = children.map((child) => ({ child, image: known.get(child.digest ?? '') }))
  const groups = Map.groupBy(
    rows.filter(({ image }) => image !== undefined),
    ({ image }) => formatFields(configFields(image?.dockerImageMetadata, view), '  '),
  )
  const texts = [...groups].flatMap(([text, alike]) => {
    const names = alike.map(({ child }) => childPlatform(child)).join(', ')
    return text === '' ? [] : [`${formatFields([['Platform', names]])}${text}`]
  })
  return [formatTable(platformColumns(view), rows, view.wide), ...texts].join('\n')
}

function platformColumns({ nowMs }: ImageView): Column<Row>[] {
  return [
    { header: 'PLATFORM', value: ({ child }) => childPlatform(child) },
    { header: 'DIGEST', value: ({ child }) => shortDigest(child.digest ?? ''), narrow: true },
    { header: 'DIGEST', value: ({ child }) => child.digest ?? '', wide: true },
    { header: 'MANIFEST', value: ({ child }) => formatBytes(child.manifestSize) },
    { header: 'SIZE', value: ({ image }) => (image && sizeText(image)) ?? '-' },
    { header: 'CREATED', value: ({ image }) => createdText(image?.dockerImageMetadata, nowMs) ?? '-' },
    { header: 'MEDIA TYPE', value: ({ child }) => child.mediaType ?? '', wide: true },
  ]
}

function createdText(of: ImageMetadata | null | undefined, nowMs: number): string | undefined {
  const created = createdOf(of)
  return created === undefined ? undefined : formatMoment(created, nowMs)
}

/** What the config says; nothing where it was not read. */
function configFields(of: ImageMetadata | null | undefined, view: ImageView): Field[] {
  const { Config: config } = of ?? {}
  return [
    ['Built', createdText(of, view.nowMs)],
    ['Author', of?.Author || undefined],
    ['Entrypoint', commandText(config?.Entrypoint)],
    ['Command', commandText(config?.Cmd)],
    ['Working directory', config?.WorkingDir || undefined],
    ['User', config?.User || undefined],
    ['Ports', Object.keys(config?.ExposedPorts ?? {}).join(', ') || undefined],
    ['Volumes', Object.keys(config?.Volumes ?? {}).join(', ') || undefined],
    ['Stop signal', config?.StopSignal || undefined],
    ['Environment', listed(config?.Env ?? [], view)],
    ['Labels', listed(pairsOf(config?.Labels), view)],
  ]
}

/** A command as a shell would take it. */
function commandText(words: readonly string[] | null | undefined): string | undefined {
  if (!words || words.length === 0) return undefined
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ')
}

function listed(lines: readonly string[], { wide }: ImageView): string[] {
  if (wide) return [...lines]
  const shown = lines
    .slice(0, listLength)
    .map((line) => (line.length > lineLength ? `${line.slice(0, lineLength)}...` : line))
  const more = lines.length - shown.length
  return more > 0 ? [...shown, `and ${more} more (-o wide)`] : shown
}
