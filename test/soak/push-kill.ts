/**
 * Kills a Weir with SIGKILL again and again while it is pushed to, and checks with the next one that all of every acknowledged
 * manifest is there, that every other is wholly there or wholly absent, that the ledgers tell just that, and that uploads go on
 * from where they were said to be.
 *
 * `node test/soak/push-kill.ts [--kills N]`, default 100. Writes `reports/push-kill.json`; exits 1 on a failure.
 */
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { requestApi } from './content-requests.ts'
import { type Prepared, prepare, type Running, spawnWeir, start } from './content-running.ts'
import { checkPushes } from './push-check.ts'
import { type Attempt, drive, newSession, type OpenUpload, type PushSession, project } from './push-session.ts'

const { values } = parseArgs({ options: { kills: { type: 'string', default: '100' } } })
const kills = Number(values.kills)
if (!Number.isSafeInteger(kills) || kills < 1) throw new TypeError('--kills takes a positive number')

/** What a session is to be killed in. */
const aims = ['a manifest', 'a piece', 'an end', 'anything'] as const
const longestSessionMs = 1200
const longestAimMs = 2000
/** The clock of every Weir is the system's. */
const today = 0
const directory = await mkdtemp(join(tmpdir(), 'weir-push-kill-'))
try {
  const report = await killRepeatedly(await prepare(directory, { content: { retain: 'pinned' } }))
  await mkdir('reports', { recursive: true })
  await writeFile('reports/push-kill.json', `${JSON.stringify(report, undefined, 2)}\n`)
  console.log(report)
  process.exitCode = report.failed > 0 ? 1 : 0
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function killRepeatedly(prepared: Prepared) {
  const began = performance.now()
  const figures = {
    kills,
    inManifests: 0,
    inPieces: 0,
    inEnds: 0,
    acknowledged: 0,
    unacknowledgedWhole: 0,
    unacknowledgedAbsent: 0,
    resumed: 0,
    beforeReady: 0,
  }
  const attempts: Attempt[] = []
  let failed = 0
  let last = newSession()
  for (let kill = 0; kill <= kills; kill += 1) {
    if (kill > 0 && Math.random() < 0.1) {
      await killStarting(prepared)
      figures.beforeReady += 1
    }
    const running = await start(prepared, today)
    if (kill === 0) await makeProject(running)
    attempts.push(...last.attempts)
    const check = await checkPushes(running, last, attempts)
    for (const key of ['acknowledged', 'unacknowledgedWhole', 'unacknowledgedAbsent'] as const) {
      figures[key] += check[key]
    }
    const faults = [...last.faults, ...check.faults]
    if (kill === kills) faults.push(...(await checkAll(running, attempts)))
    else {
      const session = newSession()
      const uploads = [...last.uploads]
      figures.resumed += uploads.length
      await runAndKill(running, session, uploads, aims[kill % aims.length] ?? 'anything')
      if (session.open.manifests > 0) figures.inManifests += 1
      if (session.open.pieces > 0) figures.inPieces += 1
      if (session.open.ends > 0) figures.inEnds += 1
      last = session
    }
    faults.push(...running.problems)
    if (kill === kills) await running.kill()
    if (faults.length > 0) failed += 1
    for (const fault of [...new Set(faults)].slice(0, 20)) console.error(`after ${kill} kills: ${fault}`)
    if (kill > 0 && (kill % 20 === 0 || kill === kills)) console.log(`${kill} kills: ${JSON.stringify(figures)}`)
  }
  for (const fault of tooFew(figures)) {
    console.error(fault)
    failed += 1
  }
  const seconds = Math.round((performance.now() - began) / 1000)
  return {
    name: 'push-kill',
    passed: Math.max(0, kills + 1 - failed),
    failed,
    skipped: 0,
    figures: { ...figures, seconds },
  }
}

async function runAndKill(
  running: Running,
  session: PushSession,
  uploads: readonly OpenUpload[],
  aim: (typeof aims)[number],
): Promise<void> {
  const driven = drive(running, session, uploads)
  await delay(100 + Math.random() * longestSessionMs)
  const deadline = Date.now() + longestAimMs
  while (!isMet(aim, session) && Date.now() < deadline) await delay(1)
  await delay(Math.random() * 3)
  await running.kill()
  await driven
}

function isMet(aim: (typeof aims)[number], { open }: PushSession): boolean {
  if (aim === 'anything') return true
  return open[({ 'a manifest': 'manifests', 'a piece': 'pieces', 'an end': 'ends' } as const)[aim]] > 0
}

/** Kills it at some time of its start. */
async function killStarting(prepared: Prepared): Promise<void> {
  const child = spawnWeir(prepared, today)
  const closed = once(child, 'close')
  await delay(Math.random() * 700)
  child.kill('SIGKILL')
  await closed
}

async function makeProject(running: Running): Promise<void> {
  const body = { kind: 'Namespace', apiVersion: 'v1', metadata: { name: project } }
  const { status, body: answer } = await requestApi(running, 'POST', '/api/v1/namespaces', body)
  if (status !== 201) throw new Error(`project ${project}: ${status} ${JSON.stringify(answer)}`)
}

/** At last, all that was ever acknowledged. */
async function checkAll(running: Running, attempts: readonly Attempt[]): Promise<string[]> {
  return (await checkPushes(running, { attempts: [...attempts], blobs: [] }, attempts)).faults
}

/** A kill that hits nothing proves nothing. */
function tooFew(figures: Record<'inManifests' | 'inPieces' | 'inEnds', number>): string[] {
  return Object.entries({ inManifests: 0.2, inPieces: 0.2, inEnds: 0.2 } as const).flatMap(([what, share]) => {
    const hits = figures[what as keyof typeof figures]
    return hits < share * kills ? [`only ${hits} of ${kills} kills came ${what}`] : []
  })
}
