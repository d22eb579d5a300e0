import type { ContentPolicy } from '../streams/content-policy.ts'

/** Which revisions of a tag keep their bytes. */
export interface HistoryKeep {
  /** Whether the next older revision does, which was made at `created` (RFC 3339). For all of them, the newest first. */
  next(created: string): boolean
  /** Whether no older one does. */
  readonly isOver: boolean
}

const dayMs = 86_400_000

/** The newest `historyKeep` revisions keep theirs, and those that were in force within the last `historyKeepDays` days. */
export function createHistoryKeep(
  { historyKeep, historyKeepDays }: Pick<ContentPolicy, 'historyKeep' | 'historyKeepDays'>,
  nowMs: number,
): HistoryKeep {
  const sinceMs = nowMs - historyKeepDays * dayMs
  let count = 0
  let replacedAtMs = Number.POSITIVE_INFINITY
  const isOver = () => count >= historyKeep && replacedAtMs < sinceMs
  return {
    next(created) {
      const isKept = !isOver()
      count += 1
      replacedAtMs = Date.parse(created)
      return isKept
    },
    get isOver() {
      return isOver()
    },
  }
}
