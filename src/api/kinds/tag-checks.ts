import { z } from 'zod'
import type { Importer } from '../../importer.ts'
import { formatDurationMs } from '../../oci/duration.ts'
import { RegistryError } from '../../oci/errors.ts'
import { formatImageReference, isTag, parseImageReference, type StreamName } from '../../oci/reference.ts'
import type { LastCheck, Schedule, TagCheck } from '../../schedule.ts'
import { candidateDueAt } from '../../streams/min-age.ts'
import { isPending } from '../../streams/pending.ts'
import type { StreamReader, Tag, WholeStream } from '../../streams/streams.ts'
import { wholeStream } from '../../streams/whole-repository.ts'
import { tagCheckColumns } from '../columns/tag-check-columns.ts'
import { decodeContinue, encodeContinue } from '../continue.ts'
import { imageGroup, weirGroup } from '../groups.ts'
import type { ApiObject, Call, Page, Resource, Right } from '../resource.ts'
import { tagCheckSchema } from '../schemas/tag-checks.ts'
import { maxPageItems } from '../stored.ts'
import { formatSeconds } from '../time.ts'
import { listOverStreams, tagItems } from './whole-streams.ts'

export interface TagChecksOptions {
  reader: Pick<StreamReader, 'stream' | 'tag' | 'whole' | 'wholes'>
  schedule: Pick<Schedule, 'checks'>
  importer: Pick<Importer, 'waiting'>
}

/** What is known of a tag: how its source is looked at, and why its import waits. */
interface Known {
  check?: TagCheck
  waiting?: WaitingImport
}
type WaitingImport = ReturnType<Importer['waiting']>[number]

const group = weirGroup
const resource = 'tagchecks'

const continueSchema = z.object({ tag: z.string() })

/**
 * How the upstreams of scheduled tags are looked at, from what the schedule knows. Named as an ImageStreamTag is, `stream:tag`, since
 * both may have dots; whoever may read the tag may read this of it. `stream:*` is of a stream that follows a whole repository. Any tag
 * has one while its import waits for its registry's budget.
 */
export function tagChecks(options: TagChecksOptions): Resource {
  return {
    group,
    version: 'v1',
    resource,
    singular: 'tagcheck',
    kind: 'TagCheck',
    schema: tagCheckSchema,
    namespaced: true,
    fieldSelectors: ['stream', 'tag'],
    columns: tagCheckColumns,
    admission: { get: 'handler', list: 'handler' },
    handlers: { get: (call) => getCheck(options, call), list: (call) => listChecks(options, call) },
  }
}

async function getCheck(options: TagChecksOptions, call: Call): Promise<ApiObject | undefined> {
  const { reader } = options
  const { project, name } = call
  requireRight(call, 'get', name)
  const { stream, tag } = splitName(name)
  const known = knownOf(options, { project, stream }).get(stream)?.get(tag)
  const found = known && (await reader.stream({ project, stream }))
  if (known === undefined || found === undefined) return undefined
  if (tag === wholeStream) return known.check && checkObject(known.check)
  const shown = isTag(tag) ? await reader.tag(found, tag) : undefined
  return shown && tagCheckObject(found, shown, known)
}

async function listChecks(options: TagChecksOptions, call: Call): Promise<Page> {
  const { stream, tag } = call.options.fields
  const { project } = call
  requireRight(call, 'list', project && stream && tag ? `${stream}:${tag}` : '')
  if (project !== '' && stream !== undefined) return listOfStream(options, call, stream)
  const projects = new Map<string, ReturnType<typeof knownOf>>()
  return listOverStreams(options.reader, call, (whole, afterTag) => {
    const of = whole.stream.project
    const known = projects.get(of) ?? knownOf(options, { project: of })
    projects.set(of, known)
    return itemsOf(whole, known.get(whole.stream.stream), afterTag)
  })
}

/** Of one stream nothing else is read. */
async function listOfStream(
  options: TagChecksOptions,
  { project, options: asked }: Call,
  stream: string,
): Promise<Page> {
  const limit = Math.min(asked.limit ?? maxPageItems, maxPageItems)
  const after = decodeContinue(continueSchema, asked.continue)
  const known = knownOf(options, { project, stream }).get(stream)
  const whole = known && (await options.reader.whole({ project, stream }))
  const all = whole === undefined ? [] : [...itemsOf(whole, known, after?.tag)]
  const selected = all.filter(({ item }) => asked.selects(item))
  const page = selected.slice(0, limit)
  const last = page.at(-1)
  const items = page.map(({ item }) => item)
  return selected.length > limit && last ? { items, continue: encodeContinue({ tag: last.tag }) } : { items }
}

function* itemsOf(whole: WholeStream, byTag: ReadonlyMap<string, Known> = new Map(), afterTag?: string) {
  const ofStream = byTag.get(wholeStream)?.check
  // It is before all tags in the order of their names.
  if (ofStream !== undefined && afterTag === undefined) yield { item: checkObject(ofStream), tag: wholeStream }
  yield* tagItems(byTag.size === 0 ? { ...whole, tags: [] } : whole, afterTag, (stream, tag) => {
    const known = byTag.get(tag.name)
    return known && tagCheckObject(stream, tag, known)
  })
}

/** What is known of the tags of a project's streams, or of one of them. */
function knownOf(
  { schedule, importer }: TagChecksOptions,
  where: { project: string; stream?: string },
): ReadonlyMap<string, ReadonlyMap<string, Known>> {
  const streams = new Map<string, Map<string, Known>>()
  const add = ({ stream, tag }: { stream: string; tag: string }, more: Known) => {
    const tags = streams.get(stream) ?? new Map<string, Known>()
    streams.set(stream, tags.set(tag, { ...tags.get(tag), ...more }))
  }
  for (const check of schedule.checks(where)) add(check, { check })
  for (const waiting of importer.waiting(where)) add(waiting, { waiting })
  return streams
}

/** A right to read a tag is one to read its checks. @throws RegistryError FORBIDDEN */
function requireRight(call: Call, verb: 'get' | 'list', name: string): void {
  const { project } = call
  const ofTags: Right = { verb, group: imageGroup, resource: 'imagestreamtags', name, project }
  if (verb === 'list' && name !== '' && call.can({ ...ofTags, verb: 'get' })) return
  if (!call.can(ofTags)) call.require({ verb, group, resource, name, project })
}

/** @throws RegistryError BAD_REQUEST */
function splitName(name: string): { stream: string; tag: string } {
  const [stream, tag, ...more] = name.split(':')
  if (stream && tag && more.length === 0) return { stream, tag }
  throw new RegistryError('BAD_REQUEST', { message: `${resource} are named as tags are: <stream>:<tag>` })
}

/** undefined where nothing is left of what was known. */
function tagCheckObject({ project, stream }: StreamName, tag: Tag, { check, waiting }: Known): ApiObject | undefined {
  const { spec, candidate } = tag.record
  const isWaiting = waiting !== undefined && isPending(tag.record) && spec?.generation === waiting.generation
  if (check === undefined && !isWaiting) return undefined
  const dueAt = candidateDueAt(tag.record)
  const source = parseImageReference(spec?.from?.name ?? '')
  const unscheduled = {
    metadata: metadataOf(project, stream, tag.name),
    stream,
    tag: tag.name,
    ...(source && { from: formatImageReference(source) }),
  }
  return {
    ...(check === undefined ? unscheduled : checkObject(check)),
    ...(isWaiting && {
      importWaits: {
        until: formatSeconds(waiting.untilMs / 1000),
        reason: 'TooManyRequests',
        message: waiting.message,
      },
    }),
    ...(candidate === undefined
      ? {}
      : {
          candidate: {
            image: candidate.image,
            seenAt: candidate.seenAt,
            ...(dueAt === undefined ? {} : { dueAt: formatSeconds(dueAt / 1000) }),
          },
        }),
  }
}

function checkObject({ project, stream, tag, from, intervalMs, last, nextAt, delayedBy }: TagCheck): ApiObject {
  return {
    metadata: metadataOf(project, stream, tag),
    stream,
    tag,
    from,
    interval: formatDurationMs(intervalMs),
    ...(last === undefined ? {} : { lastCheck: lastCheck(last) }),
    nextCheck: formatSeconds(nextAt / 1000),
    ...(delayedBy === undefined ? {} : { delayedBy }),
  }
}

function metadataOf(project: string, stream: string, tag: string): ApiObject['metadata'] {
  return { name: `${stream}:${tag}`, namespace: project, creationTimestamp: null }
}

function lastCheck({ at, digest, ...last }: LastCheck): object {
  return { time: formatSeconds(at / 1000), ...(digest === undefined ? {} : { image: digest }), ...last }
}
