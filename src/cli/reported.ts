import { CliError } from './failures.ts'
import type { VerbContext } from './verbs.ts'

/**
 * Ends a verb that did one thing to several objects: of one alone its failure, of several each of theirs and how many.
 *
 * @throws CliError when anything failed
 */
export function reportFailures(
  { note }: Pick<VerbContext, 'note'>,
  failures: readonly CliError[],
  { of, what }: { of: number; what: string },
): void {
  const [first] = failures
  if (first === undefined) return
  if (of === 1) throw first
  for (const { message, hints } of failures) {
    note(`error: ${message}`)
    for (const hint of hints) note(`  ${hint}`)
  }
  throw new CliError(`${failures.length} of ${of} ${what}`)
}
