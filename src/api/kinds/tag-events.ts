import { z } from 'zod'
import { parseDigest } from '../../oci/digest.ts'
import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import { isTag, type StreamName } from '../../oci/reference.ts'
import type { StreamChanges } from '../../streams/changes.ts'
import type { LedgerEntry } from '../../streams/records.ts'
import type { ChangeResult, Pins, StreamReader } from '../../streams/streams.ts'
import type { TagEvents } from '../../tag-events.ts'
import { parseObject } from '../body.ts'
import { tagEventColumns } from '../columns/tag-event-columns.ts'
import { decodeContinue, encodeContinue } from '../continue.ts'
import { invalid, required, requireValid } from '../fields.ts'
import { imageGroup, weirGroup } from '../groups.ts'
import { streamName, withMetadata } from '../metadata.ts'
import type { ApiObject, Call, Page, Resource, Right } from '../resource.ts'
import { tagEventSchema } from '../schemas/tag-events.ts'
import { followLedger } from '../watch/follow-streams.ts'
import { changeCause } from './change-cause.ts'

export interface TagEventsOptions {
  reader: Pick<StreamReader, 'stream' | 'ledger'>
  tagEvents: TagEvents
  pins: Pick<Pins, 'reached'>
  changes: StreamChanges
}

const group = weirGroup

/** Most entries of a page, also when no limit is asked for: a ledger has no end. */
const maxPage = 1000

const wish = z.object({
  kind: z.string().optional(),
  stream: z.string().default(''),
  tag: z.string().default(''),
  to: z.union([z.int(), z.string()]).nullish(),
  reason: z.string().nullish(),
})

const continueSchema = z.object({ stream: z.string(), tag: z.string(), before: z.int().positive() })

type Wish = z.infer<typeof wish>

/**
 * The ledger of a tag, newest first. `POST` of kind `Rollback` (`stream`, `tag`, `to`, `reason`) or `Resume` (`stream`,
 * `tag`, `reason`) answers the event that is in force afterwards.
 */
export function tagEvents(options: TagEventsOptions): Resource {
  return {
    group,
    version: 'v1',
    resource: 'tagevents',
    singular: 'tagevent',
    kind: 'TagEvent',
    schema: tagEventSchema,
    namespaced: true,
    fieldSelectors: ['stream', 'tag'],
    columns: tagEventColumns,
    admission: { list: 'handler', watch: 'handler', create: 'handler' },
    follow: followLedger(options.changes, options.reader, tagEventObject),
    asksOthers: true,
    bodyKinds: ['Rollback', 'Resume'],
    handlers: {
      list: (call) => listEvents(options, call),
      create: (call, body) => moveTag(options, call, body),
    },
  }
}

async function listEvents({ reader }: TagEventsOptions, call: Call): Promise<Page> {
  const { project, options } = call
  const { stream = '', tag = '' } = options.fields
  if (!mayRead(call, project, stream, tag)) call.require(listRight(project))
  if (project === '' || stream === '' || tag === '') {
    throw new RegistryError('BAD_REQUEST', {
      message: 'tagevents are listed by tag: GET .../namespaces/PROJECT/tagevents?fieldSelector=stream=NAME,tag=NAME',
    })
  }
  const position = decodeContinue(continueSchema, options.continue)
  if (position && (position.stream !== stream || position.tag !== tag)) {
    throw new RegistryError('BAD_REQUEST', { message: 'continue: a token of another tag' })
  }
  const limit = Math.min(options.limit ?? maxPage, maxPage)
  const name: StreamName = { project, stream }
  const before = position && { before: position.before }
  const entries = isTag(tag) ? await reader.ledger(name, tag, { ...before, limit: limit + 1 }) : []
  const page = entries.slice(0, limit)
  const last = page.at(-1)
  return {
    items: page.map((entry) => tagEventObject(name, tag, entry)),
    ...(entries.length > page.length && last
      ? { continue: encodeContinue({ stream, tag, before: last.revision }) }
      : {}),
  }
}

/** Whoever may read the tag may read where it stood before; a right can be limited to that tag. */
function mayRead(call: Call, project: string, stream: string, tag: string): boolean {
  return call.can(tagRight('get', project, stream, tag)) || call.can(listRight(project))
}

function listRight(project: string): Right {
  return { verb: 'list', group, resource: 'tagevents', name: '', project }
}

async function moveTag(
  { reader, tagEvents, pins }: TagEventsOptions,
  call: Call,
  body: Record<string, unknown>,
): Promise<ApiObject> {
  const { kind, stream, tag, to, reason } = parseObject(wish, body)
  const { metadata } = parseObject(withMetadata, body)
  call.require(tagRight('update', call.project, stream, tag))
  const target = parseTo(to)
  requireValid(checkWish({ kind, stream, tag, to }, target), { name: `${stream}:${tag}`, kind: 'tagevents', group })
  const name: StreamName = { project: call.project, stream }
  const asked = { by: call.subject.name, ...changeCause(metadata, reason) }
  const result = await (kind === 'Rollback'
    ? tagEvents.rollback(name, tag, { ...asked, ...(target !== undefined && { to: target }) })
    : tagEvents.resume(name, tag, asked))
  await pins.reached(result.revision)
  return { kind: 'TagEvent', ...tagEventObject(name, tag, await entryInForce(reader, name, tag, result)) }
}

async function entryInForce(
  reader: TagEventsOptions['reader'],
  name: StreamName,
  tag: string,
  { entry, tag: after }: ChangeResult,
): Promise<LedgerEntry> {
  const revision = after?.record.current ?? 0
  const [current] = entry === undefined ? await reader.ledger(name, tag, { before: revision + 1, limit: 1 }) : [entry]
  if (current !== undefined) return current
  throw new RegistryError('NOT_FOUND', { message: `tag "${tag}" of ${name.project}/${name.stream} has no event` })
}

function tagRight(verb: string, project: string, stream: string, tag: string): Right {
  const name = stream === '' || tag === '' ? '' : `${stream}:${tag}`
  return { verb, group: imageGroup, resource: 'imagestreamtags', name, project }
}

/** A revision as a number or digits, or a digest; anything else stays as it is, for the message. */
function parseTo(to: Wish['to']): number | string | undefined {
  if (to === null || to === undefined || to === '') return undefined
  return typeof to === 'string' && /^[0-9]{1,12}$/.test(to) ? Number(to) : to
}

function checkWish({ kind, stream, tag }: Wish, to: number | string | undefined): FieldCause[] {
  const causes: FieldCause[] = []
  const badStream = stream === '' ? undefined : streamName(stream)
  if (stream === '') causes.push(required('stream', 'the image stream of the tag'))
  if (badStream !== undefined) causes.push(invalid('stream', stream, badStream))
  if (tag === '') causes.push(required('tag', 'which tag is meant'))
  else if (!isTag(tag)) causes.push(invalid('tag', tag, "must be at most 128 letters, digits, '_', '.' or '-'"))
  if (kind === 'Resume' && to !== undefined) causes.push(invalid('to', to, 'a resume goes to what the source has now'))
  const isTarget = to === undefined || (typeof to === 'number' ? to > 0 : parseDigest(to) !== undefined)
  if (!isTarget) causes.push(invalid('to', to, 'must be a revision (a number from 1) or a digest (sha256:...)'))
  return causes
}

function tagEventObject({ project, stream }: StreamName, tag: string, entry: LedgerEntry): ApiObject {
  const { revision, created, image, previousImage, mediaType, dockerImageReference, generation, cause } = entry
  return {
    metadata: { name: `${stream}.${tag}.${revision}`, namespace: project, creationTimestamp: created },
    stream,
    tag,
    revision,
    image,
    ...(previousImage === undefined ? {} : { previousImage }),
    mediaType,
    dockerImageReference,
    generation,
    cause,
  }
}
