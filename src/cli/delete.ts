import type { Command } from 'commander'
import { parseDigest } from '../oci/digest.ts'
import { type ApiObject, apiVersion, type ImageStream, resources } from './api.ts'
import type { Client } from './client.ts'
import { refusalToDelete } from './delete-refusal.ts'
import { ApiError, CliError, isNotFound, misuse, unlessForbidden } from './failures.ts'
import { missingStream, missingTag } from './missing.ts'
import { type Format, formatOption, printable, printObject } from './output.ts'
import { formatStreamReference, parseStreamReference, parseTagReference, type TagName } from './references.ts'
import { followersIn, tagsOf } from './stream-tags.ts'
import { addVerb, changeCause, type VerbContext } from './verbs.ts'

interface DeleteOptions {
  dryRun?: boolean
  reason?: string
  output?: Format
}

/** What is to go: a tag alone, or an image with its tags. */
type Target = TagName | { project: string; stream: string; image: string }

interface ImageDeletion extends ApiObject {
  status?: {
    tags?: string[] | null
    /** The image first; then what refers to it. */
    manifests?: string[] | null
  }
}

/** Many tags take many commits. */
const deletePatienceMs = 600_000

/** Adds `delete`. */
export function addDeleteVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'delete <project/stream:tag|project/stream@digest>', {
    does: 'Deletes a tag, or an image with all its tags and with what refers to it.',
    example: 'weir delete demo/app@sha256:0123... --dry-run',
    more: ['weir delete demo/app:pr-17 --reason "merged"'],
    words: `A tag goes alone: its image stays, and its history. An image goes with every tag that stands there, and with what refers to it:
signatures, attestations, bills of materials; to roll back to it, somebody has to push or import it again. What an index names stays;
each can be deleted by its own digest, once no tag stands at the index. Nothing goes where one of the tags is held or immutable.
Tags that follow one that goes stay where they are. weir tag -d takes tags away, several at once, held ones too. It takes the right to delete imagestreams/layers, as DELETE of a registry's clients does.
The bytes are freed later, when nothing else needs them (weir prune).`,
  })
    .option('--dry-run', 'only tell what would go')
    .option('--reason <text>', 'why, for the history of the tags')
    .addOption(formatOption())
    .action(async (target: string, options: DeleteOptions) => deleteImage(context, parseTarget(target), options))
}

/** @throws CliError misuse */
function parseTarget(value: string): Target {
  const [path = '', written, ...more] = value.split('@')
  if (written === undefined) {
    const { project, stream, tag } = parseStreamReference(value)
    if (tag !== undefined) return parseTagReference(value)
    throw misuse(`"${value}" names no tag and no image; write ${project}/${stream}:TAG or ${project}/${stream}@DIGEST`)
  }
  const { project, stream, tag } = parseStreamReference(path)
  const image = more.length === 0 ? parseDigest(written) : undefined
  if (image === undefined)
    throw misuse(`"${written}" is not a whole digest, sha256:... ; weir get images lists them with -o wide`)
  if (tag === undefined) return { project, stream, image }
  throw misuse(
    `"${value}" names a tag and a digest; write ${project}/${stream}:${tag} or ${project}/${stream}@${image}`,
  )
}

async function deleteImage(context: VerbContext, target: Target, options: DeleteOptions): Promise<void> {
  const { dryRun = false, reason, output } = options
  const client = await context.connect()
  const { project, ...meant } = target
  const resource = resources.imageDeletions
  const body = {
    kind: 'ImageDeletion',
    apiVersion: apiVersion(resource),
    ...(reason === undefined ? {} : { metadata: changeCause(reason) }),
    spec: { ...meant, dryRun },
  }
  const sent = client.request<ImageDeletion>('POST', { resource, project }, { body, patienceMs: deletePatienceMs })
  const deleted = await sent.catch(async (error: unknown) => {
    if (isNotFound(error)) throw await missing(client, target, error)
    throw refusalToDelete(error, 'nothing was deleted') ?? error
  })
  const lines = linesOf(target, deleted)
  const fate = dryRun ? 'would be deleted' : 'deleted'
  const text = lines.map(({ name, what }) => printable(`${name}  ${fate}${what}`))
  const names = lines.map(({ name }) => printable(name)).join('\n')
  // The names are one line each, as everywhere with -o name.
  if (output === 'name') context.stdout.write(`${names}\n`)
  else printObject(context.stdout, output, deleted, { name: names, text: text.join('\n') })
  await noteFollowers(context, client, target, { tags: deleted.status?.tags ?? [], dryRun })
  if (dryRun && 'image' in target)
    context.note('note: to roll back to the image, somebody would have to push or import it again')
  if (dryRun) context.note('note: a dry run: nothing was deleted')
  else if ('tag' in target) context.note(`note: its history stays: weir history ${formatStreamReference(target)}`)
}

/** Tells which tags of the stream follow one that goes, directly or through others, and stay. */
async function noteFollowers(
  { note }: VerbContext,
  client: Client,
  { project, stream: name }: Target,
  { tags, dryRun }: { tags: readonly string[]; dryRun: boolean },
): Promise<void> {
  if (tags.length === 0) return
  try {
    const find = client.find<ImageStream>({ resource: resources.imageStreams, project, name })
    const stream = await unlessForbidden(find, undefined)
    if (stream === undefined) return
    const following = followersIn(tagsOf(stream))
    const staying = tags.flatMap((tag) => following(tag)).filter(({ tag }) => !tags.includes(tag))
    const names = [...new Set(staying.map(formatStreamReference))]
    const fate = dryRun ? 'would stay' : 'stay'
    if (names.length > 0) note(`note: ${fate} where they are, without what they follow: ${names.join(', ')}`)
  } catch (error) {
    // What was asked for is done.
    if (!(error instanceof ApiError || error instanceof CliError)) throw error
    note(`note: which tags follow could not be read: ${error.message}`)
  }
}

function linesOf(target: Target, { status = {} }: ImageDeletion): { name: string; what: string }[] {
  const { project, stream } = target
  const tags = (status.tags ?? []).map((tag) => ({ name: formatStreamReference({ project, stream, tag }), what: '' }))
  const manifests = (status.manifests ?? []).map((digest, i) => ({
    name: `${formatStreamReference({ project, stream })}@${digest}`,
    what: i === 0 ? '' : ', it refers to what goes',
  }))
  return [...tags, ...manifests]
}

/** What there is instead; where nobody can tell, the server's own words. */
async function missing(client: Client, target: Target, error: unknown): Promise<unknown> {
  if ('tag' in target) return missingTag(client, target)
  const { project, stream: name } = target
  const find = client.find<ImageStream>({ resource: resources.imageStreams, project, name })
  return (await unlessForbidden(find, 'unknown')) === undefined ? missingStream(client, target) : error
}
