import { type ErrorCode, RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { prepareBirth } from '../streams/lives.ts'
import type { Links, NewLink, Pins, Stream, StreamReader, StreamWriter } from '../streams/streams.ts'

export interface TargetsOptions {
  store: Store
  reader: Pick<StreamReader, 'stream'>
  writer: Pick<StreamWriter, 'create'>
  links: Pick<Links, 'add'>
  pins: Pick<Pins, 'reached'>
  now: () => number
}

/** The streams that are pushed to, there or to be. */
export interface Targets {
  /**
   * Lets a push go on where the stream is there, or he may create it and it could be.
   *
   * @throws RegistryError DENIED, NAME_UNKNOWN when there is no such project, NAME_INVALID
   */
  require(name: StreamName, by: { mayCreate: boolean }): Promise<void>
  /**
   * Gives the stream a link, and makes the stream where it is not there. Pulls find it when this returns.
   *
   * @throws RegistryError as `require`; UNAVAILABLE
   */
  give(name: StreamName, by: { mayCreate: boolean }, link: NewLink): Promise<void>
}

/** What a blob is, manifests say that name it. */
export const blobMediaType = 'application/octet-stream'

/** How often a stream is made anew that others delete meanwhile. */
const maxAttempts = 4

/**
 * The stream, made where it is not there; `beforeMaking` may refuse that.
 *
 * @throws RegistryError DENIED when it is not there and he may not create it; NAME_UNKNOWN when there is no such project, NAME_INVALID,
 * UNAVAILABLE
 */
export async function streamFor(
  { reader, writer }: Pick<TargetsOptions, 'reader' | 'writer'>,
  name: StreamName,
  by: { mayCreate: boolean },
  beforeMaking: () => void = () => undefined,
): Promise<Stream> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const stream = await reader.stream(name)
    if (stream !== undefined) return stream
    requireMayCreate(name, by)
    beforeMaking()
    try {
      return await writer.create(name)
    } catch (error) {
      // Another made it meanwhile.
      if (!(error instanceof RegistryError) || error.code !== 'ALREADY_EXISTS')
        throw pushRefusal(error, name, 'NAME_INVALID')
    }
  }
  throw changing(name)
}

export function createTargets({ store, reader, writer, links, pins, now }: TargetsOptions): Targets {
  return {
    async require(name, by) {
      if ((await reader.stream(name)) !== undefined) return
      requireMayCreate(name, by)
      await prepareBirth(store, name, {}, now()).catch((error: unknown) => {
        throw pushRefusal(error, name, 'NAME_INVALID')
      })
    },
    async give(name, by, link) {
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const { uid, objectRevision } = await streamFor({ reader, writer }, name, by)
        await pins.reached(objectRevision)
        try {
          return await links.add(name, uid, [link], { isReliedOn: true })
        } catch (error) {
          if (!(error instanceof RegistryError) || error.code !== 'NAME_UNKNOWN') throw error
        }
      }
      throw changing(name)
    },
  }
}

/** What the refusals of the API are for whoever pushes; `otherwise` is what can not be taken as it is. */
export function pushRefusal(error: unknown, name: StreamName, otherwise: ErrorCode): unknown {
  if (!(error instanceof RegistryError)) return error
  const detail = { name: `${name.project}/${name.stream}` }
  const { message } = error
  if (error.code === 'NOT_FOUND') return new RegistryError('NAME_UNKNOWN', { message, detail })
  if (error.code === 'FORBIDDEN') return new RegistryError('DENIED', { message, detail })
  if (error.code === 'INVALID') return new RegistryError(otherwise, { message, detail })
  return error
}

function requireMayCreate({ project, stream }: StreamName, { mayCreate }: { mayCreate: boolean }): void {
  if (mayCreate) return
  const message = `there is no image stream ${project}/${stream}, and you may not create it`
  throw new RegistryError('DENIED', { message })
}

function changing({ project, stream }: StreamName): RegistryError {
  const message = `image stream ${project}/${stream} keeps being deleted; try again`
  return new RegistryError('UNAVAILABLE', { message, retryAfterSeconds: 1 })
}
