import type { ImportImage } from '../../importer/request.ts'
import type { ImportedImage, Importer, ImportResult, RepositoryImportResult } from '../../importer.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Pins, StreamReader } from '../../streams/streams.ts'
import { parseObject } from '../body.ts'
import { atMost, requireValid } from '../fields.ts'
import { imageGroup } from '../groups.ts'
import { imageObject, imageStreamObject } from '../image-objects.ts'
import { checkMetadata, ownMetadata, streamName } from '../metadata.ts'
import type { ApiObject, Call, Resource } from '../resource.ts'
import { imageStreamImportSchema } from '../schemas/image-commands.ts'
import { itemStatus, type Status, successStatus } from '../status.ts'
import { formatSeconds } from '../time.ts'
import { changeCause } from './change-cause.ts'
import {
  checkImages,
  checkMaxTags,
  checkRepository,
  importMode,
  maxImages,
  maxTagsOf,
  referenceType,
  targetTag,
  type WantedImage,
  type WantedRepository,
} from './import-checks.ts'

export interface ImageStreamImportsOptions {
  importer: Importer
  reader: StreamReader
  pins: Pick<Pins, 'reached'>
  registryHost: string
  now: () => number
}

/** A command: ask the upstreams now. 201 also when every image failed; what became of each is in `status`. */
export function imageStreamImports(options: ImageStreamImportsOptions): Resource {
  return {
    group: imageGroup,
    version: 'v1',
    resource: 'imagestreamimports',
    singular: 'imagestreamimport',
    kind: 'ImageStreamImport',
    namespaced: true,
    schema: imageStreamImportSchema,
    asksOthers: true,
    dryRun: true,
    handlers: { create: (call, body) => importAll(options, call, body) },
  }
}

async function importAll(
  options: ImageStreamImportsOptions,
  call: Call,
  body: Record<string, unknown>,
): Promise<ApiObject> {
  const { importer, reader, pins, registryHost, now } = options
  const subject = { name: '', kind: 'imagestreamimports', group: imageGroup }
  requireValid(atMost('spec.images', sentImages(body), maxImages), subject)
  const { metadata, spec } = parseObject(imageStreamImportSchema, body)
  const stream = metadata?.name ?? ''
  const images = spec?.images ?? []
  const repository = spec?.repository
  requireValid(
    [
      ...checkMetadata(metadata, streamName),
      ...checkMaxTags(metadata),
      ...checkImages(images, repository ?? undefined),
      ...(repository ? checkRepository(repository) : []),
    ],
    { ...subject, name: stream },
  )
  const dryRun = spec?.import !== true || call.options.dryRun
  const common = {
    project: call.project,
    stream,
    by: call.subject.name,
    ...changeCause(metadata),
    dryRun,
    wait: call.signal,
    ...(metadata?.resourceVersion ? { resourceVersion: metadata.resourceVersion } : {}),
    ...(metadata?.uid ? { uid: metadata.uid } : {}),
  }
  const single = images.length === 0 ? undefined : await importer.import({ ...common, images: images.map(importImage) })
  // What the single images changed was not seen by anybody: their version was compared before.
  const { resourceVersion: _compared, ...after } = common
  const rest = single === undefined ? common : after
  const whole = repository
    ? await importer.importRepository({ ...rest, ...repositoryImport(repository), ...mostTagsOf(metadata) })
    : undefined
  const at = formatSeconds(now() / 1000)
  const results = [single, whole].filter((result): result is ImportResult => result !== undefined)
  await pins.reached(Math.max(0, ...results.map(({ revision }) => revision)))
  const isThere = !dryRun && results.some((result) => result.stream !== undefined)
  const shown = isThere ? await reader.whole({ project: call.project, stream }) : undefined
  return {
    metadata: { ...ownMetadata(metadata ?? {}), namespace: call.project, creationTimestamp: at },
    spec: body.spec,
    status: {
      ...(shown && { import: imageStreamObject(registryHost, shown) }),
      ...(single && {
        images: single.images.map((image, i) =>
          imageStatus(image, images[i]?.from?.name ?? '', images[i]?.includeManifest ?? false, at),
        ),
      }),
      ...(whole && repository && { repository: repositoryStatus(whole, repository, at) }),
    },
  }
}

/** Looked at before the object is parsed at a cost. */
function sentImages({ spec }: Record<string, unknown>): unknown {
  return typeof spec === 'object' && spec !== null && 'images' in spec ? spec.images : undefined
}

function imageStatus(
  imported: ImportedImage,
  from: string,
  includeManifest: boolean,
  at: string,
): Record<string, unknown> {
  if ('error' in imported) return { status: itemStatus(imported.error, dockerImage(from)), tag: imported.to }
  const { digest, dockerImageReference, image, bytes, to, children = [] } = imported
  const shown = (object: ApiObject, raw: Buffer | undefined): ApiObject =>
    includeManifest && raw !== undefined ? { ...object, dockerImageManifest: raw.toString('utf8') } : object
  const repository = dockerImageReference.split('@')[0] ?? ''
  const manifests = children.map((child) =>
    shown(imageObject(child.digest, `${repository}@${child.digest}`, at, child.image), child.bytes),
  )
  return {
    status: successStatus(),
    image: shown(imageObject(digest, dockerImageReference, at, image), bytes),
    tag: to,
    ...(manifests.length > 0 && { manifests }),
  }
}

function repositoryStatus(
  { images, additionalTags, error }: RepositoryImportResult,
  { from, includeManifest }: WantedRepository,
  at: string,
): Record<string, unknown> {
  const repository = from?.name ?? ''
  return {
    status: summaryOf(images, error, repository),
    images: images.map((image) => imageStatus(image, `${repository}:${image.to}`, includeManifest ?? false, at)),
    ...(additionalTags.length > 0 && { additionalTags }),
  }
}

/** okd.md 2.6: the repository's own status says only that some failed; each tag says why. */
function summaryOf(images: readonly ImportedImage[], error: RegistryError | undefined, repository: string): Status {
  if (error !== undefined) return itemStatus(error, dockerImage(repository))
  const failed = images.filter((image) => 'error' in image).length
  if (failed === 0) return successStatus()
  const message =
    failed === 1
      ? 'one of the images from this repository failed to import'
      : `${failed} of the images from this repository failed to import`
  return { ...itemStatus(new RegistryError('UNKNOWN', { message }), undefined), reason: 'ImportFailed' }
}

function dockerImage(name: string) {
  return { name, kind: 'dockerimages', group: imageGroup }
}

function importImage(wanted: WantedImage): ImportImage {
  return { from: wanted.from?.name ?? '', to: targetTag(wanted) ?? '', ...policiesOf(wanted) }
}

function repositoryImport(wanted: WantedRepository) {
  return { from: wanted.from?.name ?? '', ...policiesOf(wanted) }
}

function mostTagsOf(metadata: Parameters<typeof maxTagsOf>[0]): { maxTags?: number } {
  const maxTags = maxTagsOf(metadata)
  return maxTags === undefined ? {} : { maxTags }
}

function policiesOf({
  importPolicy,
  referencePolicy,
}: Pick<WantedImage, 'importPolicy' | 'referencePolicy'>): Pick<ImportImage, 'importPolicy' | 'referencePolicy'> {
  const { insecure, scheduled } = importPolicy ?? {}
  const mode = importMode(importPolicy?.importMode)
  const type = referenceType(referencePolicy?.type)
  return {
    importPolicy: { ...(insecure && { insecure }), ...(scheduled && { scheduled }), ...(mode && { importMode: mode }) },
    ...(type && { referencePolicy: { type } }),
  }
}
