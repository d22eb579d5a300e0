import { RegistryError } from '../../oci/errors.ts'

export function decodeProtobuf(_bytes: Uint8Array): Record<string, unknown> {
  throw new RegistryError('UNSUPPORTED_MEDIA_TYPE', { message: 'protobuf is not served yet; send application/json' })
}
