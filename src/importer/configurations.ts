import type { Logger } from 'pino'
import type { Content, Link, UpstreamLocation } from '../content/content.ts'
import { readAll } from '../content/reader.ts'
import type { StreamName } from '../oci/reference.ts'
import type { ImageConfiguration, ImageRecord } from '../streams/records.ts'
import { hasReadableConfig, parseImageConfiguration } from './image-configuration.ts'

/** Reads the configs of images. */
export interface Configurations {
  /**
   * What the config that an image's manifest names says, from where the manifest came and nowhere else (I5). Undefined for what
   * is no image, and when the config is not to be had now: an image is imported without it.
   */
  read(image: ImageRecord, location: UpstreamLocation, options?: ReadOptions): Promise<ImageConfiguration | undefined>
}

interface ReadOptions {
  /** Keep the bytes, so that this location need not be asked again; default true. */
  keep?: boolean
  /** The stream whose import asks. */
  askedFor?: StreamName
  signal?: AbortSignal | undefined
}

export interface ConfigurationsOptions {
  content: Pick<Content, 'manifest' | 'putManifest' | 'open'>
  /** Longest time for one config, in milliseconds. */
  timeoutMs: number
  log: Logger
}

export function createConfigurations({ content, timeoutMs, log }: ConfigurationsOptions): Configurations {
  async function fetch(link: Link, left: AbortSignal | undefined): Promise<Buffer> {
    const deadline = AbortSignal.timeout(timeoutMs)
    const signal = left === undefined ? deadline : AbortSignal.any([left, deadline])
    return readAll(await content.open(link, undefined, signal), signal)
  }

  return {
    async read(image, location, { keep = true, askedFor, signal } = {}) {
      const { config } = image
      if (config === undefined || !hasReadableConfig(image)) return undefined
      // As the manifest names it, whatever other manifests of the stream say of the same digest.
      const link: Link = { ...config, locations: [location], ...(askedFor && { askedFor }) }
      try {
        const held = await content.manifest(link)
        const bytes = held ?? (await fetch(link, signal))
        if (held === undefined && keep) await content.putManifest(config.digest, bytes, location)
        return parseImageConfiguration(bytes)
      } catch (error) {
        log.info(
          { host: location.host, repository: location.repository, digest: config.digest, err: error },
          'config of an image not read',
        )
        return undefined
      }
    },
  }
}
