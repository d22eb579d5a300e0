import { z } from 'zod'
import { formatDurationMs } from '../../oci/duration.ts'
import { RegistryError } from '../../oci/errors.ts'
import { isTag, type StreamName } from '../../oci/reference.ts'
import type { LastCheck, Schedule, TagCheck } from '../../schedule.ts'
import { candidateDueAt } from '../../streams/min-age.ts'
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
}

const group = weirGroup
const resource = 'tagchecks'

const continueSchema = z.object({ tag: z.string() })

/**
 * How the upstreams of scheduled tags are looked at, from what the schedule knows. Named as an ImageStreamTag is, `stream:tag`, since
 * both may have dots; whoever may read the tag may read this of it. `stream:*` is of a stream that follows a whole repository.
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

async function getCheck({ reader, schedule }: TagChecksOptions, call: Call): Promise<ApiObject | undefined> {
  const { project, name } = call
  requireRight(call, 'get', name)
  const { stream, tag } = splitName(name)
  const check = schedule.checks({ project, stream }).find((each) => each.tag === tag)
  const found = check && (await reader.stream({ project, stream }))
  if (tag === wholeStream) return check && found && tagCheckObject(check)
  const shown = found && isTag(tag) ? await reader.tag(found, tag) : undefined
  return check && shown && tagCheckObject(check, shown)
}

async function listChecks({ reader, schedule }: TagChecksOptions, call: Call): Promise<Page> {
  const { project, options } = call
  const { stream, tag } = options.fields
  requireRight(call, 'list', project && stream && tag ? `${stream}:${tag}` : '')
  if (project !== '' && stream !== undefined) return listOfStream({ reader, schedule }, call, stream)
  const checksOf = checksByStream(schedule)
  return listOverStreams(reader, call, (whole, afterTag) => {
    return itemsOf(whole, checksOf(whole.stream), afterTag)
  })
}

/** Of one stream nothing else is read. */
async function listOfStream({ reader, schedule }: TagChecksOptions, call: Call, stream: string): Promise<Page> {
  const { project, options } = call
  const limit = Math.min(options.limit ?? maxPageItems, maxPageItems)
  const after = decodeContinue(continueSchema, options.continue)
  const checks = schedule.checks({ project, stream })
  const whole = checks.length === 0 ? undefined : await reader.whole({ project, stream })
  const all = whole === undefined ? [] : [...itemsOf(whole, checks, after?.tag)]
  const selected = all.filter(({ item }) => options.selects(item))
  const page = selected.slice(0, limit)
  const last = page.at(-1)
  const items = page.map(({ item }) => item)
  return selected.length > limit && last ? { items, continue: encodeContinue({ tag: last.tag }) } : { items }
}

function* itemsOf(whole: WholeStream, checks: readonly TagCheck[], afterTag?: string) {
  const byTag = new Map(checks.map((check) => [check.tag, check]))
  const ofStream = byTag.get(wholeStream)
  // It is before all tags in the order of their names.
  if (ofStream !== undefined && afterTag === undefined) yield { item: tagCheckObject(ofStream), tag: wholeStream }
  yield* tagItems(byTag.size === 0 ? { ...whole, tags: [] } : whole, afterTag, (_, tag) => {
    const check = byTag.get(tag.name)
    return check && tagCheckObject(check, tag)
  })
}

/** Answers the checks of a stream; those of each project are read once. */
function checksByStream(schedule: TagChecksOptions['schedule']): (name: StreamName) => readonly TagCheck[] {
  const projects = new Map<string, Map<string, TagCheck[]>>()
  return ({ project, stream }) => {
    const known = projects.get(project) ?? Map.groupBy(schedule.checks({ project }), (check) => check.stream)
    projects.set(project, known)
    return known.get(stream) ?? []
  }
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

/** `shown` is the tag; undefined of a stream itself. */
function tagCheckObject(check: TagCheck, shown?: Pick<Tag, 'record'>): ApiObject {
  const { project, stream, tag, from, intervalMs, last, nextAt, delayedBy } = check
  const candidate = shown?.record.candidate
  const dueAt = shown && candidateDueAt(shown.record)
  return {
    metadata: { name: `${stream}:${tag}`, namespace: project, creationTimestamp: null },
    stream,
    tag,
    from,
    interval: formatDurationMs(intervalMs),
    ...(last === undefined ? {} : { lastCheck: lastCheck(last) }),
    nextCheck: formatSeconds(nextAt / 1000),
    ...(delayedBy === undefined ? {} : { delayedBy }),
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

function lastCheck({ at, digest, ...last }: LastCheck): object {
  return { time: formatSeconds(at / 1000), ...(digest === undefined ? {} : { image: digest }), ...last }
}
