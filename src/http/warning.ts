/** What a client that pulls by tag is told beside the manifest. */
import { incompleteReason } from '../streams/moves.ts'
import type { Pin } from '../streams/streams.ts'

/** Longest value that is sent: of all such headers of an answer the OCI spec allows 4096 bytes. */
const maxLength = 300
const maxNameLength = 80

/**
 * The `Warning` of a pull from a pin: that it is held, that its upstream lost it, or that the newest import failed. Who may pull
 * need not be told where from, with which login, or why somebody held a tag: the API says that. All in one value, since some
 * clients read no list.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#warnings
 */
export function warningOf({ hold, upstreamGone, condition }: Pin): string | undefined {
  const facts: string[] = []
  if (hold !== undefined) facts.push(`held at revision ${hold.revision} by ${cut(hold.by, maxNameLength)}`)
  if (upstreamGone !== undefined) {
    facts.push(
      `${cut(upstreamGone.host, maxNameLength)} no longer has all of this image; Weir serves what it holds of it`,
    )
  }
  if (condition !== undefined) {
    const { reason, lastTransitionTime } = condition
    const since = cut(lastTransitionTime, maxNameLength)
    facts.push(
      reason === incompleteReason
        ? `served from the pin: a newer image waits for its content since ${since}`
        : `served from the pin: the newest import failed (${cut(reason, maxNameLength)}) at ${since}`,
    )
  }
  return facts.length === 0 ? undefined : formatWarning(facts.join('; '))
}

/** A `Warning` that says `text`. */
export function formatWarning(text: string): string {
  return `299 - "${quotable(text, maxLength - 8)}"`
}

// A backslash that was to escape what is cut off escapes a dot, which is the same dot.
function cut(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 3)}...`
}

/** Text as the inside of a quoted-string of at most `room` characters, what is not printable ASCII as `?` (RFC 9110 5.6.4). */
function quotable(text: string, room: number): string {
  const escaped = text.replace(/[^ -~]/g, '?').replace(/["\\]/g, '\\$&')
  return cut(escaped, room)
}
