import type { Command } from 'commander'
import {
  type Image,
  type ImageStream,
  type ImageStreamImage,
  type ImageStreamTag,
  type ImageTag,
  resources,
} from './api.ts'
import type { Client } from './client.ts'
import { mapFew } from './concurrent.ts'
import { readContent, readProjectLevel } from './content-state.ts'
import { foldAliases, formatStream } from './describe-stream.ts'
import { formatTagDetails } from './describe-tag.ts'
import { unlessForbidden } from './failures.ts'
import { immutableText } from './immutable.ts'
import { newestEvents } from './ledger.ts'
import { missingTag, requireStream } from './missing.ts'
import { type Format, formatOption, printObject } from './output.ts'
import { formatStreamReference, parseStreamReference, type TagName } from './references.ts'
import { followersIn, isScheduled, type StreamTag, tagOfImageTag, tagsOf, trackedTag } from './stream-tags.ts'
import { readCheck, readChecks } from './tag-checks.ts'
import { tagTarget } from './tag-write.ts'
import { addVerb, type VerbContext } from './verbs.ts'

/** Most tags of a stream whose ledger and content are read, and images of an index: each is a request. */
const maxLedgers = 100
const maxChildren = 50
const atOnce = 8

/** Adds `describe`. */
export function addDescribeVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'describe <project/stream[:tag]>', {
    does: 'Tells all of a stream, or of a tag and its image.',
    example: 'weir describe demo/app',
    more: ['weir describe demo/app:prod'],
    words: `Of each tag: where it stands, since when and through whom, what moves it, what is held of it, and what is wrong, since when,
and what to do.
-o wide shows whole digests and long lists; -o json and yaml are the API's own object.`,
  })
    .addOption(formatOption())
    .action(async (target: string, { output }: { output?: Format }) => {
      const { tag, ...name } = parseStreamReference(target)
      const client = await context.connect()
      if (tag === undefined) await describeStream(context, client, name, output)
      else await describeTag(context, client, { ...name, tag }, output)
    })
}

async function describeStream(
  context: VerbContext,
  client: Client,
  name: { project: string; stream: string },
  format: Format | undefined,
): Promise<void> {
  const stream = await requireStream(client, name)
  const called = formatStreamReference(name)
  if (format === 'json' || format === 'yaml' || format === 'name') {
    printObject(context.stdout, format, stream, { name: called, text: '' })
    return
  }
  const tags = tagsOf(stream)
  const told = foldAliases(tags).map(({ tag }) => tag)
  const read = told.filter(({ items }) => items.length > 0).slice(0, maxLedgers)
  const ledgers = await mapFew(read, atOnce, async (tag) => [tag.tag, await newestEvents(client, tag)] as const)
  const events = new Map(ledgers.flatMap(([tag, found]) => (found === undefined ? [] : [[tag, found] as const])))
  const contents = new Map(
    await mapFew(read, atOnce, async (tag) => [tag.tag, await readContent(client, tag)] as const),
  )
  const project = await readProjectLevel(client, name.project)
  const isChecked = tags.some(mayBeChecked) || Boolean(stream.spec?.dockerImageRepository)
  const checks = isChecked ? await readChecks(client, name) : new Map()
  const nowMs = context.clock.now()
  context.stdout.write(
    formatStream({ stream, tags, events, contents, checks, project, nowMs, wide: format === 'wide' }),
  )
  if (told.length > read.length && read.length === maxLedgers) {
    context.note(
      `note: who moved a tag and why, and what is held, is told of the first ${maxLedgers}; of one: weir describe ${called}:TAG`,
    )
  }
}

async function describeTag(
  context: VerbContext,
  client: Client,
  name: TagName,
  format: Format | undefined,
): Promise<void> {
  const found = await client.find<ImageTag>(tagTarget(resources.imageTags, name))
  if (found === undefined) throw await missingTag(client, name)
  if (format === 'json' || format === 'yaml' || format === 'name') {
    // An ImageStreamTag is there only where the tag stands at an image.
    const object = await client.find<ImageStreamTag>(tagTarget(resources.imageStreamTags, name))
    printObject(context.stdout, format, object ?? found, { name: formatStreamReference(name), text: '' })
    return
  }
  const tag = tagOfImageTag(name, found)
  const target = { resource: resources.imageStreams, project: name.project, name: name.stream }
  const stream = await unlessForbidden(client.find<ImageStream>(target), undefined)
  const siblings = stream === undefined ? [] : tagsOf(stream)
  const tracked = trackedTag(tag)
  const above = [
    { called: `stream ${name.project}/${name.stream}`, annotations: stream?.metadata?.annotations },
    await readProjectLevel(client, name.project),
  ]
  const text = formatTagDetails({
    tag,
    image: found.image ?? undefined,
    children: await readChildren(client, name, found.image ?? undefined),
    events: await newestEvents(client, name),
    source: siblings.find((each) => each.tag === tracked),
    content: tag.image === undefined ? undefined : await readContent(client, name),
    check: mayBeChecked(tag) ? await readCheck(client, name) : undefined,
    above,
    isImmutable: immutableText(tag, above)?.startsWith('yes') === true,
    followers: followersIn(siblings)(name.tag).map((each) => each.tag),
    repository: stream?.status?.publicDockerImageRepository ?? stream?.status?.dockerImageRepository,
    nowMs: context.clock.now(),
    wide: format === 'wide',
  })
  context.stdout.write(text)
}

/** What the stream knows of the images of an index, by digest. */
async function readChildren(
  client: Client,
  { project, stream }: TagName,
  image: Image | undefined,
): Promise<Map<string, Image>> {
  const digests = (image?.dockerImageManifests ?? []).flatMap(({ digest }) => (digest ? [digest] : []))
  const read = await mapFew(digests.slice(0, maxChildren), atOnce, async (digest) => {
    const target = { resource: resources.imageStreamImages, project, name: `${stream}@${digest}` }
    const child = await unlessForbidden(client.find<ImageStreamImage>(target), undefined)
    return child?.image ? ([[digest, child.image]] as const) : []
  })
  return new Map(read.flat())
}

/** Also what waits for its import may have a check that says why. */
function mayBeChecked(tag: StreamTag): boolean {
  return isScheduled(tag) || tag.isPending
}
