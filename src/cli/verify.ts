import { type Command, InvalidArgumentError } from 'commander'
import { parseDigest } from '../oci/digest.ts'
import { apiVersion, resources } from './api.ts'
import type { Client } from './client.ts'
import type { ContentVerification } from './content-api.ts'
import { CliError } from './failures.ts'
import { type Format, formatOption, printable, printObject } from './output.ts'
import { formatBytes } from './sizes.ts'
import { addVerb, durationOption, type VerbContext } from './verbs.ts'

interface VerifyOptions {
  after?: string
  timeout?: number
  output?: Format
}

/** What all pages so far found. */
interface Found {
  checked: number
  bytes: number
  corrupt: string[]
  missing: string[]
  /** To go on after; undefined at the end. */
  next: string | undefined
}

/** A page is about 1 GiB, which a slow disk may take long for. */
const pagePatienceMs = 600_000

/** Adds `verify`. */
export function addVerifyVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'verify', {
    does: 'Reads all that is held, and tells what is missing or not as its digest says.',
    example: 'weir verify',
    more: ['weir verify --timeout 1h'],
    words: `What is wrong is put aside; like what is missing it is fetched again when it is needed. It takes the right to create
contentverifications, which cluster-admin has. The exit code is 1 when something was wrong or missing.`,
  })
    .option('--timeout <duration>', 'how long to go on (default: to the end)', durationOption)
    .option('--after <digest>', 'go on after this digest', digestOption)
    .addOption(formatOption())
    .action(async (options: VerifyOptions) => verify(context, options))
}

function digestOption(text: string): string {
  const digest = parseDigest(text)
  if (digest === undefined) throw new InvalidArgumentError('Write a digest: sha256:...')
  return digest
}

async function verify(context: VerbContext, { after, timeout, output }: VerifyOptions): Promise<void> {
  const client = await context.connect()
  const found = await checkAll(context, client, after, timeout ?? Number.POSITIVE_INFINITY)
  printFound(context, output, found)
  const { corrupt, missing, next } = found
  const problems = [
    ...(corrupt.length > 0
      ? [`${filesWere(corrupt)} corrupt: put aside, and fetched again when needed, where an upstream still has it`]
      : []),
    ...(missing.length > 0
      ? [`${filesWere(missing)} missing: fetched again when needed, where an upstream still has ${themOf(missing)}`]
      : []),
    ...(next === undefined ? [] : ['not everything was read in the time that --timeout gives']),
  ]
  if (problems.length === 0) return
  const hints = next === undefined ? [] : [`to go on: weir verify --after ${next}`]
  throw new CliError(problems.join('; '), { hints })
}

async function checkAll(
  context: VerbContext,
  client: Client,
  after: string | undefined,
  timeoutMs: number,
): Promise<Found> {
  const { clock } = context
  const endMs = clock.now() + timeoutMs
  const progress = context.progress()
  const found: Found = { checked: 0, bytes: 0, corrupt: [], missing: [], next: after }
  try {
    do {
      const { status = {} } = await checkPage(client, found.next)
      found.checked += status.checked ?? 0
      found.bytes += status.bytes ?? 0
      found.corrupt.push(...(status.corrupt ?? []))
      found.missing.push(...(status.missing ?? []))
      if (status.continue !== undefined && status.continue === found.next) {
        throw new CliError(`the server does not get past ${found.next}`)
      }
      found.next = status.continue
      if (found.next === undefined) break
      const wrong = found.corrupt.length > 0 ? `, ${found.corrupt.length} corrupt` : ''
      progress.show(`${checkedText(found)}${wrong}${missingText(found)}`)
    } while (clock.now() < endMs)
  } finally {
    progress.clear()
  }
  return found
}

async function checkPage(client: Client, after: string | undefined): Promise<ContentVerification> {
  const resource = resources.contentVerifications
  const spec = after === undefined ? {} : { after }
  const body = { kind: 'ContentVerification', apiVersion: apiVersion(resource), spec }
  return client.request('POST', { resource }, { body, patienceMs: pagePatienceMs })
}

function printFound({ stdout }: VerbContext, format: Format | undefined, found: Found): void {
  const { checked, bytes, corrupt, missing, next } = found
  if (format === 'json' || format === 'yaml') {
    const status = { checked, bytes, corrupt, missing, ...(next === undefined ? {} : { continue: next }) }
    const object = { kind: 'ContentVerification', apiVersion: apiVersion(resources.contentVerifications), status }
    printObject(stdout, format, object, { name: '', text: '' })
    return
  }
  const line = (digest: string, problem: string) => `${printable(digest)}${format === 'name' ? '' : `  ${problem}`}\n`
  for (const digest of corrupt) stdout.write(line(digest, 'corrupt'))
  for (const digest of missing) stdout.write(line(digest, 'missing'))
  if (format !== 'name')
    stdout.write(`${checkedText(found)}: ${corrupt.length || 'none'} corrupt${missingText(found)}\n`)
}

function missingText({ missing }: Found): string {
  return missing.length > 0 ? `, ${missing.length} missing` : ''
}

function filesWere({ length }: string[]): string {
  return length === 1 ? '1 file was' : `${length} files were`
}

function themOf({ length }: string[]): string {
  return length === 1 ? 'it' : 'them'
}

function checkedText({ checked, bytes }: Found): string {
  return `${checked} file${checked === 1 ? '' : 's'} read, ${formatBytes(bytes)}`
}
