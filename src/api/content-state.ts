import type { RetainedState } from '../retention.ts'

/**
 * Shown on an ImageStreamTag: how much of what its image needs is held, `held`, `fetching: 3 of 7 parts, 120 MiB of 500 MiB` or
 * `failed: WHY; tried again after 2026-11-23T18:12Z`, `held: WHAT WAS LEFT OUT`, or where nobody wants it held
 * `pulled: 3 of 7 parts held, 120 MiB of 500 MiB`. Absent in lists where nobody has looked yet. Read-only: it is computed when it
 * is read, whatever a client writes.
 */
export const contentAnnotation = 'weir.dev/content'

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** The value of {@link contentAnnotation}. `standsAt` is where the tag stands: what is held for another image, it awaits. */
export function contentText(
  { state, image, parts, heldParts, bytes, heldBytes, message, retryAt }: RetainedState,
  standsAt: string | undefined,
): string {
  const then = standsAt === image ? '' : `; moves to ${image} when all is held`
  const again = retryAt === undefined ? '' : `; tried again after ${retryAt.slice(0, 'YYYY-MM-DDTHH:MM'.length)}Z`
  if (state === 'failed') return `failed: ${message ?? 'unknown'}${again}${then}`
  if (state === 'held') return `held${message === undefined ? '' : `: ${message}`}${then}`
  if (state === 'pulled') return `pulled: ${heldParts} of ${parts} parts held, ${size(heldBytes)} of ${size(bytes)}`
  if (parts === 0) return `fetching${then}`
  return `fetching: ${heldParts} of ${parts} parts, ${size(heldBytes)} of ${size(bytes)}${then}`
}

function size(bytes: number): string {
  const step = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${Math.round(bytes / 1024 ** step)} ${units[step]}`
}
