/**
 * Kills a writer with SIGKILL again and again and checks after each kill that the store kept its promises: what was
 * acknowledged is there whole, nothing is there half, the change log agrees with the data, revisions only grow.
 *
 * `node test/soak/store-kill.ts [--kills N]`, default 300. Writes `reports/store-kill.json`; exits 1 on a failure.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createLevelStore } from '../../src/store/level.ts'
import { createHistory, type Session } from './store-history.ts'
import { soakOptions } from './store-soak.ts'

const { values } = parseArgs({ options: { kills: { type: 'string', default: '300' } } })
const kills = Number(values.kills)
if (!Number.isSafeInteger(kills) || kills < 1) throw new TypeError('--kills takes a positive number')

const maxWritingMs = 60
const directory = await mkdtemp(join(tmpdir(), 'weir-store-kill-'))
try {
  const report = await killRepeatedly()
  await mkdir('reports', { recursive: true })
  await writeFile('reports/store-kill.json', `${JSON.stringify(report, undefined, 2)}\n`)
  console.log(report)
  process.exitCode = report.failed > 0 ? 1 : 0
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function killRepeatedly() {
  const began = performance.now()
  const history = createHistory()
  const figures = { kills, inFlight: 0, beforeFirstCommit: 0, acknowledged: 0, unacknowledged: 0, conflicts: 0 }
  let failed = 0
  for (let kill = 1; kill <= kills; kill += 1) {
    const session = await runAndKill(`s${kill}`)
    const pending = session.begun.size - session.acknowledged.size - session.conflicted.size
    if (pending > 0) figures.inFlight += 1
    if (session.begun.size === 0) figures.beforeFirstCommit += 1
    figures.acknowledged += session.acknowledged.size
    figures.conflicts += session.conflicted.size
    const store = await createLevelStore({ directory: join(directory, 'store'), ...soakOptions })
    const { faults, unacknowledged } = await history.check(store, session)
    figures.unacknowledged += unacknowledged
    if (kill === kills) faults.push(...(await history.checkAll(store)))
    await store.close()
    if (faults.length > 0) failed += 1
    for (const fault of faults.slice(0, 20)) console.error(`kill ${kill}: ${fault}`)
    if (kill % 50 === 0 || kill === kills) console.log(`${kill} kills, ${figures.inFlight} with commits in flight`)
  }
  const passed = kills - failed
  if (figures.inFlight * 2 < kills) {
    console.error(`only ${figures.inFlight} of ${kills} kills hit a commit in flight`)
    failed += 1
  }
  const seconds = Math.round((performance.now() - began) / 1000)
  return {
    name: 'store-kill',
    passed,
    failed,
    skipped: 0,
    figures: { ...figures, revision: history.revision, seconds },
  }
}

/** One kill in ten comes at a random time of the start, the others at a random time of writing. */
async function runAndKill(name: string): Promise<Session> {
  const session: Session = { openedAt: undefined, begun: new Set(), acknowledged: new Map(), conflicted: new Set() }
  const writer = new URL('store-writer.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [writer, join(directory, 'store'), name], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(directory, 'compile-cache') },
  })
  const closed = once(child, 'close')
  const opened = Promise.withResolvers<void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    note(session, line)
    if (session.openedAt !== undefined) opened.resolve()
  })
  if (Math.random() < 0.1) {
    await delay(Math.random() * 300)
  } else {
    await Promise.race([opened.promise, closed])
    await delay(Math.random() * maxWritingMs)
  }
  child.kill('SIGKILL')
  const [code, signal]: unknown[] = await closed
  if (signal !== 'SIGKILL') throw new Error(`the writer ended by itself with ${code ?? signal}`)
  return session
}

function note(session: Session, line: string): void {
  const [what, id = '', revision] = line.split(' ')
  if (what === 'open') session.openedAt = Number(id)
  if (what === 'begin') session.begun.add(id)
  if (what === 'ack') session.acknowledged.set(id, Number(revision))
  if (what === 'conflict') session.conflicted.add(id)
}
