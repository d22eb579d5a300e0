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
  /** To go on after; undefined at the end. */
  next: string | undefined
}

/** A page is about 1 GiB, which a slow disk may take long for. */
const pagePatienceMs = 600_000

/** Adds `verify`. */
export function addVerifyVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'verify', {
    does: 'Reads all that is held, and tells what is not as its digest says.',
    example: 'weir verify',
    more: ['weir verify --timeout 1h'],
    words: `What is wrong is put aside, and fetched again when it is needed. It takes the right to create contentverifications, which
cluster-admin has. The exit code is 1 when something was wrong.`,
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
  const { corrupt, next } = found
  const wrong = corrupt.length === 1 ? '1 file was' : `${corrupt.length} files were`
  const problems = [
    ...(corrupt.length > 0
      ? [`${wrong} corrupt: put aside, and fetched again when needed, where an upstream still has it`]
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
  const found: Found = { checked: 0, bytes: 0, corrupt: [], next: after }
  try {
    do {
      const { status = {} } = await checkPage(client, found.next)
      found.checked += status.checked ?? 0
      found.bytes += status.bytes ?? 0
      found.corrupt.push(...(status.corrupt ?? []))
      if (status.continue !== undefined && status.continue === found.next) {
        throw new CliError(`the server does not get past ${found.next}`)
      }
      found.next = status.continue
      if (found.next === undefined) break
      progress.show(`${checkedText(found)}${found.corrupt.length > 0 ? `, ${found.corrupt.length} corrupt` : ''}`)
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
  const { checked, bytes, corrupt, next } = found
  if (format === 'json' || format === 'yaml') {
    const status = { checked, bytes, corrupt, ...(next === undefined ? {} : { continue: next }) }
    const object = { kind: 'ContentVerification', apiVersion: apiVersion(resources.contentVerifications), status }
    printObject(stdout, format, object, { name: '', text: '' })
    return
  }
  for (const digest of corrupt) stdout.write(`${printable(digest)}${format === 'name' ? '' : '  corrupt'}\n`)
  if (format !== 'name') stdout.write(`${checkedText(found)}: ${corrupt.length || 'none'} corrupt\n`)
}

function checkedText({ checked, bytes }: Found): string {
  return `${checked} file${checked === 1 ? '' : 's'} read, ${formatBytes(bytes)}`
}
