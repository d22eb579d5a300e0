/**
 * Kills a Weir with SIGKILL again and again while it downloads, evicts and collects, and checks after each kill that what its
 * pins need is held whole where it was said to be, and that nothing is left over.
 *
 * `node test/soak/content-kill.ts [--kills N]`, default 200. Writes `reports/content-kill.json`; exits 1 on a failure.
 */
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startBlobUpstream } from '../support/blob-upstream.ts'
import { checkWholeAtLast, unheldTags } from './content-at-last.ts'
import { checkContent } from './content-check.ts'
import { aheadMs } from './content-clock.ts'
import { requestApi } from './content-requests.ts'
import { crowded, maxBytes, type Prepared, prepare, spawnWeir, start } from './content-running.ts'
import { drive, importImage, newSession, pinnedTags, projects, type Session, stillStream } from './content-session.ts'

const { values } = parseArgs({ options: { kills: { type: 'string', default: '200' } } })
const kills = Number(values.kills)
if (!Number.isSafeInteger(kills) || kills < 1) throw new TypeError('--kills takes a positive number')

/** A session ends in the middle of something, of which kind is chosen before: else most would end while nothing is removed. */
const aims = ['anything', 'a download', 'an eviction', 'a removal', 'a whole collection'] as const
const longestSessionMs = 1500
const longestFillingMs = 15_000
/** How long an aim is waited for. */
const longestAimMs = {
  'a download': 3000,
  'an eviction': 6000,
  'a removal': 6000,
  'a whole collection': 20_000,
} as const
const longestAfterAimMs = 30
const directory = await mkdtemp(join(tmpdir(), 'weir-content-kill-'))
const upstream = await startBlobUpstream()
upstream.bytesPerSecond = 20_000_000
// An eviction asks first whether the upstream can give it again.
upstream.headDelayMs = 40
try {
  const report = await killRepeatedly(await prepare(directory, crowded(upstream.host)))
  await mkdir('reports', { recursive: true })
  await writeFile('reports/content-kill.json', `${JSON.stringify(report, undefined, 2)}\n`)
  console.log(report)
  process.exitCode = report.failed > 0 ? 1 : 0
} finally {
  await upstream.close()
  await rm(directory, { recursive: true, force: true })
}

interface KilledSession extends Session {
  /** An upstream was asked whether it has what is to go. */
  wasEvicting: boolean
  /** Something was removed before. */
  hasRemoved: boolean
}

async function killRepeatedly(prepared: Prepared) {
  const began = performance.now()
  const figures = {
    kills,
    inDownloads: 0,
    inEvictions: 0,
    inCollections: 0,
    afterRemovals: 0,
    halfDone: 0,
    beforeReady: 0,
    imports: 0,
    pulls: 0,
    prunes: 0,
    rollbacks: 0,
    freedBytes: 0,
    checkedPins: 0,
    heldPins: 0,
    hashedBytes: 0,
    mostHeldBytes: 0,
  }
  let failed = 0
  await fill(prepared)
  for (let kill = 1; kill <= kills; kill += 1) {
    const session = await runAndKill(prepared, kill)
    const now = () => Date.now() + aheadMs(kill)
    const check = await checkContent({ data: prepared.data, now, session: session ?? newSession() })
    if (check.unfinished > 0) figures.inDownloads += 1
    if (session?.wasEvicting === true) figures.inEvictions += 1
    if (session?.hasRemoved === true) figures.afterRemovals += 1
    if ((session?.pruning ?? 0) > 0) figures.inCollections += 1
    if (check.orphans > 0) figures.halfDone += 1
    if (session === undefined) figures.beforeReady += 1
    for (const key of ['imports', 'pulls', 'prunes', 'rollbacks', 'freedBytes'] as const)
      figures[key] += session?.[key] ?? 0
    figures.checkedPins += check.pins
    figures.heldPins += check.heldPins
    figures.hashedBytes += check.heldBytes
    figures.mostHeldBytes = Math.max(figures.mostHeldBytes, check.heldBytes)
    upstream.requests.length = 0
    upstream.others.length = 0
    if (check.faults.length > 0) failed += 1
    for (const fault of [...new Set(check.faults)].slice(0, 20)) console.error(`kill ${kill}: ${fault}`)
    if (kill % 20 === 0 || kill === kills) console.log(`${kill} kills: ${JSON.stringify(figures)}`)
  }
  let passed = kills - failed
  const running = await start(prepared, kills + 1)
  const faults = [...(await checkWholeAtLast(running, upstream)), ...running.problems, ...tooFew(figures)]
  await running.kill()
  for (const fault of faults) console.error(fault)
  if (faults.length > 0) failed += 1
  else passed += 1
  const seconds = Math.round((performance.now() - began) / 1000)
  return { name: 'content-kill', passed, failed, skipped: 0, figures: { ...figures, seconds } }
}

/** undefined when it was killed before it was ready: one time in ten. */
async function runAndKill(prepared: Prepared, kill: number): Promise<KilledSession | undefined> {
  if (Math.random() < 0.1) {
    const child = spawnWeir(prepared, kill)
    child.stderr?.pipe(process.stderr)
    const closed = once(child, 'close')
    await delay(Math.random() * 700)
    child.kill('SIGKILL')
    await closed
    return undefined
  }
  const running = await start(prepared, kill)
  const session = newSession()
  const driven = drive(running, upstream, session)
  const hasRemoved = await lookForRemovals(prepared.blobs)
  await waitFor(aims[kill % aims.length] ?? 'anything', { blobs: prepared.blobs, session })
  const wasEvicting = isAsked('HEAD')
  await running.kill()
  await driven
  return { ...session, wasEvicting, hasRemoved: await hasRemoved(), faults: [...session.faults, ...running.problems] }
}

async function waitFor(aim: (typeof aims)[number], watched: { blobs: string; session: Session }): Promise<void> {
  if (aim === 'anything') return void (await delay(100 + Math.random() * longestSessionMs))
  const deadline = Date.now() + longestAimMs[aim]
  await delay(100)
  const isMet = await whetherMet(aim, watched)
  while (!(await isMet()) && Date.now() < deadline) await delay(2)
  await delay(Math.random() * longestAfterAimMs)
}

async function whetherMet(
  aim: (typeof aims)[number],
  { blobs, session }: { blobs: string; session: Session },
): Promise<() => boolean | Promise<boolean>> {
  if (aim === 'a removal') return lookForRemovals(blobs)
  if (aim === 'a whole collection') return () => session.prunes > 0
  return () => isAsked(aim === 'a download' ? 'GET' : 'HEAD')
}

/** Whether a file has gone since the last look. */
async function lookForRemovals(blobs: string): Promise<() => Promise<boolean>> {
  let before = await readdir(blobs)
  return async () => {
    const now = new Set(await readdir(blobs))
    const isMet = before.some((file) => !now.has(file))
    before = [...now]
    return isMet
  }
}

/** Whether a blob is being asked for now. */
function isAsked(wanted: string): boolean {
  return upstream.requests.some(({ method, isOpen }) => method === wanted && isOpen)
}

/** Makes the projects, and has Weir fetch more than it may keep: from then on something has to go. */
async function fill(prepared: Prepared): Promise<void> {
  const running = await start(prepared, 0)
  for (const [retain, name] of Object.entries(projects)) {
    const metadata = { name, annotations: { 'weir.dev/retain': retain } }
    const body = { kind: 'Namespace', apiVersion: 'v1', metadata }
    const { status, body: answer } = await requestApi(running, 'POST', '/api/v1/namespaces', body)
    if (status !== 201) throw new Error(`project ${name}: ${status} ${JSON.stringify(answer)}`)
  }
  for (const tag of pinnedTags) {
    await importImage(running, upstream, { project: projects.pinned, stream: stillStream, tag })
  }
  while ((await unheldTags(running)).length > 0) await delay(50)
  const driven = drive(running, upstream, newSession())
  const deadline = Date.now() + longestFillingMs
  while (upstream.sentBytes() < 1.5 * maxBytes && Date.now() < deadline) await delay(50)
  await running.kill()
  await driven
}

/** A kill that hits nothing proves nothing. */
function tooFew({
  inDownloads,
  inEvictions,
  inCollections,
}: Record<'inDownloads' | 'inEvictions' | 'inCollections', number>): string[] {
  const least = {
    downloads: [inDownloads, 0.2],
    evictions: [inEvictions, 0.05],
    collections: [inCollections, 0.4],
  } as const
  return Object.entries(least).flatMap(([what, [hits, share]]) =>
    hits < share * kills ? [`only ${hits} of ${kills} kills came during ${what}`] : [],
  )
}
