import type { Link } from './content.ts'

/** Somebody who wants the bytes of a download. */
export interface Member {
  readonly link: Link
  /** Up to where it wants them. */
  readonly until: number
  /** It has got some already: others can not come in their place. */
  hasBegun: boolean
  /** Why it gets no more. */
  failure: { error: unknown } | undefined
}

/** Those who want the bytes of a download, and how they learn what becomes of it. */
export interface Members extends Iterable<Member> {
  readonly count: number
  /** Whether somebody wants more than the first `received` bytes. */
  wantMore(received: number): boolean
  join(link: Link, until: number): Member
  leave(member: Member): void
  /** It gets no more, and is told why. */
  fail(member: Member, error: unknown): void
  /** Settles when something has changed. */
  news(): Promise<void>
  /** Calls `listener` when something has changed, until what it returns is called. */
  onNews(listener: () => void): () => void
  /** Tells everybody to look again. */
  tell(): void
}

/** `onEmpty` is called when the last one has left. */
export function createMembers(onEmpty: () => void): Members {
  const members = new Set<Member>()
  const listeners = new Set<() => void>()
  let waiting: PromiseWithResolvers<void> | undefined

  function tell(): void {
    waiting?.resolve()
    waiting = undefined
    for (const listener of listeners) listener()
  }

  function leave(member: Member): void {
    if (members.delete(member) && members.size === 0) onEmpty()
  }

  return {
    [Symbol.iterator]: () => [...members][Symbol.iterator](),
    get count() {
      return members.size
    },
    wantMore(received) {
      for (const { until } of members) if (until > received) return true
      return false
    },
    join(link, until) {
      const member: Member = { link, until, hasBegun: false, failure: undefined }
      members.add(member)
      return member
    },
    leave,
    fail(member, error) {
      member.failure ??= { error }
      tell()
      leave(member)
    },
    news() {
      waiting ??= Promise.withResolvers()
      return waiting.promise
    },
    onNews(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    tell,
  }
}
