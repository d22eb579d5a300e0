import type { Digest } from './digest.ts'
import type { Manifest } from './manifest.ts'

/** What a listing of referrers tells of a manifest, besides its descriptor. */
export interface ReferrerFacts {
  subject: Digest
  /** Absent for an index without one. */
  artifactType?: string
  annotations?: Record<string, string>
}

/**
 * What a listing of the referrers of its subject tells of a manifest; undefined when it has none.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export function referrerOf(manifest: Manifest, bytes: Uint8Array): ReferrerFacts | undefined {
  const { subject } = manifest
  if (subject === undefined) return undefined
  const ofConfig = 'config' in manifest ? manifest.config.mediaType : undefined
  const artifactType = manifest.artifactType || ofConfig
  const { annotations } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { annotations?: unknown }
  const told = stringMap(annotations)
  return {
    subject: subject.digest,
    ...(artifactType ? { artifactType } : {}),
    ...(told === undefined ? {} : { annotations: told }),
  }
}

/** The strings of an object by their keys; undefined for what is no object. */
export function stringMap(value: unknown): Record<string, string> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}
