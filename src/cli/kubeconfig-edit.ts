/** Changes of a kubeconfig that keep everything else that is in it. */

import { mkdir, open, readFile, readlink, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { type Document, isMap, isSeq, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml'
import { CliError } from './failures.ts'
import type { Clock } from './verbs.ts'

/** A file, and what messages call it. */
export interface KubeconfigFile {
  file: string
  shown: string
}

/** What a login leaves in a kubeconfig: cluster, user and context of one name, and the context is the current one. */
export interface LoginEntry {
  name: string
  server: string
  token: string
  /** PEM. */
  certificateAuthority: string | undefined
  insecureSkipTlsVerify: boolean
}

/** Marks a user that `weir login` wrote. client-go keeps it. */
const extensionName = 'weir.dev/login'

const lists = { clusters: 'cluster', users: 'user', contexts: 'context' } as const

/**
 * Finds out whether a login can be written, before anything is done for one.
 *
 * @throws CliError as {@link writeLogin}
 */
export async function requireRoom(place: KubeconfigFile, entry: Pick<LoginEntry, 'name' | 'server'>): Promise<void> {
  findRoom(parse((await readIfThere(place.file, place.shown)) ?? '', place.shown), place, entry)
}

/** What there is of a name. @throws CliError when it is something else */
function findRoom(document: Document, place: KubeconfigFile, { name, server }: Pick<LoginEntry, 'name' | 'server'>) {
  const cluster = find(document, 'clusters', name)
  const user = find(document, 'users', name)
  const context = find(document, 'contexts', name)
  if (cluster !== undefined && cluster.get('server') !== server) throw taken(place, 'cluster', name)
  if (user !== undefined && !isLogin(user)) throw taken(place, 'user', name)
  if (context !== undefined && (context.get('cluster') !== name || context.get('user') !== name)) {
    throw taken(place, 'context', name)
  }
  return { cluster, user, context }
}

/**
 * Writes a login into a kubeconfig, which is created where it is not there, with its folder.
 *
 * @throws CliError when one of that name is something else, or the file is no kubeconfig, which then stays as it is
 */
export async function writeLogin(place: KubeconfigFile, entry: LoginEntry, clock: Clock): Promise<void> {
  await edit(place, clock, (document) => {
    const { name, server } = entry
    const { cluster, user, context } = findRoom(document, place, entry)
    if (!document.has('apiVersion')) document.set('apiVersion', 'v1')
    if (!document.has('kind')) document.set('kind', 'Config')
    const target = cluster ?? add(document, 'clusters', name)
    target.set('server', server)
    for (const field of ['certificate-authority', 'certificate-authority-data', 'insecure-skip-tls-verify']) {
      target.delete(field)
    }
    const { certificateAuthority: authority } = entry
    // client-go takes one of the two alone.
    if (entry.insecureSkipTlsVerify) target.set('insecure-skip-tls-verify', true)
    else if (authority !== undefined) {
      target.set('certificate-authority-data', Buffer.from(authority).toString('base64'))
    }
    const login = user ?? add(document, 'users', name)
    login.set('token', entry.token)
    if (!isLogin(login)) login.set('extensions', document.createNode([{ name: extensionName, extension: { server } }]))
    if (context === undefined) {
      const made = add(document, 'contexts', name)
      made.set('cluster', name)
      made.set('user', name)
    }
    document.set('current-context', name)
    return true
  })
}

/**
 * Takes the token of the current context away, where a login put it.
 *
 * @returns false when the context's user is none that `weir login` wrote; nothing changes then
 */
export async function removeLogin(place: KubeconfigFile, clock: Clock): Promise<boolean> {
  return edit(place, clock, (document) => {
    const context = find(document, 'contexts', String(document.get('current-context') ?? ''))
    const user = context && find(document, 'users', String(context.get('user') ?? ''))
    if (user === undefined || !isLogin(user)) return false
    user.delete('token')
    return true
  })
}

/** The authority, PEM, that a kubeconfig has for the cluster at `server`. */
export async function knownAuthority({ file, shown }: KubeconfigFile, server: string): Promise<string | undefined> {
  const text = await readIfThere(file, shown)
  const document = text === undefined ? undefined : parseDocument(text)
  const clusters = document !== undefined && isMap(document.contents) ? document.get('clusters') : undefined
  if (!isSeq(clusters)) return undefined
  for (const item of clusters.items) {
    const cluster = isMap(item) ? item.get('cluster') : undefined
    const data = isMap(cluster) && cluster.get('server') === server ? cluster.get('certificate-authority-data') : ''
    if (typeof data === 'string' && data !== '') return Buffer.from(data, 'base64').toString('utf8')
  }
  return undefined
}

/** Writes what `change` makes of a file, unless it answers false: what is written is formatted anew. */
async function edit(
  { file, shown }: KubeconfigFile,
  clock: Clock,
  change: (document: Document<YAMLMap>) => boolean,
): Promise<boolean> {
  // What is written goes beside the file itself, not beside a link to it.
  const real = await realpath(file).catch(() => targetOf(file))
  try {
    await mkdir(dirname(real), { recursive: true, mode: 0o700 })
    const unlock = await lock(`${file}.lock`, shown, clock)
    try {
      const before = await readIfThere(real, shown)
      const document = parse(before ?? '', shown)
      const isChanged = change(document)
      if (isChanged) await replace(real, document.toString({ lineWidth: 0 }))
      return isChanged
    } finally {
      await unlock()
    }
  } catch (error) {
    if (error instanceof CliError) throw error
    const { code = String(error) } = error as NodeJS.ErrnoException
    throw new CliError(`can not write ${shown}: ${code}`, { cause: error })
  }
}

/** Where a link leads whose file is not there yet. */
async function targetOf(file: string): Promise<string> {
  return readlink(file).then(
    (target) => resolve(dirname(file), target),
    () => file,
  )
}

function parse(text: string, shown: string): Document<YAMLMap> {
  const document = parseDocument(text)
  if (document.errors.length > 0) throw new CliError(`${shown} is not YAML; it stays as it is`)
  if (document.contents === null) document.contents = document.createNode({}) as unknown as typeof document.contents
  if (!isMap(document.contents)) throw new CliError(`${shown} is not a kubeconfig; it stays as it is`)
  for (const list of Object.keys(lists)) {
    const value = document.get(list)
    if (value !== undefined && value !== null && !isSeq(value)) {
      throw new CliError(`${shown}: ${list} is not a list; the file stays as it is`)
    }
  }
  return document as unknown as Document<YAMLMap>
}

function find(document: Document, list: keyof typeof lists, name: string): YAMLMap | undefined {
  const items = document.get(list)
  if (!isSeq(items)) return undefined
  const item = items.items.find((each) => isMap(each) && each.get('name') === name)
  if (!isMap(item)) return undefined
  const value = item.get(lists[list])
  if (isMap(value)) return value
  const empty = document.createNode({}) as YAMLMap
  item.set(lists[list], empty)
  return empty
}

function add(document: Document, list: keyof typeof lists, name: string): YAMLMap {
  if (!isSeq(document.get(list))) document.set(list, document.createNode([]))
  const value = document.createNode({}) as YAMLMap
  const item = document.createNode({ name }) as YAMLMap
  item.set(lists[list], value)
  ;(document.get(list) as YAMLSeq).items.push(item)
  return value
}

function isLogin(user: YAMLMap): boolean {
  const extensions = user.get('extensions')
  return isSeq(extensions) && extensions.items.some((each) => isMap(each) && each.get('name') === extensionName)
}

function taken({ shown }: KubeconfigFile, what: string, name: string): CliError {
  return new CliError(`${shown} has a ${what} "${name}" that no weir login wrote; it stays as it is`, {
    hints: ['choose another name with --context NAME, or another file with --kubeconfig FILE'],
  })
}

const lockAttempts = 20
const lockPauseMs = 250

/** Keeps kubectl from writing at the same time, as it keeps others from it. */
async function lock(name: string, shown: string, clock: Clock): Promise<() => Promise<void>> {
  for (let attempt = 1; ; attempt++) {
    try {
      const handle = await open(name, 'wx', 0o600)
      await handle.close()
      return () => rm(name, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      if (attempt === lockAttempts) {
        throw new CliError(`another program is writing ${shown}: ${shown}.lock is there`, {
          hints: ['if none is, it was broken off: delete that file'],
        })
      }
      await clock.pause(lockPauseMs)
    }
  }
}

/** Readers see the old file or the new one, whole; it is its owner's alone. */
async function replace(file: string, text: string): Promise<void> {
  const draft = join(dirname(file), `.${process.pid}-${Date.now()}.kubeconfig`)
  try {
    const handle = await open(draft, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

async function readIfThere(file: string, shown: string): Promise<string | undefined> {
  try {
    const found = await stat(file)
    // A device would be replaced by a file, and a pipe waited for.
    if (!found.isFile() && !found.isDirectory()) {
      throw new CliError(`${shown} is no file that a login could be kept in`, {
        hints: ['name one with --kubeconfig FILE, or unset KUBECONFIG'],
      })
    }
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof CliError) throw error
    const { code = String(error) } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new CliError(`can not read ${shown}: ${code}`, { cause: error })
  }
}
