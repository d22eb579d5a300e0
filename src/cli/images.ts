import type { Command } from 'commander'
import { parseImageReference, type StreamName } from '../oci/reference.ts'
import { apiVersion, type ImageStream, type ImageStreamImport, resources } from './api.ts'
import { addCheckOptions, checkAnnotations, completeWish } from './check-options.ts'
import { type Client, movePatienceMs } from './client.ts'
import { type CliError, misuse } from './failures.ts'
import { checkFollow, followRepository } from './follow-repository.ts'
import { writeChecks } from './import-checks.ts'
import { failureOf, formatFollowing, formatOutcome, type Outcome, outcomesOf } from './import-outcome.ts'
import { type ImportWish, importSpec, type Wanted, wantedTags } from './import-plan.ts'
import { type Format, formatOption, printable, printObject } from './output.ts'
import { formatStreamReference, parseStreamReference, type StreamReference } from './references.ts'
import { reportFailures } from './reported.ts'
import { checkSelection, listRepository, selectTags, type TagSelection } from './repository-tags.ts'
import { annotateTag } from './tag-annotations.ts'
import { addVerb, changeCause, countOption, type VerbContext } from './verbs.ts'

interface ImportOptions extends ImportWish, TagSelection {
  dryRun?: boolean
  follow?: boolean
  reason?: string
  output?: Format
}

const maxImagesPerRequest = 100

/** Adds `import-image`. */
export function addImportVerb(program: Command, context: VerbContext): void {
  const verb = addVerb(program, 'import-image <project/stream[:tag]>', {
    does: 'Moves a tag to where its upstream points now, or makes it follow an upstream.',
    example: 'weir import-image demo/app:prod --from quay.io/org/app:v1',
    more: [
      "weir import-image demo/web:prod --from nginx:1.27 --track 'semver:~1.27' --min-age 72h",
      "weir import-image demo/app --all --from quay.io/org/app --include '1.*' --newest 20 --dry-run",
      "weir import-image demo/app --all --from quay.io/org/app --follow --track 'semver:>=1.20'",
    ],
  })
    .option('--from <reference>', 'the image to follow from now on (default: the one that the tag follows)')
    .option(
      '--all',
      "every tag of the stream that follows a registry's image; with --from, the tags of that repository",
    )
    .option('--include <patterns>', 'of a repository: only such tags, as 1.*,v2-*; may be said again', listOption)
    .option('--exclude <patterns>', 'of a repository: no such tags; may be said again', listOption)
    .option(
      '--newest <count>',
      'of a repository: so many; latest first, then versions from the highest down',
      countOption,
    )
    .option('--dry-run', 'of a repository: only say which tags that would be')
    .option('--follow', 'of a repository: import its tags in the background, from now on also those that appear')
  addCheckOptions(verb)
    .option('--insecure', 'accept plain HTTP or an unknown certificate, where the server allows it')
    .option('--reason <text>', 'why, for the history')
    .addOption(formatOption())
    .action(async (target: string, options: ImportOptions) => {
      const reference = parseStreamReference(target)
      checkOptions(reference, options)
      if (options.follow === true) await followRepository(context, await context.connect(), reference, options)
      else await importImage(context, reference, completeWish(options))
    })
}

function listOption(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

function checkOptions({ tag }: StreamReference, options: ImportOptions): void {
  const { all, from, include, exclude, newest, dryRun, output, track } = options
  if (all === true && tag !== undefined)
    throw misuse('--all imports every tag: name the stream alone, or leave out --all')
  if (options.follow === true) checkFollow(options)
  else if (all === true && track !== undefined) {
    throw misuse(
      '--track chooses one tag of a repository, and --all imports many: leave out one of them',
      'to import those that fit, now and later: --all --from REPOSITORY --follow --track POLICY',
    )
  }
  if (all === true && from !== undefined) {
    if (dryRun === true && (output === 'json' || output === 'yaml')) {
      throw misuse('--dry-run says which tags would be imported, one a line: leave out -o, or write -o name')
    }
    checkSelection(from, options)
    return
  }
  if (track !== undefined && from?.includes('@') === true) {
    throw misuse(
      `--track chooses among the tags of a repository, and ${from} is one image: leave out its digest, or --track`,
    )
  }
  for (const [flag, value] of Object.entries({ include, exclude, newest, 'dry-run': dryRun })) {
    if (value !== undefined)
      throw misuse(`--${flag} is about the tags of a repository: write --all --from REPOSITORY too`)
  }
  if (from !== undefined && parseImageReference(from) === undefined) {
    throw misuse(
      `--from: "${from}" is not an image reference, such as quay.io/org/app:v1 or localhost:5100/lib/app@sha256:...`,
    )
  }
}

async function importImage(context: VerbContext, reference: StreamReference, options: ImportOptions): Promise<void> {
  const client = await context.connect()
  const { project, stream: name } = reference
  const stream = await client.find<ImageStream>({ resource: resources.imageStreams, project, name })
  const { all, from } = options
  const listed = all === true && from !== undefined ? await listRepository(client, reference, from) : undefined
  const chosen = listed && selectTags(from ?? '', listed, options)
  const wanted = wantedTags(reference, options, stream, chosen)
  if (options.dryRun === true) return printPlan(context, reference, options, wanted, listed?.length ?? 0)
  const unwrittenYet = await writeChecks(client, reference, wanted, options, stream)
  const isDocument = options.output === 'json' || options.output === 'yaml'
  const steps: ImageStreamImport[] = []
  const outcomes: Outcome[] = []
  const unwritten: CliError[] = []
  // Each step is told when it is done: what it moved stays moved, whatever becomes of the next.
  for (let start = 0; start < wanted.length; start += maxImagesPerRequest) {
    const step = wanted.slice(start, start + maxImagesPerRequest)
    const result = await postImport(client, reference, step, options)
    const told = await outcomesOf(client, reference, step, result)
    if (!isDocument) printOutcomes(context, options.output, told)
    noteFollowing(context, told)
    for (const outcome of told.filter((each) => unwrittenYet.has(each.tag) && isFollowed(each))) {
      const failure = await annotateTag(client, outcome, checkAnnotations(options))
      if (failure !== undefined) unwritten.push(failure)
    }
    steps.push(result)
    outcomes.push(...told)
  }
  if (isDocument) printObject(context.stdout, options.output, mergeSteps(steps), { name: '', text: '' })
  const failures = outcomes.flatMap((outcome) =>
    outcome.failure === undefined ? [] : [failureOf(outcome, outcome.failure)],
  )
  reportFailures(context, [...failures, ...unwritten], { of: outcomes.length, what: 'tags were not imported' })
}

async function postImport(
  client: Client,
  { project, stream }: StreamName,
  wanted: readonly Wanted[],
  options: ImportOptions,
): Promise<ImageStreamImport> {
  const resource = resources.imageStreamImports
  const body = {
    kind: 'ImageStreamImport',
    apiVersion: apiVersion(resource),
    metadata: { name: stream, namespace: project, ...changeCause(options.reason) },
    spec: { import: true, images: wanted.map((each) => importSpec(each, options)) },
    status: {},
  }
  return client.request('POST', { resource, project }, { body, patienceMs: movePatienceMs })
}

/** What an import would do, a line each. */
function printPlan(
  { stdout, note }: VerbContext,
  { project, stream }: StreamName,
  { from, output }: ImportOptions,
  wanted: readonly Wanted[],
  listed: number,
): void {
  for (const { tag, from: source, current } of wanted) {
    const name = formatStreamReference({ project, stream, tag })
    const follows = current?.from?.name
    const now = current === undefined ? 'new' : follows === source ? 'again' : `follows ${follows ?? 'nothing'} now`
    stdout.write(`${printable(output === 'name' ? name : `${name}  ${source}  ${now}`)}\n`)
  }
  note(`${wanted.length} of the ${listed} tags of ${from} would be imported; nothing was changed`)
}

/** Whether a tag follows what it was told to: one that failed to go over to another upstream still follows its own. */
function isFollowed({ from, follows }: Outcome): boolean {
  return from === follows
}

function noteFollowing(context: VerbContext, outcomes: readonly Outcome[]): void {
  for (const line of outcomes.map(formatFollowing)) if (line !== undefined) context.note(`note: ${line}`)
}

function printOutcomes({ stdout }: VerbContext, format: Format | undefined, outcomes: readonly Outcome[]): void {
  const moved = outcomes.filter(({ failure }) => failure === undefined)
  const line = format === 'name' ? formatStreamReference : formatOutcome
  stdout.write(moved.map((outcome) => `${printable(line(outcome))}\n`).join(''))
}

/** One ImageStreamImport of all images, with the stream as the last step left it. */
function mergeSteps(steps: readonly ImageStreamImport[]): ImageStreamImport {
  const last = steps.at(-1)
  return {
    ...last,
    spec: { ...last?.spec, images: steps.flatMap(({ spec }) => spec?.images ?? []) },
    status: { ...last?.status, images: steps.flatMap(({ status }) => status?.images ?? []) },
  }
}
