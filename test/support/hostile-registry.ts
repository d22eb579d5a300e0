/**
 * A real registry on 127.0.0.1 that does to each request what a script says. It is a fake upstream underneath: what no rule
 * concerns is answered honestly, from what was put there.
 */
import type { Socket } from 'node:net'
import { type FakeUpstream, type FakeUpstreamOptions, startFakeUpstream } from './fake-upstream.ts'
import type { FakeInterceptor, FakeMatch } from './fake-upstream-answers.ts'
import { matches, requestOf } from './fake-upstream-answers.ts'

/** What is done to which requests. */
export interface HostileRule {
  /** Over `METHOD path`, with the query. */
  on: FakeMatch
  /** How it is answered: a behaviour of `hostile-answers.ts` or `fake-upstream-faults.ts`. */
  does: FakeInterceptor
  /** How many of the matching requests are answered so; default all. */
  times?: number
  /** How many of them come before, and go on to the rules below; default 0. */
  after?: number
}

export interface HostileRegistry extends FakeUpstream {
  /** Takes the place of the script before. Of the rules the first that matches and has turns left is followed. */
  script(...rules: HostileRule[]): void
  /** Bytes given to the sockets of all connections so far, headers included. */
  sentBytes(): number
  /** Connections over which an answer is under way. */
  busyConnections(): number
}

/** Starts a registry, over HTTPS where `options.tls` says so. It is honest until it gets a script. */
export async function startHostileRegistry(options: FakeUpstreamOptions = {}): Promise<HostileRegistry> {
  const fake = await startFakeUpstream(options)
  const sockets = new Set<Socket>()
  const busy = new Map<Socket, number>()
  let follow: FakeInterceptor | undefined

  fake.intercept((req, res, next) => {
    const { socket } = req
    sockets.add(socket)
    busy.set(socket, (busy.get(socket) ?? 0) + 1)
    res.once('close', () => {
      const left = (busy.get(socket) ?? 1) - 1
      if (left > 0) busy.set(socket, left)
      else busy.delete(socket)
    })
    return follow === undefined ? next() : follow(req, res, next)
  })

  return Object.assign(fake, {
    script: (...rules: HostileRule[]) => {
      follow = scripted(rules)
    },
    sentBytes: () => [...sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, 0),
    busyConnections: () => busy.size,
  })
}

function scripted(rules: readonly HostileRule[]): FakeInterceptor {
  const turns = rules.map(({ times = Number.POSITIVE_INFINITY, after = 0 }) => ({ left: times, before: after }))
  return (req, res, next) => {
    const request = requestOf(req)
    const rule = rules.find(({ on }, i) => {
      const turn = turns[i]
      if (turn === undefined || !matches(on, request)) return false
      if (turn.before-- > 0) return false
      return turn.left-- > 0
    })
    return rule === undefined ? next() : rule.does(req, res, next)
  }
}
