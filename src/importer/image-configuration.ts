import { parseStrictJson } from '../oci/strict-json.ts'
import type { ImageConfiguration, ImageRecord } from '../streams/records.ts'

/** Most bytes of a config that is read. */
export const maxConfigBytes = 4 * 1024 * 1024

/** Most bytes of what is kept of a config, as JSON: beside the largest image record it fits one commit. */
export const maxConfigurationBytes = 200 * 1024

const limits = { maxDepth: 64, maxValues: 250_000, maxKeys: 20_000, integerKeys: new Set<string>() }
const maxNameLength = 256
const maxTextLength = 4096
/** Longest part of a command, variable or label: some build tools write whole documents into one. */
const maxValueLength = 128 * 1024

const configTypes = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
])

/** Go's reading of RFC 3339, which clients of the API apply. */
const time = /^(\d{4}-\d{2}-\d{2})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

type Fields = Record<string, unknown>

/** Whether an image has a config that tells of it: that of an artifact may be anything. */
export function hasReadableConfig({ config }: Pick<ImageRecord, 'config'>): boolean {
  return config !== undefined && configTypes.has(config.mediaType) && config.size <= maxConfigBytes
}

/**
 * What the API shows of an image's config. Of a document that not everybody would read alike nothing is taken; values of
 * other types than the spec's, and what is longer than anybody needs, are left out. A list of arguments is taken whole or
 * not at all; of variables and labels as many as there is room for, each whole.
 *
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
 */
export function parseImageConfiguration(bytes: Uint8Array): ImageConfiguration {
  const document = fieldsOf(parsed(bytes))
  const room = createRoom(maxConfigurationBytes)
  const config = fieldsOf(document.config)
  return defined({
    created: room.text(timeOf(document.created)),
    architecture: room.text(textOf(document.architecture, maxNameLength)),
    os: room.text(textOf(document.os, maxNameLength)),
    variant: room.text(textOf(document.variant, maxNameLength)),
    author: room.text(textOf(document.author, maxTextLength)),
    dockerVersion: room.text(textOf(document.docker_version, maxNameLength)),
    config: unlessEmpty(
      defined({
        User: room.text(textOf(config.User, maxNameLength)),
        WorkingDir: room.text(textOf(config.WorkingDir, maxTextLength)),
        StopSignal: room.text(textOf(config.StopSignal, maxNameLength)),
        Entrypoint: room.all(argumentsOf(config.Entrypoint)),
        Cmd: room.all(argumentsOf(config.Cmd)),
        ExposedPorts: room.set(Object.keys(fieldsOf(config.ExposedPorts))),
        Volumes: room.set(Object.keys(fieldsOf(config.Volumes))),
        Env: room.some(texts(config.Env)),
        Labels: room.map(Object.entries(fieldsOf(config.Labels))),
      }),
    ),
  })
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes, limits)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Takes what fits: everything that was taken is at most `maxBytes` long as JSON. */
function createRoom(maxBytes: number) {
  // Of the names of all fields and the braces around them.
  let left = maxBytes - 512

  function take(...values: readonly unknown[]): boolean {
    // Each with what stands between it and the next.
    const bytes = values.reduce<number>((sum, value) => sum + Buffer.byteLength(JSON.stringify(value)) + 2, 0)
    if (bytes > left) return false
    left -= bytes
    return true
  }

  return {
    text: (value: string | undefined) => (value !== undefined && take(value) ? value : undefined),
    all: (values: string[] | undefined) => (values !== undefined && take(...values) ? values : undefined),
    some: (values: string[]) => unlessNone(values.filter((value) => take(value))),
    set(keys: string[]): Record<string, Record<string, never>> | undefined {
      const taken = keys.filter((key) => key.length <= maxTextLength && take(key, {}))
      return taken.length === 0 ? undefined : Object.fromEntries(taken.map((key) => [key, {}]))
    },
    map(entries: [string, unknown][]): Record<string, string> | undefined {
      const taken = entries.filter(
        (entry): entry is [string, string] =>
          entry[0].length <= maxTextLength && textOf(entry[1], maxValueLength) !== undefined && take(...entry),
      )
      return taken.length === 0 ? undefined : Object.fromEntries(taken)
    },
  }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

function textOf(value: unknown, maxLength: number): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= maxLength ? value : undefined
}

function texts(value: unknown): string[] {
  const values: unknown[] = Array.isArray(value) ? value : []
  return values.filter((each) => typeof each === 'string' && each !== '' && each.length <= maxValueLength) as string[]
}

/** A command without one of its arguments would be another. */
function argumentsOf(value: unknown): string[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined
  return value.every((each) => typeof each === 'string') ? value : undefined
}

function timeOf(value: unknown): string | undefined {
  const day = typeof value === 'string' ? time.exec(value)?.[1] : undefined
  if (day === undefined) return undefined
  const at = new Date(`${day}T00:00:00Z`)
  // February 30 is a day in March to JavaScript, and none to Go.
  return Number.isFinite(at.getTime()) && at.toISOString().startsWith(day) ? String(value) : undefined
}

function unlessNone<T>(values: T[]): T[] | undefined {
  return values.length === 0 ? undefined : values
}

function unlessEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length === 0 ? undefined : value
}

function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
