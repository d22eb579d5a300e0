import type { Content } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { livesRange, streamOfKey } from '../streams/keys.ts'
import type { Links, StreamLink } from '../streams/streams.ts'

export interface MountsOptions {
  store: Pick<Store, 'range'>
  links: Pick<Links, 'get'>
  content: Pick<Content, 'touch' | 'held'>
}

/** Finds blobs that a stream can be given without their bytes being sent (OCI distribution 1.1, "Mounting a blob"). */
export interface Mounts {
  /**
   * What `from`, or without it any of the project's first streams and the stream itself, has of a blob and `mayPull` lets the
   * caller have. As much is read for what nobody has, for what is not there, and for what he may not have (I5).
   */
  find(name: StreamName, digest: Digest, options: FindOptions): Promise<Mountable | undefined>
}

export interface FindOptions {
  from?: StreamName
  mayPull(name: StreamName): boolean
}

/** A blob that can be mounted, and what the stream `from` may have of it. */
export interface Mountable {
  from: StreamName
  link: StreamLink
}

/** Most streams of a project that are looked into. */
const maxStreams = 200
const atOnce = 16
/** No name: what may not be looked at is looked for here. */
const nowhere: StreamName = { project: '-', stream: '-' }

export function createMounts({ store, links, content }: MountsOptions): Mounts {
  async function findIn(from: StreamName, digest: Digest, mayPull: FindOptions['mayPull']) {
    const link = await links.get(mayPull(from) ? from : nowhere, digest)
    return link?.isBlob ? { from, link } : undefined
  }

  async function streamsOf(name: StreamName): Promise<StreamName[]> {
    const entries = await Array.fromAsync(
      await store.range({ ...livesRange(name.project, undefined), limit: maxStreams }),
    )
    const others = entries.map(({ key }) => streamOfKey(key)).filter(({ stream }) => stream !== name.stream)
    return [name, ...others]
  }

  /** What is held nowhere is not lost while an upstream may have it. */
  async function isThere({ link }: Mountable): Promise<boolean> {
    await content.touch(link.digest)
    // Only what is held after it was used is there to stay.
    return (await content.held(link)) !== undefined || link.locations.some(({ kind }) => kind === 'upstream')
  }

  return {
    async find(name, digest, { from, mayPull }) {
      const streams = from === undefined ? await streamsOf(name) : [from]
      for (let start = 0; start < streams.length; start += atOnce) {
        const some = streams.slice(start, start + atOnce)
        const found = await Promise.all(some.map((each) => findIn(each, digest, mayPull)))
        for (const each of found) if (each !== undefined && (await isThere(each))) return each
      }
      return undefined
    },
  }
}
