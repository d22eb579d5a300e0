import { LRUCache } from 'lru-cache'
import { atMost } from '../oci/at-most.ts'
import type { Store } from '../store/store.ts'
import { homeAnnotation, parseHome } from '../streams/home-annotation.ts'
import {
  decode,
  digestOfLink,
  lifeKey,
  linkKey,
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
import { type Account, type Counting, createCounting, type Doubt } from './counting.ts'

/** What projects use: looked up when it is first asked for, and from then on as it is told. */
export interface Accounts extends Omit<ProjectUse, 'reserveTags' | 'reserveLinks'> {
  of(project: string): Promise<Account>
}

export interface AccountsOptions {
  store: Pick<Store, 'get' | 'range'>
  now: () => number
}

/** Projects whose account is kept in memory. */
const maxAccounts = 200
/** So often it is made anew: other processes write too. */
const recountMs = 5 * 60_000
/** Links that are looked up one by one; where more are in doubt, all is counted anew. */
const maxDoubts = 2000
/** Links that are looked up at the same time. */
const concurrency = 32

/** How often an account is made anew that is dropped meanwhile. */
const maxAttempts = 3

/** An account, once it is known. */
interface Kept {
  madeAt: number
  account: Promise<Counting>
  /** Told while it was looked up: applied to what was found, of which each may be part already. */
  told: ((account: Counting) => void)[]
  counting?: Counting
}

/**
 * Keeps accounts by looking up the links that it is told of, when somebody asks next: who writes and who removes may tell in
 * another order than they wrote. Until then what was added counts, and what was removed does too.
 */
export function createAccounts({ store, now }: AccountsOptions): Accounts {
  const accounts = new LRUCache<string, Kept>(atMost(maxAccounts))

  function begin(project: string): Kept {
    const kept: Kept = { madeAt: now(), told: [], account: count(store, project) }
    kept.account = kept.account.then((counting) => {
      for (const apply of kept.told) apply(counting)
      kept.told = []
      kept.counting = counting
      return counting
    })
    accounts.set(project, kept)
    return kept
  }

  function drop(project: string, kept: Kept): void {
    if (accounts.peek(project) === kept) accounts.delete(project)
  }

  function tell(project: string, apply: (account: Counting) => void): void {
    const kept = accounts.get(project)
    if (kept === undefined) return
    if (kept.counting === undefined) kept.told.push(apply)
    else apply(kept.counting)
    if ((kept.counting?.doubtCount ?? kept.told.length) > maxDoubts) drop(project, kept)
  }

  async function settled(project: string, kept: Kept): Promise<Counting> {
    try {
      const counting = await kept.account
      // What is doubted meanwhile is left to whoever asks next.
      const doubts = [...counting.doubts]
      for (let start = 0; start < doubts.length; start += concurrency) {
        const some = doubts.slice(start, start + concurrency)
        const records = await Promise.all(some.map((doubt) => recordOf(store, project, doubt)))
        for (const [i, doubt] of some.entries()) counting.settle(doubt, records[i])
      }
      return counting
    } catch (error) {
      drop(project, kept)
      throw error
    }
  }

  return {
    async of(project) {
      let counting: Counting | undefined
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const found = accounts.get(project)
        const isFresh = found !== undefined && now() - found.madeAt < recountMs
        const kept = isFresh ? found : begin(project)
        counting = await settled(project, kept)
        // Of what was dropped meanwhile nobody was told what came after that.
        if (accounts.peek(project) === kept) break
      }
      if (counting === undefined) throw new TypeError('there is one attempt at least')
      return counting
    },
    tagged({ project, stream }, tags) {
      tell(project, (account) => {
        for (const [tag, isThere] of tags) account.tag(stream, tag, isThere)
      })
    },
    linked({ project, stream }, links) {
      tell(project, (account) => {
        for (const [digest, record] of links) account.link(stream, digest, record)
      })
    },
    unlinked({ project, stream }, digests) {
      tell(project, (account) => {
        for (const digest of digests) account.doubt(stream, digest)
      })
    },
    recount(project) {
      if (project === undefined) accounts.clear()
      else accounts.delete(project)
    },
  }
}

/** The link as it is; undefined when the living stream has none. */
async function recordOf(
  store: Pick<Store, 'get'>,
  project: string,
  { stream, digest }: Doubt,
): Promise<LinkRecord | undefined> {
  const name = { project, stream }
  const [life, entry] = await Promise.all([store.get(lifeKey(name)), store.get(linkKey(name, digest))])
  const record = entry && decode<LinkRecord>(entry)
  return life !== undefined && decode<LifeRecord>(life).uid === record?.uid ? record : undefined
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
      const link = { stream: name.stream, digest: digestOfLink(found.key) }
      if (record.uid === uid) counting.settle(link, record)
    }
    for await (const found of await store.range(tagsRange(name, undefined))) {
      const record = decode<TagRecord>(found)
      if (record.uid === uid && !isAbsent(record)) counting.tag(name.stream, tagOfKey(found.key), true)
    }
  }
  return counting
}
