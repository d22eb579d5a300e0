/** The README's story, word for word, in a fresh clone: npm ci, npm start, npx weir, docker. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type DockerEngine, startDockerEngine } from './support/clients.ts'
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.ts'
import { answers, freePort, must, run, type Service, startService } from './support/process.ts'
import { realImage } from './support/real-images.ts'

const v1 = realImage('story v1')
const v2 = realImage('story v2')

let directory: string
let clone: string
let registry: DockerRegistry
let engine: DockerEngine
let weir: Service
let host: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-story-'))
  clone = join(directory, 'weir')
  await must('git', ['clone', '--quiet', resolve(import.meta.dirname, '../..'), clone])
  await must('npm', ['ci'], { cwd: clone, timeoutMs: 300_000 })
  registry = await startDockerRegistry(directory)
  await registry.put('lib/app', v1, 'v1')
  engine = await startDockerEngine(directory)
  const port = await freePort()
  const tlsPort = await freePort()
  host = `localhost:${port}`
  await writeFile(join(clone, 'weir.yaml'), `upstreams: [{ host: "${registry.host}", insecure: true }]\n`)
  weir = await startService('npm', ['start'], {
    cwd: clone,
    // The README uses the default ports; a test takes free ones.
    env: {
      WEIR_LISTEN: `127.0.0.1:${port}`,
      WEIR_PUBLIC_URL: `http://${host}`,
      WEIR_TLS_LISTEN: `127.0.0.1:${tlsPort}`,
      WEIR_TLS_PUBLIC_URL: `https://localhost:${tlsPort}`,
    },
    logFile: join(directory, 'weir.log'),
    ready: () => answers(`http://127.0.0.1:${port}/readyz`),
  })
}, 600_000)

afterAll(async () => {
  await weir?.stop()
  await engine?.stop()
  await registry?.stop()
  if (directory !== undefined) await rm(directory, { recursive: true, force: true })
}, 120_000)

const npx = (...args: string[]): Promise<string> =>
  must('npx', ['weir', ...args], { cwd: clone, env: { KUBECONFIG: 'data/admin.kubeconfig' } })

async function pulledDigest(): Promise<string | undefined> {
  await engine.docker(['image', 'prune', '--all', '--force'])
  const pulled = await engine.docker(['pull', `${host}/demo/app:prod`])
  expect(pulled.code, pulled.stderr).toBe(0)
  return /Digest: (sha256:[a-f0-9]{64})/.exec(pulled.stdout)?.[1]
}

test('the story of the README holds from end to end', async () => {
  await npx('new-project', 'demo')
  await npx('import-image', 'demo/app:prod', '--from', `${registry.host}/lib/app:v1`)
  const token = await npx('token', 'ci', '-n', 'demo')
  expect(token.trim().split(/\s+/)).toHaveLength(1)
  await npx('grant', 'pull', 'serviceaccount:ci', '-n', 'demo')
  const login = await engine.docker(['login', host, '-u', 'ci', '-p', token.trim()])
  expect(login.code, login.stderr).toBe(0)
  expect(await pulledDigest()).toBe(v1.manifest.digest)

  await registry.put('lib/app', v2, 'v1')
  expect(await pulledDigest(), 'the upstream moved, the pin did not').toBe(v1.manifest.digest)

  await npx('import-image', 'demo/app:prod')
  expect(await pulledDigest(), 'accepted by hand').toBe(v2.manifest.digest)

  const before = JSON.parse(await npx('history', 'demo/app:prod', '-o', 'json')) as {
    items: { revision: number; image: string; cause: Record<string, unknown> }[]
  }
  expect(before.items.map(({ revision, image }) => [revision, image])).toEqual([
    [2, v2.manifest.digest],
    [1, v1.manifest.digest],
  ])

  await npx('rollback', 'demo/app:prod', '--reason', 'bad build')
  expect(await pulledDigest(), 'rolled back, nothing pushed').toBe(v1.manifest.digest)

  const history = await npx('history', 'demo/app:prod')
  expect(history).toContain('bad build')
  const after = JSON.parse(await npx('history', 'demo/app:prod', '-o', 'json')) as typeof before
  expect(after.items[0]).toMatchObject({
    revision: 3,
    image: v1.manifest.digest,
    cause: { kind: 'rollback', reason: 'bad build', restoredRevision: 1 },
  })

  const refused = await run('npx', ['weir', 'import-image', 'demo/app:prod'], {
    cwd: clone,
    env: { KUBECONFIG: 'data/admin.kubeconfig' },
  })
  expect(refused.code, 'held until resumed').toBe(1)
  expect(refused.stderr).toContain('weir resume')
  await npx('resume', 'demo/app:prod')
  expect(await pulledDigest(), 'resume checks the source at once').toBe(v2.manifest.digest)
}, 300_000)

test('no secret is in the log', async () => {
  const log = await readFile(join(directory, 'weir.log'), 'utf8')
  const kubeconfig = await readFile(join(clone, 'data/admin.kubeconfig'), 'utf8')
  const secret = /token: (\S+)/.exec(kubeconfig)?.[1]
  expect(secret).toBeDefined()
  expect(log).not.toContain(secret)
  expect(log).not.toMatch(/eyJ[A-Za-z0-9_-]{10,}\./)
})

test('stopping npm start stops Weir', async () => {
  await weir.stop()
  await expect.poll(() => answers(`http://${host}/readyz`).catch(() => 'gone'), { timeout: 15_000 }).toBe('gone')
  expect(await readFile(join(directory, 'weir.log'), 'utf8')).toContain('weir is stopping')
})
