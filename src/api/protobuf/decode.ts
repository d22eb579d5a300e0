import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'
import { RegistryError } from '../../oci/errors.ts'
import { jsonOf, WireError } from './json.ts'

/** Four bytes that every object in protobuf begins with. */
const magic = Buffer.from('k8s\0')

/** The kinds that are read, by `apiVersion`; DeleteOptions are of any. */
const kinds: ReadonlyMap<string, readonly string[]> = new Map([
  ['v1', ['Namespace', 'ServiceAccount', 'ConfigMap', 'Secret', 'Event', 'ResourceQuota']],
  ['rbac.authorization.k8s.io/v1', ['Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding']],
  [
    'authorization.k8s.io/v1',
    ['SelfSubjectAccessReview', 'SelfSubjectRulesReview', 'SubjectAccessReview', 'LocalSubjectAccessReview'],
  ],
  ['authentication.k8s.io/v1', ['SelfSubjectReview', 'TokenReview', 'TokenRequest']],
])

const text = readFileSync(new URL('./kubernetes.proto', import.meta.url), 'utf8')
const { root } = protobuf.parse(text, new protobuf.Root(), { keepCase: true })
const envelopeType = root.lookupType('Envelope')

/**
 * Reads an object in Kubernetes' protobuf as the JSON that would say the same, with its `kind` and `apiVersion`.
 *
 * @throws RegistryError BAD_REQUEST, UNSUPPORTED_MEDIA_TYPE for kinds that are not read in protobuf
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 */
export function decodeProtobuf(bytes: Uint8Array): Record<string, unknown> {
  if (!magic.equals(bytes.subarray(0, magic.length))) {
    throw badRequest('the body is not protobuf as Kubernetes has it: it does not begin with "k8s" and a zero byte')
  }
  const envelope = decode(envelopeType, bytes.subarray(magic.length))
  const { typeMeta, raw, contentEncoding = '', contentType = '' } = envelopeType.toObject(envelope)
  const { apiVersion = '', kind = '' }: { apiVersion?: string; kind?: string } = typeMeta ?? {}
  if (contentEncoding !== '' || contentType !== '') {
    const how = `${contentEncoding} ${contentType}`.trim().slice(0, 100)
    throw unsupported(`the object in the body is ${JSON.stringify(how)}; send it in plain protobuf`)
  }
  const type = typeOf(apiVersion, kind)
  if (!(raw instanceof Uint8Array)) throw malformed(envelopeType)
  return { apiVersion, kind, ...jsonFrom(type, decode(type, raw)) }
}

function typeOf(apiVersion: string, kind: string): protobuf.Type {
  const isKnown = kind === 'DeleteOptions' || kinds.get(apiVersion)?.includes(kind) === true
  if (isKnown) return root.lookupType(kind)
  const shown = [kind, apiVersion].map((each) => JSON.stringify(each.slice(0, 100))).join(' of ')
  throw unsupported(`the kind ${shown} is not read in protobuf; send it as application/json`)
}

function decode(type: protobuf.Type, bytes: Uint8Array): protobuf.Message {
  const reader = protobuf.Reader.create(bytes)
  // They are looked at for fields of a wrong wire type, which the decoder takes for unknown ones.
  reader.discardUnknown = false
  try {
    return type.decode(reader)
  } catch {
    // The bytes end too early, are nested too deep, or are no protobuf at all.
    throw malformed(type)
  }
}

function jsonFrom(type: protobuf.Type, message: protobuf.Message): Record<string, unknown> {
  try {
    return jsonOf(type, message)
  } catch (error) {
    if (error instanceof WireError) throw malformed(type, error.message)
    throw error
  }
}

function malformed({ name }: protobuf.Type, why = 'it is cut off or damaged'): RegistryError {
  return badRequest(`the body is not a ${name} in protobuf: ${why}`)
}

function badRequest(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message })
}

function unsupported(message: string): RegistryError {
  return new RegistryError('UNSUPPORTED_MEDIA_TYPE', { message })
}
