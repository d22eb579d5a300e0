/** What the writer and the checker of the kill test must agree on. */

/** How both open the store: small retention, so that trimming happens under fire too. */
export const soakOptions = { logged: ['tag/', 'event/'], retainRevisions: 5000 }

/** How many transactions are under way at once. */
export const writerCount = 16

/** The keys that only the transaction `id` writes; the last is not in the change log. */
export function eventKeys(id: string): string[] {
  return [`event/${id}/a`, `event/${id}/b`, `link/${id}`]
}
