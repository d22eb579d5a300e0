import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { temporaryDirectory } from './support/directory.ts'

const main = fileURLToPath(new URL('../src/main.js', import.meta.url))

/** One data directory, and processes on it. */
async function world() {
  const data = join(await temporaryDirectory(), 'data')
  const started = new Set<ChildProcess>()
  onTestFinished(() => {
    for (const child of started) child.kill('SIGKILL')
  })

  function run(...argv: string[]) {
    const env = { PATH: process.env.PATH ?? '', WEIR_TLS_LISTEN: '127.0.0.1:0', WEIR_LISTEN: '127.0.0.1:0' }
    const child = spawn(process.execPath, [main, ...argv, '--data', data], { env })
    started.add(child)
    const output = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (text) => {
        output[name] += text
      })
    }
    const exited = once(child, 'close').then(([code]) => code as number | null)
    return { child, output, exited }
  }

  /** A server that answers, with requests of its admin. */
  async function serve(...argv: string[]) {
    const running = run('serve', ...argv)
    await expect.poll(() => running.output.stdout, { timeout: 20_000, interval: 5 }).toContain('weir is ready')
    const line = running.output.stdout.split('\n').find((text) => text.includes('weir is ready')) ?? ''
    const { port } = JSON.parse(line).http
    const kubeconfig = parse(await readFile(join(data, 'admin.kubeconfig'), 'utf8'))
    const authorization = `Bearer ${kubeconfig.users[0].user.token}`
    const api = async (method: string, path: string, body?: unknown) => {
      const sent = { method, headers: { authorization, 'content-type': 'application/json' } }
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
        ...sent,
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
      return { status: answer.status, body: await answer.json() }
    }
    const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
      running.child.kill(signal)
      await running.exited
    }
    return { ...running, api, end }
  }

  return { data, run, serve, key: join(data, 'secret.key') }
}

type Api = Awaited<ReturnType<Awaited<ReturnType<typeof world>>['serve']>>['api']

const secrets = '/api/v1/namespaces/demo/secrets'
const wanted = Array.from({ length: 60 }, (_, i) => Buffer.from(`value-${i}`).toString('base64'))

async function fill(api: Api): Promise<void> {
  await api('POST', '/apis/project.openshift.io/v1/projectrequests', { metadata: { name: 'demo' } })
  for (const [i, a] of wanted.entries()) {
    const made = await api('POST', secrets, { metadata: { name: `s${String(i).padStart(2, '0')}` }, data: { a } })
    expect(made.status).toBe(201)
  }
}

async function values(api: Api): Promise<unknown[]> {
  const { items } = (await api('GET', secrets)).body as { items: { data: { a: string } }[] }
  return items.map(({ data }) => data.a)
}

test('weir rotate-secret-key beside a server that runs, and a restart: everything is sealed anew', async () => {
  const { run, serve, key } = await world()
  const first = await serve()
  await fill(first.api)
  const old = await readFile(key)
  const rotate = run('rotate-secret-key')
  expect(await rotate.exited).toBe(0)
  expect(rotate.output.stderr).toContain('restart weir serve')
  expect((await stat(`${key}.next`)).mode & 0o777).toBe(0o600)
  const again = run('rotate-secret-key')
  expect([await again.exited, again.output.stderr]).toEqual([
    1,
    expect.stringMatching(/^weir: a new key is in [^\n]*\n$/),
  ])
  const token = await first.api('POST', '/api/v1/namespaces/demo/serviceaccounts', { metadata: { name: 'ci' } })
  expect([token.status, await values(first.api)]).toEqual([201, wanted])
  await first.end('SIGTERM')

  const second = await serve()
  expect(await values(second.api)).toEqual(wanted)
  await expect.poll(() => second.output.stdout, { timeout: 20_000 }).toContain('sealed with the newest secret key')
  const kept = await readFile(key)
  expect([kept.length, kept.equals(old)]).toEqual([32, false])
  expect(await values(second.api)).toEqual(wanted)
  await second.end('SIGTERM')
  await writeFile(key, old)
  const refused = run('serve')
  expect(await refused.exited).toBe(1)
  // The key that signs was sealed with the old key, and is not any more.
  expect(refused.output.stderr).toMatch(/^weir: \S+secret\.key does not open 61 of 61 sealed records [^\n]*\n$/)
})

test('a server killed at any point of a rotation loses nothing', async () => {
  const { data, run, serve, key } = await world()
  const first = await serve()
  await fill(first.api)
  await first.end('SIGTERM')
  const size = async () => (await readFile(key)).length
  const moments: ((output: { stdout: string }) => Promise<boolean>)[] = [
    async () => true,
    async () => (await size()) > 32,
    async () => !(await readdir(data)).includes('secret.key.next'),
    async ({ stdout }) => stdout.includes('weir is ready'),
    async () => (await size()) === 32,
  ]
  for (const isThere of moments) {
    await run('rotate-secret-key').exited
    const { child, exited, output } = run('serve')
    await expect.poll(() => isThere(output), { timeout: 20_000, interval: 1 }).toBe(true)
    child.kill('SIGKILL')
    await exited
    expect(output.stderr).toBe('')
  }
  const ready = await serve()
  await ready.end('SIGKILL')
  const last = await serve()
  expect(await values(last.api)).toEqual(wanted)
  await expect.poll(size, { timeout: 20_000 }).toBe(32)
  expect(await values(last.api)).toEqual(wanted)
  await last.end('SIGTERM')
  expect(await readdir(data)).not.toContain('secret.key.next')
})

test('serve without its key is refused in one line, and goes on with the key or without the secrets', async () => {
  const { run, serve, key } = await world()
  const first = await serve()
  await fill(first.api)
  await first.end('SIGTERM')
  await copyFile(key, `${key}.backup`)
  await rm(key)
  const refused = run('serve')
  expect(await refused.exited).toBe(1)
  expect(refused.output.stderr).toMatch(
    /^weir: \S+secret\.key is missing, and seals 61 of 61 sealed records [^\n]*--discard-unreadable-secrets once\n$/,
  )
  await expect(stat(key)).rejects.toThrow('ENOENT')

  await copyFile(`${key}.backup`, key)
  const restored = await serve()
  expect(await values(restored.api)).toEqual(wanted)
  await restored.end('SIGTERM')

  await rm(key)
  const discarding = await serve('--discard-unreadable-secrets')
  expect(await values(discarding.api)).toEqual([])
  expect(discarding.output.stdout.match(/"the secret demo\/s\d\d"/g)).toHaveLength(60)
  await discarding.end('SIGTERM')
  await (await serve()).end('SIGTERM')
})

test('weir rotate-secret-key without a server’s data, or misused, says so', async () => {
  const { run } = await world()
  const none = run('rotate-secret-key')
  expect([await none.exited, none.output.stderr]).toEqual([1, expect.stringMatching(/^weir: there is no [^\n]*\n$/)])
  const misused = run('rotate-secret-key', '--nonsense')
  expect([await misused.exited, misused.output.stderr]).toEqual([2, expect.stringMatching(/^weir: [^\n]*--help\n$/)])
})
