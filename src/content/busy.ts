import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'

/** Another process writes it, or took that over: whoever asks again waits for its turn. What that process is, is not told. */
export class BusyError extends RegistryError {
  constructor(digest: Digest) {
    super('UNAVAILABLE', { message: `${digest} is busy, try again` })
    this.name = 'BusyError'
  }
}
