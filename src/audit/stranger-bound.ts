import { networkOf } from '../access/attempts.ts'
import { type AuditEvent, isOfStranger, suppressed } from './event.ts'
import { nobody } from './subject-of.ts'

export interface StrangerBoundOptions {
  /** Takes what is to be written, in order. */
  write(event: AuditEvent): void
  /** Milliseconds since the epoch. */
  now: () => number
  /** Does the work once after so many milliseconds, and answers how to call it off. */
  after?: (ms: number, work: () => void) => () => void
}

export interface StrangerBound {
  add(event: AuditEvent): void
  /** Writes what was counted. */
  close(): void
  /** How many addresses are remembered. */
  readonly addresses: number
}

/** Most lines of a minute for strangers: for an address, an IPv6 network of 64 bits being one, and in all. */
export const mostWritten = {
  denied: { ofAddress: 60, inAll: 600 },
  allowed: { ofAddress: 120, inAll: 1200 },
}

type Decision = AuditEvent['decision']

/** Most addresses that have a line of their own for what is counted. */
export const maxCounted = 100

/** What was not written: of what it was, as far as that is one thing. */
type Counted = Pick<AuditEvent, 'surface' | 'verb' | 'requestId'> & { count: number }

interface Address {
  written: number
  counted?: Counted
}

interface Minute {
  startMs: number
  written: number
  addresses: Map<string, Address>
  /** How many of the addresses have something counted. */
  counting: number
  /** Of all addresses beyond those. */
  others?: Counted
}

const minuteMs = 60_000

/**
 * Bounds the lines that anybody can have written who needs no login for it, or he could push out what he did before: of what
 * strangers do, and of what they are refused, the first of a minute are written, and at its end a line for each address tells
 * how many more there were. What is of somebody is always written.
 */
export function createStrangerBound(options: StrangerBoundOptions): StrangerBound {
  const bounds = { allowed: createBound('allowed', options), denied: createBound('denied', options) }
  return {
    add: (event) => (isOfStranger(event) ? bounds[event.decision].add(event) : options.write(event)),
    close() {
      bounds.allowed.close()
      bounds.denied.close()
    },
    get addresses() {
      return bounds.allowed.addresses + bounds.denied.addresses
    },
  }
}

/** Neither takes the room of the other: a flood of refusals hides nothing that was allowed. */
function createBound(decision: Decision, { write, now, after = afterUnawaited }: StrangerBoundOptions): StrangerBound {
  const most = mostWritten[decision]
  let minute: Minute | undefined
  let callOff: (() => void) | undefined

  const close = (): void => {
    callOff?.()
    callOff = undefined
    const ended = minute
    minute = undefined
    for (const [address, { counted }] of ended?.addresses ?? [])
      if (counted) write(countedEvent(decision, address, counted))
    if (ended?.others) write(countedEvent(decision, '*', ended.others))
  }

  /** A clock that was put back begins another minute too. */
  const thisMinute = (): Minute => {
    const atMs = now()
    if (minute !== undefined && (atMs < minute.startMs || atMs >= minute.startMs + minuteMs)) close()
    minute ??= { startMs: atMs, written: 0, addresses: new Map(), counting: 0 }
    return minute
  }

  const count = (within: Minute, key: string, known: Address | undefined, event: AuditEvent): void => {
    callOff ??= after(within.startMs + minuteMs - now(), close)
    if (known?.counted === undefined && within.counting >= maxCounted) {
      within.others = countOf(within.others, event)
      return
    }
    const address = known ?? { written: 0 }
    if (address.counted === undefined) within.counting += 1
    address.counted = countOf(address.counted, event)
    within.addresses.set(key, address)
  }

  return {
    add(event) {
      const within = thisMinute()
      const key = networkOf(event.client.address)
      const known = within.addresses.get(key)
      const written = known?.written ?? 0
      if (written >= most.ofAddress || within.written >= most.inAll) {
        return count(within, key, known, event)
      }
      within.written += 1
      within.addresses.set(key, { ...known, written: written + 1 })
      write(event)
    },
    close,
    get addresses() {
      return minute?.addresses.size ?? 0
    },
  }
}

function afterUnawaited(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, ms).unref()
  return () => clearTimeout(timer)
}

function countOf(before: Counted | undefined, { surface, verb, requestId }: AuditEvent): Counted {
  if (before === undefined) return { surface, verb, requestId, count: 1 }
  return {
    surface: before.surface === surface ? surface : '*',
    verb: before.verb === verb ? verb : '*',
    requestId,
    count: before.count + 1,
  }
}

function countedEvent(decision: Decision, address: string, { count, ...what }: Counted): AuditEvent {
  return {
    subject: nobody,
    client: { address, userAgent: '' },
    ...what,
    object: { group: '', resource: '', project: '', name: '' },
    decision,
    status: 0,
    reason: suppressed,
    count,
  }
}
