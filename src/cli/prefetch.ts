import { type Command, InvalidArgumentError, Option } from 'commander'
import { apiVersion, type ImageStream, resources } from './api.ts'
import type { Client } from './client.ts'
import { mapFew } from './concurrent.ts'
import type { Prefetch, PrefetchStatus } from './content-api.ts'
import { parseDurationMs } from './duration.ts'
import { explain } from './explain.ts'
import { ApiError, CliError, isForbidden, isNotFound, unlessForbidden } from './failures.ts'
import { missingTag, requireStream } from './missing.ts'
import { type Format, formatOption, printable, printDocuments, printObject } from './output.ts'
import { formatStreamReference, parseStreamReference, type StreamReference, type TagName } from './references.ts'
import { reportFailures } from './reported.ts'
import { formatBytes } from './sizes.ts'
import { tagOf, tagsOf } from './stream-tags.ts'
import { addVerb, type VerbContext } from './verbs.ts'

interface PrefetchOptions {
  wait: boolean
  timeout: Timeout
  output?: Format
}

interface Timeout {
  ms: number
  /** As it was written. */
  text: string
}

/** What became of one tag: what the server told last of it, and why it is not held. */
interface Outcome {
  name: TagName
  told: Prefetch | undefined
  failure: CliError | undefined
}

/** Tags that are followed at the same time: each asks again and again. */
const atOnce = 4
const defaultTimeout = '30m'
const firstPauseMs = 1000
const longestPauseMs = 5000

/** Adds `prefetch`. */
export function addPrefetchVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'prefetch <project/stream[:tag]>', {
    does: 'Has the server fetch and hold all that a tag needs, and waits for it.',
    example: 'weir prefetch demo/app:prod',
    more: ['weir prefetch demo/app --timeout 2h', 'weir prefetch demo/app:prod --no-wait'],
    words: `Without a tag: every tag of the stream that stands at an image. The server goes on whether or not somebody waits;
of an image for several platforms those that content.platforms, or the annotation weir.dev/platforms, wants.`,
  })
    .option('--no-wait', 'only ask for it, and tell how far it is')
    .addOption(
      new Option('--timeout <duration>', 'how long to wait')
        .argParser(timeoutOption)
        .default(timeoutOption(defaultTimeout), defaultTimeout),
    )
    .addOption(formatOption())
    .action(async (target: string, options: PrefetchOptions) => {
      await prefetch(context, parseStreamReference(target), options)
    })
}

function timeoutOption(text: string): Timeout {
  const ms = parseDurationMs(text)
  if (ms === undefined) throw new InvalidArgumentError('Write a duration such as 90s, 1h30m or 365d.')
  return { ms, text }
}

async function prefetch(context: VerbContext, reference: StreamReference, options: PrefetchOptions): Promise<void> {
  const client = await context.connect()
  const names = await tagsToFetch(client, reference, context.clock.now())
  const progress = context.progress()
  const told = new Map<TagName, Prefetch>()
  const tell = () => progress.show(progressLine(names, told), statesOf(names, told))
  const endMs = context.clock.now() + options.timeout.ms
  const work = async (name: TagName): Promise<Outcome> => {
    const outcome = await follow(name)
    progress.clear()
    if (outcome.failure === undefined) printOutcome(context, options.output, outcome)
    return outcome
  }
  const outcomes = await mapFew(names, atOnce, work)
  progress.clear()
  printOutcomes(context, options.output, reference, outcomes)
  const failures = outcomes.flatMap(({ failure }) => failure ?? [])
  reportFailures(context, failures, { of: names.length, what: 'tags are not held' })

  async function follow(name: TagName): Promise<Outcome> {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(1.5 * pauseMs, longestPauseMs)) {
      const answer = await ask(client, name, context.clock.now())
      if (answer instanceof CliError) return { name, told: told.get(name), failure: answer }
      told.set(name, answer)
      const { state } = answer.status ?? {}
      if (state === 'failed') return { name, told: answer, failure: failureOf(name, answer.status) }
      if (state === 'held' || !options.wait) return { name, told: answer, failure: undefined }
      tell()
      const leftMs = endMs - context.clock.now()
      if (leftMs <= 0) return { name, told: answer, failure: tookTooLong(name, answer.status, options.timeout) }
      await context.clock.pause(Math.min(pauseMs, leftMs))
    }
  }
}

/** @throws CliError when there is none */
async function tagsToFetch(client: Client, { tag, ...name }: StreamReference, nowMs: number): Promise<TagName[]> {
  if (tag !== undefined) return [{ ...name, tag }]
  const found = await requireStream(client, name).catch(async (error: unknown) => {
    throw error instanceof ApiError && isForbidden(error) ? await mayNotLook(error, client, name, nowMs) : error
  })
  const standing = tagsOf(found).filter(({ image }) => image !== undefined)
  if (standing.length > 0) return standing.map((each) => ({ ...name, tag: each.tag }))
  throw new CliError(`no tag of ${formatStreamReference(name)} stands at an image: there is nothing to fetch`)
}

/** Who may pull may fetch, and need not see which tags there are. What anonymous may does not count. */
async function mayNotLook(error: ApiError, client: Client, name: StreamReference, nowMs: number): Promise<CliError> {
  const { message, hints } = await explain(error, client, nowMs)
  const called = `${formatStreamReference(name)}:TAG`
  const named = `to look for its tags takes more than to pull; a tag that is named does not: weir prefetch ${called}`
  return new CliError(message, { hints: client.server.token === undefined ? hints : [named, ...hints], cause: error })
}

/** Wants the tag's content, and learns how much of it is held: the way to begin is the way to follow. */
async function ask(client: Client, name: TagName, nowMs: number): Promise<Prefetch | CliError> {
  const { project, stream, tag } = name
  const resource = resources.prefetches
  const body = { kind: 'Prefetch', apiVersion: apiVersion(resource), spec: { stream, tag } }
  try {
    return await client.request<Prefetch>('POST', { resource, project }, { body })
  } catch (error) {
    if (isNotFound(error) && (await isMissing(client, name))) return missingTag(client, name).catch(asCliError)
    return error instanceof ApiError ? explain(error, client, nowMs) : asCliError(error)
  }
}

/** False also where it can not be read: then the server's own words are all there is to say. */
async function isMissing(client: Client, { project, stream, tag }: TagName): Promise<boolean> {
  const target = { resource: resources.imageStreams, project, name: stream }
  const found = await unlessForbidden(client.find<ImageStream>(target), 'unknown')
  return found !== 'unknown' && tagOf(found, tag) === undefined
}

function asCliError(error: unknown): CliError {
  if (error instanceof CliError) return error
  throw error
}

const moreRoom = 'raise content.maxBytes, or retain: pulled (weir.dev/retain) for what need not be kept'

function failureOf(name: TagName, status: PrefetchStatus | undefined): CliError {
  const called = formatStreamReference(name)
  return new CliError(`${called} can not be held: ${status?.message || 'the server does not say why'}`, {
    hints: [
      `so far: ${heldText(status)}`,
      ...(status?.message?.includes('maxBytes reached') ? [moreRoom] : []),
      `the server tries again by itself; how far it is: weir describe ${called}`,
    ],
  })
}

function tookTooLong(name: TagName, status: PrefetchStatus | undefined, timeout: Timeout): CliError {
  const called = formatStreamReference(name)
  return new CliError(`${called} is not held after ${timeout.text}: ${heldText(status)}`, {
    hints: [`the server goes on by itself; to wait on: weir prefetch ${called} --timeout ${timeout.text}`],
  })
}

/** `3 of 7 parts, 120 MiB of 500 MiB`; of what is held the whole alone. */
export function heldText({ parts = 0, heldParts = 0, bytes = 0, heldBytes = 0 }: PrefetchStatus = {}): string {
  const noun = parts === 1 ? 'part' : 'parts'
  if (heldParts === parts && heldBytes === bytes) return `${parts} ${noun}, ${formatBytes(bytes)}`
  return `${heldParts} of ${parts} ${noun}, ${formatBytes(heldBytes)} of ${formatBytes(bytes)}`
}

function progressLine(names: readonly TagName[], told: ReadonlyMap<TagName, Prefetch>): string {
  const [first] = names
  if (names.length === 1 && first !== undefined) {
    return `${formatStreamReference(first)}: ${heldText(told.get(first)?.status)}`
  }
  const states = [...told.values()].map(({ status }) => status ?? {})
  const held = states.filter(({ state }) => state === 'held').length
  return `${held} of ${names.length} tags held: ${heldText(sumOf(states))}`
}

function statesOf(names: readonly TagName[], told: ReadonlyMap<TagName, Prefetch>): string {
  return names.map((name) => told.get(name)?.status?.state ?? '').join()
}

function sumOf(all: readonly PrefetchStatus[]): PrefetchStatus {
  const sum = (read: (status: PrefetchStatus) => number | undefined) =>
    all.reduce((total, status) => total + (read(status) ?? 0), 0)
  return {
    parts: sum(({ parts }) => parts),
    heldParts: sum(({ heldParts }) => heldParts),
    bytes: sum(({ bytes }) => bytes),
    heldBytes: sum(({ heldBytes }) => heldBytes),
  }
}

/** Tells of a tag as soon as it is known, where that is a line. */
function printOutcome({ stdout }: VerbContext, format: Format | undefined, { name, told }: Outcome): void {
  if (format === 'json' || format === 'yaml') return
  const called = formatStreamReference(name)
  const { image = '', state = 'unknown', message } = told?.status ?? {}
  const fields = [called, state, image, heldText(told?.status), ...(message ? [message] : [])]
  const line = format === 'name' ? called : fields.join('  ')
  stdout.write(`${printable(line)}\n`)
}

/** Prints the API's own objects, once all are there. */
function printOutcomes(
  { stdout }: VerbContext,
  format: Format | undefined,
  reference: StreamReference,
  outcomes: readonly Outcome[],
): void {
  if (format !== 'json' && format !== 'yaml') return
  const objects = outcomes.flatMap(({ told }) => told ?? [])
  const [only] = objects
  if (reference.tag === undefined) {
    printDocuments(stdout, format, {
      kind: 'PrefetchList',
      apiVersion: apiVersion(resources.prefetches),
      items: objects,
    })
  } else if (only !== undefined) printObject(stdout, format, only, { name: '', text: '' })
}
