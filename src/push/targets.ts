import { type ErrorCode, RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { prepareBirth } from '../streams/lives.ts'
import type { Links, NewLink, Pins, StreamReader, StreamWriter } from '../streams/streams.ts'

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

/** How often a stream is made anew that others delete meanwhile. */
const maxAttempts = 4

export function createTargets({ store, reader, writer, links, pins, now }: TargetsOptions): Targets {
  async function living(name: StreamName, by: { mayCreate: boolean }): Promise<string> {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const stream = (await reader.stream(name)) ?? (await make(name, by))
      if (stream === undefined) continue
      await pins.reached(stream.objectRevision)
      return stream.uid
    }
    throw changing(name)
  }

  async function make(name: StreamName, by: { mayCreate: boolean }) {
    if (!by.mayCreate) throw mayNotCreate(name)
    try {
      return await writer.create(name)
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'ALREADY_EXISTS') return undefined
      throw pushRefusal(error, name, 'NAME_INVALID')
    }
  }

  return {
    async require(name, by) {
      if ((await reader.stream(name)) !== undefined) return
      if (!by.mayCreate) throw mayNotCreate(name)
      await prepareBirth(store, name, {}, now()).catch((error: unknown) => {
        throw pushRefusal(error, name, 'NAME_INVALID')
      })
    },
    async give(name, by, link) {
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const uid = await living(name, by)
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

function mayNotCreate({ project, stream }: StreamName): RegistryError {
  const message = `there is no image stream ${project}/${stream}, and you may not create it`
  return new RegistryError('DENIED', { message })
}

function changing({ project, stream }: StreamName): RegistryError {
  const message = `image stream ${project}/${stream} keeps being deleted; try again`
  return new RegistryError('UNAVAILABLE', { message, retryAfterSeconds: 1 })
}
