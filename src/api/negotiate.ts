import { RegistryError } from '../oci/errors.ts'
import { isWatch } from './query.ts'

/** How objects are wanted: as they are, as rows of a `meta.k8s.io` Table, or their metadata alone. */
export interface Form {
  /** The version of `Table` that was asked for. */
  table: 'v1' | 'v1beta1' | undefined
  /** What the rows of a table carry. */
  includeObject: 'None' | 'Metadata' | 'Object'
  /** The version of `PartialObjectMetadata` that was asked for. */
  metadataOnly?: 'v1' | 'v1beta1'
  /** Written as YAML; never of a watch. */
  yaml?: true
}

/** One range of an `Accept` header. Names of parameters are in lower case. */
export interface MediaRange {
  type: string
  parameters: ReadonlyMap<string, string>
}

/** Most ranges of an `Accept` header that are looked at. */
const maxRanges = 64

const jsonTypes = ['application/json', 'application/*', '*/*']
const yamlTypes = ['application/yaml', 'application/x-yaml']
const plain: Form = { table: undefined, includeObject: 'Metadata' }

/**
 * Reads how the client wants objects: the first of its `Accept` list that is served.
 *
 * @throws RegistryError NOT_ACCEPTABLE, BAD_REQUEST
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
 */
export function negotiate(accept: string | null, query: URLSearchParams): Form {
  if (!/[^\s,]/.test(accept ?? '')) return plain
  const mayBeYaml = !isWatch(query)
  for (const range of parseAccept(accept)) {
    const form = formOf(range, mayBeYaml)
    if (form?.table !== undefined) return { ...form, includeObject: parseIncludeObject(query.get('includeObject')) }
    if (form !== undefined) return form
  }
  const served = ['application/json', ...(mayBeYaml ? ['application/yaml'] : [])]
  throw new RegistryError('NOT_ACCEPTABLE', {
    message: `only the following media types are accepted: ${served.join(', ')}`,
  })
}

/** The ranges of an `Accept` header, the most wanted first; ranges with `q=0` are left out. */
export function parseAccept(accept: string | null): MediaRange[] {
  return (accept ?? '')
    .split(',', maxRanges)
    .map(parseRange)
    .filter(({ type, quality }) => type !== '' && quality > 0)
    .sort((a, b) => b.quality - a.quality || wildcards(a) - wildcards(b))
}

function parseRange(text: string): MediaRange & { quality: number } {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim())
  const parameters = new Map<string, string>()
  for (const parameter of rest) {
    const [name, value] = splitParameter(parameter)
    if (name !== '' && value !== undefined) parameters.set(name, value)
  }
  const quality = Number(parameters.get('q') ?? 1)
  return { type: type.toLowerCase(), parameters, quality: Number.isNaN(quality) ? 1 : quality }
}

/** Takes linear time: everybody may send the header. */
function splitParameter(parameter: string): [name: string, value: string | undefined] {
  const equals = parameter.indexOf('=')
  const name = parameter.slice(0, Math.max(equals, 0)).trim().toLowerCase()
  const [, value] = /^"?([^"]*)"?$/.exec(parameter.slice(equals + 1).trim()) ?? []
  return [name, value]
}

function wildcards({ type }: MediaRange): number {
  return type.split('*').length
}

/** What a range asks for, where that is served. */
function formOf({ type, parameters }: MediaRange, mayBeYaml: boolean): Form | undefined {
  const isYaml = mayBeYaml && yamlTypes.includes(type)
  if (!isYaml && !jsonTypes.includes(type)) return undefined
  const encoded: Form = isYaml ? { ...plain, yaml: true } : plain
  const [as, group, version] = ['as', 'g', 'v'].map((name) => parameters.get(name))
  if (as === undefined && group === undefined && version === undefined) return encoded
  if (group !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) return undefined
  if (as === 'Table') return { ...encoded, table: version }
  if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { ...encoded, metadataOnly: version }
  return undefined
}

function parseIncludeObject(value: string | null): Form['includeObject'] {
  if (value === null || value === '') return 'Metadata'
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value
  throw new RegistryError('BAD_REQUEST', {
    message: `includeObject: "${value.slice(0, 40)}" is not served; supported values: "None", "Metadata", "Object"`,
  })
}
