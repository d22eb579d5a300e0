import { ApiError, CliError } from './failures.ts'

/**
 * What the server's refusal to delete says, once, without the words that it puts around it: a tag is held or immutable, an index
 * names the image, an annotation denies deletions. Undefined for any other error, a missing right too.
 */
export function refusalToDelete(error: unknown, what: string): CliError | undefined {
  if (!(error instanceof ApiError)) return undefined
  const why = error.code === 422 ? forbiddenIn(error) : error.code === 403 ? deniedIn(error) : undefined
  return why ? new CliError(`${what}: ${why}`, { cause: error }) : undefined
}

function forbiddenIn({ status }: ApiError): string | undefined {
  const causes = status.details?.causes ?? []
  if (causes.length === 0 || causes.some(({ reason }) => reason !== 'FieldValueForbidden')) return undefined
  return [...new Set(causes.map(({ message = '' }) => message.replace(/^Forbidden: /, '')))].join('; ')
}

function deniedIn({ status }: ApiError): string | undefined {
  const { message = '' } = status
  const at = message.indexOf('nothing can be deleted here: ')
  return at < 0 ? undefined : message.slice(at)
}
