import { LRUCache } from 'lru-cache'
import type { Location } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { type HomePath, homeAnnotation, parseHome } from '../streams/home-annotation.ts'
import {
  decode,
  digestOfLink,
  linksRange,
  livesRange,
  projectKey,
  streamOfKey,
  tagOfKey,
  tagsRange,
} from '../streams/keys.ts'
import { projectOf } from '../streams/open-project.ts'
import type { ProjectUse } from '../streams/project-use.ts'
import type { LifeRecord, LinkRecord, TagRecord } from '../streams/records.ts'
import { isAbsent } from '../streams/rules.ts'

/** What projects use: looked up when it is first asked for, and from then on as it is told. */
export interface Accounts extends Omit<ProjectUse, 'reserveTags' | 'reserveLinks'> {
  of(project: string): Promise<Account>
}

/** What one project uses, as of now: it changes. */
export interface Account {
  /** Of what was pushed: each digest once. */
  readonly bytes: number
  readonly tags: number
  /** Bytes that links would be more. */
  lacks(links: ReadonlyMap<Digest, LinkRecord>): number
}

export interface AccountsOptions {
  store: Pick<Store, 'get' | 'range'>
  now: () => number
}

/** Projects whose account is kept in memory. */
const maxAccounts = 200
/** So often it is made anew: other processes write too. */
const recountMs = 5 * 60_000

/** An account that can be written; until it is known, what is told waits. */
interface Kept {
  madeAt: number
  account: Promise<Counting>
  /** Told while it was looked up: applied to what was found, of which each may be part already. */
  told: ((account: Counting) => void)[]
  counting?: Counting
}

export function createAccounts({ store, now }: AccountsOptions): Accounts {
  const accounts = new LRUCache<string, Kept>({ max: maxAccounts })

  function begin(project: string): Kept {
    const kept: Kept = { madeAt: now(), told: [], account: count(store, project) }
    kept.account = kept.account.then((counting) => {
      for (const apply of kept.told) apply(counting)
      kept.told = []
      kept.counting = counting
      return counting
    })
    kept.account.catch(() => {
      if (accounts.peek(project) === kept) accounts.delete(project)
    })
    accounts.set(project, kept)
    return kept
  }

  function tell(project: string, apply: (account: Counting) => void): void {
    const kept = accounts.get(project)
    if (kept === undefined) return
    if (kept.counting !== undefined) apply(kept.counting)
    else kept.told.push(apply)
  }

  return {
    of(project) {
      const kept = accounts.get(project)
      const isFresh = kept !== undefined && now() - kept.madeAt < recountMs
      return (isFresh ? kept : begin(project)).account
    },
    tagged(name, tags) {
      tell(name.project, (account) => {
        for (const [tag, isThere] of tags) account.tag(name, tag, isThere)
      })
    },
    linked(name, links) {
      tell(name.project, (account) => {
        for (const [digest, record] of links) account.link(digest, record)
      })
    },
    recount(project) {
      if (project === undefined) accounts.clear()
      else accounts.delete(project)
    },
  }
}

interface Counting extends Account {
  link(digest: Digest, record: LinkRecord): void
  tag(name: StreamName, tag: string, isThere: boolean): void
}

function createCounting(project: string, home: HomePath | undefined): Counting {
  const sizes = new Map<Digest, number>()
  const tags = new Set<string>()
  let bytes = 0

  function isPushed(location: Location): boolean {
    if (location.kind === 'here') return true
    const { host, repository } = location
    return location.project === project && host === home?.host && repository.startsWith(`${home.path}/`)
  }

  return {
    get bytes() {
      return bytes
    },
    get tags() {
      return tags.size
    },
    lacks(links) {
      let lacking = 0
      for (const [digest, { size = 0, locations }] of links)
        if (!sizes.has(digest) && locations.some(isPushed)) lacking += size
      return lacking
    },
    link(digest, { size = 0, locations }) {
      if (!locations.some(isPushed)) return
      bytes += size - (sizes.get(digest) ?? 0)
      sizes.set(digest, size)
    },
    tag({ stream }, tag, isThere) {
      if (isThere) tags.add(`${stream}:${tag}`)
      else tags.delete(`${stream}:${tag}`)
    },
  }
}

/** Reads everything that the living streams of a project have. */
async function count(store: AccountsOptions['store'], project: string): Promise<Counting> {
  const entry = await store.get(projectKey(project))
  const written = entry && projectOf(entry).annotations?.[homeAnnotation]
  const counting = createCounting(project, written === undefined ? undefined : parseHome(written))
  for await (const life of await store.range(livesRange(project, undefined))) {
    const name = streamOfKey(life.key)
    const { uid } = decode<LifeRecord>(life)
    for await (const found of await store.range(linksRange(name, '', undefined))) {
      const record = decode<LinkRecord>(found)
      if (record.uid === uid) counting.link(digestOfLink(found.key), record)
    }
    for await (const found of await store.range(tagsRange(name, undefined))) {
      const record = decode<TagRecord>(found)
      if (record.uid === uid && !isAbsent(record)) counting.tag(name, tagOfKey(found.key), true)
    }
  }
  return counting
}
