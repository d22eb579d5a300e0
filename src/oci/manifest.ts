import { type Digest, digestAlgorithm, digestOf, parseDigest } from './digest.ts'
import { RegistryError } from './errors.ts'
import { isIndexType, isManifestType, maxManifestBytes } from './media-types.ts'
import { type JsonLimits, parseStrictJson } from './strict-json.ts'

/**
 * A pointer from a manifest to content. `size` in bytes, a promise of whoever wrote the manifest.
 *
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
 */
export interface Descriptor {
  mediaType: string
  digest: Digest
  size: number
  /** A registry need not have the bytes: the media type is non-distributable, or `urls` tell where else they are. */
  foreign: boolean
  /** The content itself, in base64, as the manifest has it: nobody compared it with `digest` and `size` yet. */
  data?: string
}

/** What a child of an index runs on; wire names. */
export interface Platform {
  architecture?: string
  os?: string
  variant?: string
  'os.version'?: string
}

/** A child of an index. */
export interface ManifestDescriptor extends Descriptor {
  platform?: Platform
}

/** An OCI image manifest, also of an artifact, or a Docker image manifest version 2, schema 2. */
export interface ImageManifest {
  kind: 'image'
  mediaType: string
  config: Descriptor
  layers: Descriptor[]
  subject?: Descriptor
  artifactType?: string
}

/** An OCI image index or a Docker manifest list. */
export interface IndexManifest {
  kind: 'index'
  mediaType: string
  manifests: ManifestDescriptor[]
  subject?: Descriptor
  artifactType?: string
}

export type Manifest = ImageManifest | IndexManifest

/** Most descriptors a manifest may list. */
export const maxDescriptors = 10_000

const limits: JsonLimits = {
  maxDepth: 32,
  maxValues: 250_000,
  maxKeys: 20_000,
  integerKeys: new Set(['size', 'schemaVersion']),
}

const schema1Types = new Set([
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
])
/** Printable, and of at most 255 characters. */
const printableType = /^[!-~](?:[ -~]{0,253}[!-~])?$/
const foreignTypes = /^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.|docker\.image\.rootfs\.foreign\.)/

const documentFields = knownFields(
  'schemaVersion mediaType artifactType config layers manifests subject annotations fsLayers',
)
const descriptorFields = knownFields('mediaType digest size urls annotations data artifactType platform')
const platformFields = knownFields('architecture os os.version os.features variant features')

type Fields = Record<string, unknown>

/**
 * Parses a manifest as strictly as needed for everybody to read the same out of it: what one client would take for an
 * image and another for an index, or what Go and JavaScript would read differently, is refused (CVE-2021-41190).
 * `mediaType` is what the manifest was received or linked as; a `mediaType` in the body must be the same.
 *
 * @throws RegistryError MANIFEST_INVALID with a message that names what is wrong
 */
export function parseManifest(bytes: Uint8Array, mediaType: string): Manifest {
  if (isSchema1Type(mediaType)) throw invalid('is of schema 1, which is not supported: push or import it as schema 2')
  if (!isManifestType(mediaType)) throw invalid(`has the media type ${quote(mediaType)}, which is not a manifest's`)
  if (bytes.length > maxManifestBytes) throw invalid(`is larger than ${maxManifestBytes} bytes`)
  const document = fieldsOf(parseDocument(bytes), '', documentFields)
  checkKind(document, mediaType)
  const common = {
    mediaType,
    ...(document.subject === undefined ? {} : { subject: descriptor(document.subject, 'subject') }),
    ...(document.artifactType === undefined ? {} : { artifactType: text(document.artifactType, 'artifactType') }),
  }
  if (isIndexType(mediaType)) {
    return { kind: 'index', ...common, manifests: list(document.manifests, 'manifests').map(child) }
  }
  const layers = list(document.layers, 'layers').map((layer, i) => descriptor(layer, `layers[${i}]`))
  return { kind: 'image', ...common, config: descriptor(document.config, 'config'), layers }
}

/** Whether it is the type of a manifest of schema 1, which nobody takes any more. */
export function isSchema1Type(mediaType: string): boolean {
  return schema1Types.has(mediaType)
}

/**
 * The media type that a manifest says it has; undefined when it says none.
 *
 * @throws RegistryError MANIFEST_INVALID for what is no manifest
 */
export function writtenMediaType(bytes: Uint8Array): string | undefined {
  if (bytes.length > maxManifestBytes) throw invalid(`is larger than ${maxManifestBytes} bytes`)
  const document = parseDocument(bytes)
  if (typeof document !== 'object' || document === null) throw invalid('is not an object')
  const written = 'mediaType' in document ? document.mediaType : undefined
  return typeof written === 'string' ? written : undefined
}

/**
 * What a manifest gives access to, each digest once: the children of an index, the config and layers of an image. Its
 * `subject` is something it says about other content and opens nothing.
 */
export function namedContent(manifest: Manifest): Descriptor[] {
  const named = manifest.kind === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers]
  return [...new Map(named.map((descriptor) => [descriptor.digest, descriptor])).values()]
}

/**
 * Checks that content which is inside a manifest is that of its digest.
 *
 * @throws RegistryError MANIFEST_INVALID
 */
export function requireTrueData(manifest: Manifest): void {
  const named = manifest.kind === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers]
  for (const { data, digest, size } of [...named, ...(manifest.subject === undefined ? [] : [manifest.subject])]) {
    if (data === undefined) continue
    const content = Buffer.from(data, 'base64')
    if (content.toString('base64') !== data) throw invalid(`has data of ${digest} that is not base64`)
    if (content.length !== size || digestOf(content, digestAlgorithm(digest)) !== digest) {
      throw invalid(`has data of ${digest} that is other content`)
    }
  }
}

/**
 * Checks that the `artifactType`, where there is one, can be a media type (RFC 6838): listings show it with each image.
 *
 * @throws RegistryError MANIFEST_INVALID
 */
export function requireArtifactType({ artifactType }: Manifest): void {
  if (!artifactType || printableType.test(artifactType)) return
  throw invalid('has an artifactType that is not a media type: at most 255 printable characters')
}

function parseDocument(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes, limits)
  } catch (cause) {
    if (cause instanceof SyntaxError) throw invalid(cause.message, cause)
    throw cause
  }
}

function checkKind(document: Fields, mediaType: string): void {
  if (document.schemaVersion === 1 || 'fsLayers' in document) {
    throw invalid('is of schema 1, which is not supported: push or import it as schema 2')
  }
  if (document.schemaVersion !== 2) throw invalid('has a schemaVersion that is not 2')
  if ('mediaType' in document && document.mediaType !== mediaType) {
    throw invalid(`says that its mediaType is ${quote(document.mediaType)}, but came as ${quote(mediaType)}`)
  }
  const foreign = isIndexType(mediaType) ? ['config', 'layers'] : ['manifests']
  for (const key of foreign) {
    if (key in document) throw invalid(`came as ${quote(mediaType)}, but has ${quote(key)}: it is ambiguous`)
  }
}

function child(value: unknown, i: number): ManifestDescriptor {
  const path = `manifests[${i}]`
  const { platform } = fieldsOf(value, path, descriptorFields)
  return {
    ...descriptor(value, path),
    ...(platform === undefined || platform === null ? {} : { platform: platformOf(platform, `${path}.platform`) }),
  }
}

function descriptor(value: unknown, path: string): Descriptor {
  const fields = fieldsOf(value, path, descriptorFields)
  const mediaType = text(fields.mediaType, `${path}.mediaType`)
  // It becomes a Content-Type header.
  if (!printableType.test(mediaType)) throw invalid(`has a ${path}.mediaType that is not a media type`)
  const digest = parseDigest(text(fields.digest, `${path}.digest`))
  if (digest === undefined) throw invalid(`has a ${path}.digest that is not a sha256 or sha512 digest`)
  const { size } = fields
  if (typeof size !== 'number' || !Number.isSafeInteger(size)) {
    throw invalid(`has a ${path}.size that is not an integer from 0 to 2^53-1`)
  }
  const urls = fields.urls === undefined ? [] : list(fields.urls, `${path}.urls`)
  const { data } = fields
  return {
    mediaType,
    digest,
    size,
    foreign: urls.length > 0 || foreignTypes.test(mediaType),
    ...(typeof data === 'string' ? { data } : {}),
  }
}

function platformOf(value: unknown, path: string): Platform {
  const fields = fieldsOf(value, path, platformFields)
  const platform: Platform = {}
  for (const key of ['architecture', 'os', 'variant', 'os.version'] as const) {
    if (fields[key] !== undefined) platform[key] = text(fields[key], `${path}.${key}`)
  }
  return platform
}

/** An array; null, which Go writes for an empty one, counts as that. */
function list(value: unknown, path: string): unknown[] {
  const items = value === null ? [] : value
  if (!Array.isArray(items)) throw invalid(`has no array ${path}`)
  if (items.length > maxDescriptors) throw invalid(`has more than ${maxDescriptors} ${path}`)
  return items
}

function text(value: unknown, path: string): string {
  if (typeof value !== 'string') throw invalid(`has no string ${path}`)
  return value
}

/** An object, none of whose keys is a known one in other letters: Go would take it for that one, JavaScript not. */
function fieldsOf(value: unknown, path: string, known: ReadonlyMap<string, string>): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(path === '' ? 'is not a JSON object' : `has no object ${path}`)
  }
  for (const key of Object.keys(value)) {
    const name = known.get(fold(key))
    if (name === undefined || name === key) continue
    throw invalid(`has the key ${quote(key)}${path === '' ? '' : ` in ${path}`}, which could be read as ${quote(name)}`)
  }
  return value as Fields
}

function knownFields(names: string): ReadonlyMap<string, string> {
  return new Map(names.split(' ').map((name) => [fold(name), name]))
}

/** Folds case as Go's encoding/json does, which also takes U+017F for `s` and U+212A for `k`. */
function fold(key: string): string {
  return key.toUpperCase().toLowerCase()
}

function quote(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : 'something else than a string'
}

function invalid(problem: string, cause?: unknown): RegistryError {
  return new RegistryError('MANIFEST_INVALID', { message: `the manifest ${problem}`, cause })
}
