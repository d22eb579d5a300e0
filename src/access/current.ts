import type { Provider, Sessions, Subject } from './access.ts'
import type { Identities } from './identities.ts'

/** Whether those who were authenticated still are who they were. */
export interface Current {
  /** Whether identity, account, provider and session of a subject go on now. From memory: asked at every use. */
  isCurrent(subject: Subject): boolean
  /** As `isCurrent`, but looks into the store before it says that an account is gone: memory may be behind. */
  confirm(subject: Subject): Promise<boolean>
  /** Grows when anything that `isCurrent` says may have changed, but for what ends by time. */
  readonly version: number
}

export interface CurrentOptions {
  identities: Pick<Identities, 'isCurrent' | 'confirm' | 'version'>
  providers: readonly Pick<Provider, 'name' | 'isCurrent' | 'version'>[]
  sessions: Pick<Sessions, 'isOpen' | 'version'>
  now: () => number
}

export function createCurrent({ identities, providers, sessions, now }: CurrentOptions): Current {
  const byName = new Map(providers.map((provider) => [provider.name, provider]))
  const goesOn = (subject: Subject): boolean => {
    const { endsAt, session, provider } = subject
    if (endsAt !== undefined && endsAt * 1000 <= now()) return false
    if (session !== undefined && !sessions.isOpen(session)) return false
    return provider === undefined || (byName.get(provider)?.isCurrent(subject) ?? false)
  }
  return {
    isCurrent: (subject) => goesOn(subject) && identities.isCurrent(subject),
    confirm: async (subject) => goesOn(subject) && (await identities.confirm(subject)) && goesOn(subject),
    get version() {
      return providers.reduce((sum, { version }) => sum + version, identities.version + sessions.version)
    },
  }
}
