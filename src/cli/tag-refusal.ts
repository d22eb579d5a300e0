import { parseImageReference, parseStreamName } from '../oci/reference.ts'
import type { StatusCause } from './api.ts'
import type { Client } from './client.ts'
import { callerAsSubject } from './explain.ts'
import { type ApiError, CliError } from './failures.ts'
import { heldText, nextSteps } from './import-advice.ts'
import { missingStream } from './missing.ts'
import { formatStreamReference, type TagName } from './references.ts'
import { formatSource, type Source } from './tag-source.ts'

/** What was to be tagged, and where. */
export interface Attempt {
  source: Source
  to: TagName
}

/**
 * What a refusal of the server to move a tag means to the person who asked: of one with causes those alone, each with what to
 * do about it; anything else stays as it is.
 */
export async function refusalOf(error: ApiError, client: Client, attempt: Attempt): Promise<CliError | ApiError> {
  const { causes = [] } = error.status.details ?? {}
  const [cause] = causes
  if (error.code !== 422 || cause === undefined) return error
  const to = formatStreamReference(attempt.to)
  // The same object is a `tag` of an ImageStreamTag and a `spec` of an ImageTag.
  const [field = '', ...path] = (cause.field ?? '').split('.')
  if (path.length === 0) {
    const held = heldText(attempt.to, { details: { causes: [{ ...cause, field: field === 'spec' ? 'tag' : field }] } })
    if (held !== undefined) return new CliError(held, { cause: error })
  }
  const isSource = path.join('.') === 'from.name'
  const explained = isSource ? await explainSource(cause, client, attempt) : undefined
  if (explained !== undefined) return explained
  return new CliError(`${to} was not tagged: ${causes.map(textOf).join('; ')}`, { cause: error })
}

async function explainSource(
  cause: StatusCause,
  client: Client,
  { source, to }: Attempt,
): Promise<CliError | undefined> {
  const called = formatSource(source)
  if (cause.reason === 'FieldValueForbidden') {
    return source.kind === 'docker' ? registryRefused(cause, to, source.name) : mayNotPull(client, source)
  }
  if (source.kind === 'docker') return undefined
  if (cause.reason === 'FieldValueNotFound') return missingStream(client, source)
  if (cause.message?.includes('reference to same tag')) {
    const follower = formatStreamReference(to)
    return new CliError(
      `${follower} can not track ${called}: ${called} tracks ${follower}, directly or through others`,
      {
        hints: [`weir describe ${to.project}/${to.stream} shows which tag tracks which`],
      },
    )
  }
  return undefined
}

async function mayNotPull(client: Client, source: Exclude<Source, { kind: 'docker' }>): Promise<CliError> {
  const { project, stream } = source
  const subject = await callerAsSubject(client)
  return new CliError(`you may not pull from ${project}/${stream}, or there is no such stream`, {
    hints: [
      `who administers ${project} can give it: weir grant pull ${subject} -n ${project}`,
      `for this stream alone: weir grant pull ${subject} -n ${project} --stream ${stream}`,
    ],
  })
}

function registryRefused(cause: StatusCause, { project }: TagName, from: string): CliError {
  const text = textOf(cause)
  const own = parseImageReference(from)?.repository
  if (text.includes('this Weir itself')) {
    const name = own === undefined ? undefined : parseStreamName(own)
    const hint =
      name === undefined ? [] : [`to tag within Weir, leave its host out: ${name.project}/${name.stream}:TAG`]
    return new CliError(text, { hints: hint })
  }
  return new CliError(text, { hints: nextSteps('NotAllowed', { project, from }) })
}

/** A cause without the words that stand before every one. */
function textOf({ field, message = '' }: StatusCause): string {
  const text = message.replace(/^(?:Forbidden|Not found|Invalid value: (?:"(?:[^"\\]|\\.)*"|[^\s:]+)): /, '')
  return field?.endsWith('.from.name') || !field ? text : `${field}: ${text}`
}
