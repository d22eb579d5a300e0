import { z } from 'zod'
import type { ImportImage } from '../../importer/request.ts'
import type { ImportedImage, Importer } from '../../importer.ts'
import type { FieldCause } from '../../oci/errors.ts'
import { isTag, parseImageReference } from '../../oci/reference.ts'
import type { Pins, StreamReader } from '../../streams/streams.ts'
import { parseObject } from '../body.ts'
import { invalid, notSupported, required, requireValid } from '../fields.ts'
import { imageGroup } from '../groups.ts'
import { imageObject } from '../image-objects.ts'
import { checkMetadata, ownMetadata, streamName, withMetadata } from '../metadata.ts'
import type { ApiObject, Call, Resource } from '../resource.ts'
import { itemStatus, successStatus } from '../status.ts'
import { formatSeconds } from '../time.ts'
import { changeCause } from './change-cause.ts'
import { showStream } from './image-streams.ts'

export interface ImageStreamImportsOptions {
  importer: Importer
  reader: StreamReader
  pins: Pick<Pins, 'reached'>
  registryHost: string
  now: () => number
}

const maxImages = 100

const policies = z.object({
  importPolicy: z
    .object({ insecure: z.boolean().optional(), scheduled: z.boolean().optional(), importMode: z.string().optional() })
    .default({}),
  referencePolicy: z.object({ type: z.string().default('') }).default({ type: '' }),
  includeManifest: z.boolean().default(false),
})

const from = z.object({ kind: z.string().default(''), name: z.string().default('') }).nullish()

const importSpec = z.object({
  spec: z
    .object({
      import: z.boolean().default(false),
      images: z
        .array(policies.extend({ from, to: z.object({ name: z.string().default('') }).nullish() }))
        .nullish()
        .transform((images) => images ?? []),
      repository: z.unknown().optional(),
    })
    .default({ import: false, images: [] }),
})

type Spec = z.infer<typeof importSpec>['spec']
type WantedImage = Spec['images'][number]

const importModes = ['Legacy', 'PreserveOriginal'] as const
const referenceTypes = ['Source', 'Local'] as const

/** A command: ask the upstreams now. 201 also when every image failed; what became of each is in `status`. */
export function imageStreamImports(options: ImageStreamImportsOptions): Resource {
  return {
    group: imageGroup,
    version: 'v1',
    resource: 'imagestreamimports',
    singular: 'imagestreamimport',
    kind: 'ImageStreamImport',
    namespaced: true,
    dryRun: true,
    handlers: { create: (call, body) => importImages(options, call, body) },
  }
}

async function importImages(
  { importer, reader, pins, registryHost, now }: ImageStreamImportsOptions,
  call: Call,
  body: Record<string, unknown>,
): Promise<ApiObject> {
  const { metadata } = parseObject(withMetadata, body)
  const { spec } = parseObject(importSpec, body)
  const stream = metadata?.name ?? ''
  const subject = { name: stream, kind: 'imagestreamimports', group: imageGroup }
  requireValid([...checkMetadata(metadata, streamName), ...checkSpec(spec)], subject)
  const dryRun = !spec.import || call.options.dryRun
  const result = await importer.import({
    project: call.project,
    stream,
    images: spec.images.map(importImage),
    by: call.subject.name,
    ...changeCause(metadata),
    dryRun,
    ...(metadata?.resourceVersion ? { resourceVersion: metadata.resourceVersion } : {}),
    ...(metadata?.uid ? { uid: metadata.uid } : {}),
  })
  await pins.reached(result.revision)
  const at = formatSeconds(now() / 1000)
  const shown = dryRun || result.stream === undefined ? undefined : await reader.stream(result.stream)
  return {
    metadata: { ...ownMetadata(metadata ?? {}), namespace: call.project, creationTimestamp: at },
    spec: body.spec,
    status: {
      ...(shown && { import: await showStream({ reader, registryHost }, shown) }),
      images: result.images.map((image, i) => imageStatus(image, spec.images[i], at)),
    },
  }
}

function imageStatus(imported: ImportedImage, wanted: WantedImage | undefined, at: string): Record<string, unknown> {
  if ('error' in imported) {
    const subject = { name: wanted?.from?.name ?? '', kind: 'dockerimages', group: imageGroup }
    return { status: itemStatus(imported.error, subject), tag: imported.to }
  }
  const { digest, dockerImageReference, image, bytes, to } = imported
  const manifest = wanted?.includeManifest ? { dockerImageManifest: bytes.toString('utf8') } : {}
  return {
    status: successStatus(),
    image: { ...imageObject(digest, dockerImageReference, at, image), ...manifest },
    tag: to,
  }
}

function importImage(wanted: WantedImage): ImportImage {
  const { insecure, scheduled, importMode } = wanted.importPolicy
  const mode = importModes.find((each) => each === importMode)
  const type = referenceTypes.find((each) => each === wanted.referencePolicy.type)
  return {
    from: wanted.from?.name ?? '',
    to: targetTag(wanted) ?? '',
    importPolicy: { ...(insecure && { insecure }), ...(scheduled && { scheduled }), ...(mode && { importMode: mode }) },
    ...(type && { referencePolicy: { type } }),
  }
}

/** `to`, or else the tag in `from`; undefined when neither names one. */
function targetTag({ from, to }: WantedImage): string | undefined {
  return to?.name || parseImageReference(from?.name ?? '')?.tag
}

function checkSpec({ images, repository }: Spec): FieldCause[] {
  if (repository) {
    return [notSupported('spec.repository', 'a whole repository', ['spec.images, one element for each tag'])]
  }
  if (images.length === 0) return [required('spec.images', 'you must specify at least one image to import')]
  if (images.length > maxImages) return [invalid('spec.images', images.length, `at most ${maxImages} in one request`)]
  const tags = images.map(targetTag)
  return images.flatMap((image, i) => {
    const at = `spec.images[${i}]`
    const isTwice = tags[i] !== undefined && tags.indexOf(tags[i]) !== i
    const twice = { field: `${at}.to.name`, reason: 'FieldValueDuplicate', message: `Duplicate value: "${tags[i]}"` }
    return [...checkImage(image, at), ...(isTwice ? [twice] : [])]
  })
}

function checkImage(image: WantedImage, at: string): FieldCause[] {
  const { from, importPolicy, referencePolicy } = image
  const causes: FieldCause[] = []
  if (from?.kind !== 'DockerImage') causes.push(notSupported(`${at}.from.kind`, from?.kind ?? '', ['DockerImage']))
  const tag = targetTag(image)
  if (!from?.name) causes.push(required(`${at}.from.name`, 'the image to import'))
  else if (parseImageReference(from.name) === undefined) {
    causes.push(invalid(`${at}.from.name`, from.name, 'write HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST'))
  } else if (tag === undefined) causes.push(required(`${at}.to.name`, 'an image named by digest needs the tag to set'))
  if (tag !== undefined && !isTag(tag)) {
    causes.push(invalid(`${at}.to.name`, tag, "must be at most 128 letters, digits, '_', '.' or '-'"))
  }
  const { importMode = '' } = importPolicy
  if (importMode !== '' && !importModes.some((mode) => mode === importMode)) {
    causes.push(notSupported(`${at}.importPolicy.importMode`, importMode, importModes))
  }
  const { type } = referencePolicy
  if (type !== '' && !referenceTypes.some((each) => each === type)) {
    causes.push(notSupported(`${at}.referencePolicy.type`, type, referenceTypes))
  }
  return causes
}
