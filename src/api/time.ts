/** RFC 3339 in whole seconds, UTC, as the API writes every time. `seconds` since the epoch. */
export function formatSeconds(seconds: number): string {
  return new Date(Math.floor(seconds) * 1000).toISOString().replace('.000Z', 'Z')
}
