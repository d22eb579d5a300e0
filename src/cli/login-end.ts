/** What is said of a token that has ended, or is about to. */

import { agoInWords, formatMoment } from './ages.ts'
import type { Server } from './server.ts'
import { claimsOf } from './token-claims.ts'
import type { VerbContext } from './verbs.ts'

/** A login with less life than this is told about. */
const soonMs = 10 * 60_000

/** Says when the login that a command goes by ends soon. Of other tokens, who made them keeps the time. */
export function noteEndingLogin({ note, clock }: Pick<VerbContext, 'note' | 'clock'>, { url, token }: Server): void {
  const claims = token && claimsOf(token.value)
  if (claims?.login === undefined || claims.endsAtMs === undefined) return
  const nowMs = clock.now()
  const leftMs = claims.endsAtMs - nowMs
  if (leftMs <= 0 || leftMs > soonMs) return
  note(`note: this login ends ${agoInWords(timeOf(claims.endsAtMs), nowMs) || 'now'}: weir login ${url}`)
}

/** What to do when a server knows nobody by the token that it was sent, or was sent none. */
export function notLoggedIn({ url, token }: Server, nowMs: number): string[] {
  const logIn = `weir login ${url}`
  if (token === undefined) {
    return [
      `not logged in: no token was given for ${url}; log in with ${logIn}, or use --token, WEIR_TOKEN or a kubeconfig`,
    ]
  }
  const claims = claimsOf(token.value)
  const endsAtMs = claims?.endsAtMs
  const isOver = endsAtMs !== undefined && endsAtMs <= nowMs
  const state = isOver
    ? `the token of ${token.from} ended ${formatMoment(timeOf(endsAtMs), nowMs)}`
    : `the token of ${token.from} is not, or no longer, good at ${url}`
  if (claims?.login !== undefined) return [state, `log in again: ${logIn}`]
  return [
    state,
    `log in with ${logIn}, make a robot's new one with \`weir token NAME -n PROJECT\`, or use the server's data/admin.kubeconfig (--kubeconfig)`,
  ]
}

/** RFC 3339 in seconds, as the API writes times. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
