import type { Link } from './content.ts'

/** Somebody who wants the bytes of a download. */
export interface Member {
  readonly link: Link
  /** It has got some already: others can not come in their place. */
  hasBegun: boolean
  /** Why it gets no more. */
  failure: { error: unknown } | undefined
}

/** Those who want the bytes of a download, and how they learn what becomes of it. */
export interface Members extends Iterable<Member> {
  readonly count: number
  join(link: Link): Member
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
    join(link) {
      const member: Member = { link, hasBegun: false, failure: undefined }
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
