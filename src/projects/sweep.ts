import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { commitLimits, type Entry, type Operation, type Precondition, type Store } from '../store/store.ts'
import { digestOfLink, exactly, imageIndexKey, livesRange, projectKey, streamOfKey } from '../streams/keys.ts'
import { projectOf } from '../streams/open-project.ts'
import type { StreamWriter } from '../streams/streams.ts'

/** The project to be swept: `uid` tells it from a later one of the same name. */
export interface Doomed {
  project: string
  uid: string
}

export interface SweepOptions {
  store: Store
  writer: Pick<StreamWriter, 'delete'>
  /** Ends the sweep between two steps. */
  signal: AbortSignal
}

/** Families of records whose keys go on with `<project>/`, apart from links and API objects. */
const families = [
  'tag',
  'event',
  'outbox',
  'generation',
  'stream',
  'life',
  'index/followers',
  'index/pending',
  'index/unheld',
  'index/left-out',
  'index/referrers',
  'index/fallback',
]

/** Swept before all else: a project may have streams for a minute, and none of its robots is to outlive it anywhere so long. */
const identityResources = ['serviceaccounts', 'secrets']

/** Swept after all others: who may see the project sees it to the end. */
const rightsResources = ['roles', 'rolebindings']

/** The project's own record is a precondition of each step. */
const maxStepOperations = commitLimits.maxOperations - 1
/** Of the values that a step deletes: those that are watched go into the change log. */
const maxStepSize = commitLimits.maxBytes / 2
const maxStreamsAtOnce = 50

/**
 * Removes a project that is being terminated, with all that is in it: first its robots and logins, then its streams, so that
 * nothing can be written below them any more, then every record, last its own. Each step goes through only while that stands, and can be done again:
 * wherever it ends, another sweep goes on from there. Ends without doing anything for a project that is gone.
 *
 * @throws RegistryError UNAVAILABLE
 */
export async function sweepProject(options: SweepOptions, doomed: Doomed): Promise<void> {
  const { store } = options
  const objectsOf = (resource: string) => sweep(options, doomed, `object/${resource}/${doomed.project}/`)
  for (const resource of identityResources) await objectsOf(resource)
  await deleteStreams(options, doomed)
  await sweep(options, doomed, `link/${doomed.project}/`, ({ key }) => [
    key,
    imageIndexKey(streamOfKey(key), digestOfLink(key)),
  ])
  for (const family of families) await sweep(options, doomed, `${family}/${doomed.project}/`)
  const resources = (await storedResources(store)).filter((resource) => !rightsResources.includes(resource))
  for (const resource of [...resources, ...rightsResources]) await objectsOf(resource)
  await deleteInSteps(options, doomed, async (own) => [own])
}

/** The lives of the project's streams end one by one: from then on each commit below one is refused. */
async function deleteStreams({ store, writer, signal }: SweepOptions, { project, uid }: Doomed): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const [own, lives] = await store.ranges([
      exactly(projectKey(project)),
      { ...livesRange(project, undefined), limit: maxStreamsAtOnce },
    ])
    const [entry] = own === undefined ? [] : await entriesOf(own)
    if (!isDoomed(entry, uid) || lives === undefined) return
    const streams = (await entriesOf(lives)).map(lifeOf)
    if (streams.length === 0) return
    await Promise.all(streams.map(({ name, uid }) => writer.delete(name, { uid }).catch(ignoreRace)))
  }
}

async function sweep(
  options: SweepOptions,
  doomed: Doomed,
  prefix: string,
  keysOf: (entry: Entry) => string[] = ({ key }) => [key],
): Promise<void> {
  await deleteInSteps(options, doomed, async () => {
    const keys: string[] = []
    let size = 0
    for await (const entry of await options.store.range({ prefix, limit: maxStepOperations })) {
      const more = keysOf(entry)
      size += entry.value.length
      if (keys.length > 0 && (keys.length + more.length > maxStepOperations || size > maxStepSize)) break
      keys.push(...more)
    }
    return keys
  })
}

/** Deletes what `keysOf` names, again and again until it names nothing or the project's record is gone. */
async function deleteInSteps(
  { store, signal }: SweepOptions,
  { project, uid }: Doomed,
  keysOf: (own: string) => Promise<string[]>,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const entry = await store.get(projectKey(project))
    if (entry === undefined || !isDoomed(entry, uid)) return
    const keys = await keysOf(entry.key)
    if (keys.length === 0) return
    const operations = keys.map((key): Operation => ({ type: 'delete', key }))
    const preconditions: Precondition[] = [{ key: entry.key, revision: entry.revision }]
    const result = await store.commit({ operations, preconditions })
    if (result.status !== 'unknown') continue
    throw new RegistryError('UNAVAILABLE', {
      message: `the store did not say whether it deleted records of project ${project}`,
      cause: result.cause,
    })
  }
}

function isDoomed(entry: Entry | undefined, uid: string): boolean {
  if (entry === undefined) return false
  const { uid: standing, deletionTimestamp } = projectOf(entry)
  return standing === uid && deletionTimestamp !== undefined
}

function lifeOf(entry: Entry): { name: StreamName; uid: string } {
  return { name: streamOfKey(entry.key), uid: (JSON.parse(entry.value) as { uid: string }).uid }
}

// Somebody else deleted it, or changed it while it was: the next look shows which.
function ignoreRace(error: unknown): void {
  if (error instanceof RegistryError && (error.code === 'NOT_FOUND' || error.code === 'CONFLICT')) return
  throw error
}

/** Which kinds of API objects are stored, found without reading them. */
async function storedResources(store: Store): Promise<string[]> {
  const resources: string[] = []
  for (let start = 'object/'; ; ) {
    const [entry] = await entriesOf(await store.range({ prefix: 'object/', start, limit: 1 }))
    const [, resource] = entry?.key.split('/') ?? []
    if (resource === undefined) return resources
    resources.push(resource)
    // '0' is the character after '/'.
    start = `object/${resource}0`
  }
}

async function entriesOf(entries: AsyncIterable<Entry>): Promise<Entry[]> {
  const all: Entry[] = []
  for await (const entry of entries) all.push(entry)
  return all
}
