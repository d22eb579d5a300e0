/**
 * One pass of the collector over a large store, beside which the process answers others: how much CPU it takes, how long it keeps
 * the event loop, and how much memory it needs. A dry run: it reads and decides what a real one does, and removes nothing.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { pino } from 'pino'
import { createCollector } from '../../src/collector.ts'
import type { BlobSource, UpstreamLocation } from '../../src/content/content.ts'
import { createContent } from '../../src/content/create-content.ts'
import { proofOf } from '../../src/content/proof.ts'
import { type Digest, digestHex, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { createLevelStore } from '../../src/store/level.ts'
import { commitLimits, type Operation, type Store } from '../../src/store/store.ts'
import { createStreams } from '../../src/streams/create-streams.ts'
import { formatTime } from '../../src/streams/events.ts'
import { createHeldRecords } from '../../src/streams/held-records.ts'
import {
  encode,
  eventKey,
  heldKey,
  imageKey,
  lifeKey,
  linkKey,
  projectKey,
  streamObjectKey,
  tagKey,
} from '../../src/streams/keys.ts'

const streams = Number(process.env.BENCH_STREAMS ?? 1000)
const tagsOfStream = 100
const revisions = 5
const rounds = Number(process.env.BENCH_ROUNDS ?? 3)
const dayMs = 86_400_000
const startMs = Date.now() - 200 * dayMs
const configType = 'application/vnd.oci.image.config.v1+json'
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'
const resolutionMs = 5

export async function run(): Promise<void> {
  const [, script = '', name = '', filled] = process.argv
  if (filled !== undefined) return pass(filled)
  const directory = await mkdtemp(join(tmpdir(), 'weir-bench-'))
  try {
    await fill(directory)
    const tags = streams * tagsOfStream
    const entries = tags * revisions
    console.log(
      `${cpus()[0]?.model}, ${cpus().length} cores; node ${process.version}; ${tags} tags, ${entries} ledger entries, ${2 * entries + streams} links, ${2 * tags} held blobs; a dry run each in a new process`,
    )
    for (let round = 0; round < rounds; round += 1) {
      spawnSync(process.execPath, [...process.execArgv, script, name, directory], { stdio: 'inherit' })
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function pass(directory: string): Promise<void> {
  const ending = new AbortController()
  const { signal } = ending
  const now = Date.now
  const log = pino({ level: 'error' })
  const store = await openStore(directory)
  const nowhere: BlobSource = { size: refuse, open: refuse }
  const content = await createContent({
    directory: join(directory, 'content'),
    source: nowhere,
    records: createHeldRecords({ store, now }),
    acquireLease: (name, wanted) => store.lease(name, wanted),
    maxBytes: Number.MAX_SAFE_INTEGER,
    finishBytes: 0,
    log,
  })
  const collector = createCollector({
    ...createStreams({ store, now, signal }),
    store,
    content,
    source: nowhere,
    policy: {
      retain: 'pinned',
      platforms: ['linux/amd64'],
      historyKeep: 1,
      historyKeepDays: 0,
      move: 'at-once',
    },
    maxBytes: Number.MAX_SAFE_INTEGER,
    intervalMs: dayMs,
    onUnlinked: () => undefined,
    now,
    signal,
    log,
  })
  // What is on the disk is counted once after the start, beside which nothing is measured.
  while (content.counters.heldBytes < 2 * streams * tagsOfStream) await new Promise((done) => setTimeout(done, 100))
  const before = privateMiB()
  let peak = before
  const sampler = setInterval(() => {
    peak = Math.max(peak, privateMiB())
  }, 50)
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  delay.enable()
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  const { freedCount, kept, removedLinks } = await collector.prune({ dryRun: true })
  const wallMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(cpu)
  delay.disable()
  clearInterval(sampler)
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolutionMs).toFixed(1)
  const would = `would free ${freedCount} and ${removedLinks} links, keeps ${kept.map(({ reason, count }) => `${count} ${reason}`).join(', ')}`
  console.log(
    `${((user + system) / 1e6).toFixed(1)} s CPU, ${(wallMs / 1000).toFixed(1)} s, event loop late by p99 ${late(delay.percentile(99))} ms, max ${late(delay.max)} ms, memory ${before} -> ${peak} MiB, load ${loadavg()[0]?.toFixed(1)}; ${would}`,
  )
  ending.abort()
  await collector.ended
  await content.close()
  await store.close()
}

/** Resident memory without the pages of the store's files, which the system maps and takes back as it likes. */
function privateMiB(): number {
  return Math.round(Number(/RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024)
}

async function refuse(): Promise<never> {
  throw new TypeError('a dry run with room asks nobody')
}

function openStore(directory: string): Promise<Store> {
  return createLevelStore({ directory: join(directory, 'store'), logged: ['tag/', 'life/', 'index/image/'] })
}

/** Tags of five revisions each, whose images have a config of their own and share a layer; of each the manifest and config of one are held. */
async function fill(directory: string): Promise<void> {
  const blobs = join(directory, 'content', 'blobs', 'sha256')
  mkdirSync(blobs, { recursive: true })
  const store = await openStore(directory)
  const running = new Set<Promise<unknown>>()
  let operations: Operation[] = []
  for (const operation of records(blobs)) {
    if (operations.push(operation) < commitLimits.maxOperations) continue
    const commit: Promise<unknown> = store.commit({ operations }).finally(() => running.delete(commit))
    running.add(commit)
    operations = []
    if (running.size >= 200) await Promise.race(running)
  }
  await Promise.all([...running, store.commit({ operations })])
  await store.close()
}

function* records(blobs: string): Generator<Operation> {
  const put = (key: string, record: unknown): Operation => ({ type: 'put', key, value: encode(record) })
  const location: UpstreamLocation = {
    kind: 'upstream',
    host: 'a.example',
    repository: 'lib/app',
    project: 'demo',
    projectUid: 'p',
  }
  const at = (day: number) => formatTime(startMs + day * dayMs)
  const proof = proofOf([location])
  const held = (digest: Digest): Operation => {
    const file = join(blobs, digestHex(digest))
    writeFileSync(file, 'x')
    utimesSync(file, startMs / 1000, startMs / 1000)
    return put(heldKey(digest, proof), { size: 1, through: proof, at: at(0) })
  }
  yield put(projectKey('demo'), { metadata: { name: 'demo', uid: 'p' } })
  for (let s = 0; s < streams; s += 1) {
    const name = { project: 'demo', stream: `s${s}` }
    const uids = { uid: `u${s}`, projectUid: 'p' }
    const link = (digest: Digest, mediaType: string, more: object = {}) =>
      put(linkKey(name, digest), { ...uids, mediaType, size: 1, locations: [location], createdAt: at(0), ...more })
    const layer = digestOf(`layer ${s}`)
    yield put(lifeKey(name), uids)
    yield put(streamObjectKey(name), { metadata: { name: name.stream, uid: uids.uid, annotations: {} }, spec: {} })
    yield link(layer, layerType)
    for (let t = 0; t < tagsOfStream; t += 1) {
      const mediaType = mediaTypes.ociManifest
      const items = []
      for (let revision = 1; revision <= revisions; revision += 1) {
        const image = digestOf(`manifest ${s} ${t} ${revision}`)
        const config = digestOf(`config ${s} ${t} ${revision}`)
        const event = { created: at(revision * 20), dockerImageReference: 'a.example/lib/app', image, generation: 1 }
        items.unshift(event)
        const cause = { kind: 'import', by: 'ci' }
        yield put(eventKey(name, `t${t}`, revision), { ...uids, ...event, revision, mediaType, cause })
        yield link(image, mediaType, { received: true })
        yield link(config, configType)
        yield put(imageKey(image, mediaType), {
          mediaType,
          size: 1,
          config: { digest: config, mediaType: configType, size: 1 },
          layers: [{ digest: layer, mediaType: layerType, size: 1 }],
          manifests: [],
        })
        // Half of them are what the pin needs, the others what only an old revision does.
        if (revision === (t % 2 === 0 ? revisions : 1)) yield* [held(image), held(config)]
      }
      yield put(tagKey(name, `t${t}`), { ...uids, revision: revisions, current: revisions, items, commitId: 'x' })
    }
  }
}
