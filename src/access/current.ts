import type { Provider, Sessions, Subject } from './access.ts'
import type { Identities } from './identities.ts'

/** Whether those who were authenticated still are who they were. */
export interface Current {
  /** Whether identity, account, provider and session of a subject go on now. From memory: asked at every use. */
  isCurrent(subject: Subject): boolean
  /** As `isCurrent`, but looks into the store before it says that an account or session is gone: memory may be behind. */
  confirm(subject: Subject): Promise<boolean>
  /** Grows when anything that `isCurrent` says may have changed, but for what ends by time. */
  readonly version: number
  reached(revision: number): Promise<void>
  readonly ready: Promise<void>
}

export interface CurrentOptions {
  identities: Pick<Identities, 'isCurrent' | 'confirm' | 'version' | 'reached' | 'ready'>
  providers: KnownProviders
  sessions: Pick<Sessions, 'isOpen' | 'confirm' | 'version' | 'reached' | 'ready'>
  now: () => number
}

/** Of each provider, whom it still knows. */
export type KnownProviders = readonly Pick<Provider, 'name' | 'isCurrent' | 'version'>[]

/** Makes the question whether a subject's provider, if it is of one, is still configured and still knows it. */
export function createIsKnown(providers: KnownProviders): (subject: Subject) => boolean {
  const byName = new Map(providers.map((provider) => [provider.name, provider]))
  return (subject) => subject.provider === undefined || (byName.get(subject.provider)?.isCurrent(subject) ?? false)
}

/** Whether a subject has ended by time. */
export function hasEnded({ endsAt }: Subject, nowMs: number): boolean {
  return endsAt !== undefined && endsAt * 1000 <= nowMs
}

export function createCurrent({ identities, providers, sessions, now }: CurrentOptions): Current {
  const isKnown = createIsKnown(providers)
  const isCurrent = (subject: Subject): boolean =>
    !hasEnded(subject, now()) &&
    (subject.session === undefined || sessions.isOpen(subject.session)) &&
    isKnown(subject) &&
    identities.isCurrent(subject)
  return {
    isCurrent,
    confirm: async (subject) => {
      if (subject.session !== undefined && !(await sessions.confirm(subject.session))) return false
      return (await identities.confirm(subject)) && isCurrent(subject)
    },
    get version() {
      return providers.reduce((sum, { version }) => sum + version, identities.version + sessions.version)
    },
    reached: async (revision) => {
      await Promise.all([identities.reached(revision), sessions.reached(revision)])
    },
    ready: Promise.all([identities.ready, sessions.ready]).then(() => {}),
  }
}
