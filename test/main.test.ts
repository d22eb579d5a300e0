import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, readdir, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from './support/directory.ts'

const main = fileURLToPath(new URL('../src/main.js', import.meta.url))

interface Running {
  process: ChildProcessWithoutNullStreams
  output: { stdout: string; stderr: string }
  exited: Promise<number | null>
}

async function run(argv: string[], env: Record<string, string> = {}, cwd?: string): Promise<Running> {
  const started = spawn(process.execPath, [main, ...argv], {
    cwd: cwd ?? (await temporaryDirectory()),
    env: { PATH: process.env.PATH ?? '', WEIR_TLS_LISTEN: '127.0.0.1:0', ...env },
  })
  onTestFinished(() => void started.kill('SIGKILL'))
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    started[name].on('data', (text) => {
      output[name] += text
    })
  }
  const exited = once(started, 'close').then(([code]) => code as number | null)
  return { process: started, output, exited }
}

async function ready(argv: string[], env?: Record<string, string>): Promise<Running & { port: number }> {
  const running = await run(['serve', '--listen', '127.0.0.1:0', ...argv], env)
  await expect.poll(() => running.output.stdout, { timeout: 20_000 }).toContain('weir is ready')
  const line = running.output.stdout.split('\n').find((text) => text.includes('weir is ready')) ?? ''
  return { ...running, port: JSON.parse(line).http.port }
}

test('the executable can be executed', async () => {
  await access(main, constants.X_OK)
})

test('serve answers, logs JSON alone, and ends with 0 on SIGTERM', async () => {
  const { port, process: started, exited, output } = await ready([])
  expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200)
  started.kill('SIGTERM')
  expect(await exited).toBe(0)
  for (const line of output.stdout.trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
  expect(output.stderr).toBe('')
})

test('what serve keeps is readable by its user alone', async () => {
  const data = join(await temporaryDirectory(), 'data')
  await ready(['--data', data])
  for (const entry of await readdir(data, { withFileTypes: true })) {
    expect([entry.name, (await stat(join(data, entry.name))).mode & 0o077]).toEqual([entry.name, 0])
  }
})

test('SIGINT ends it too, while a connection is kept alive', async () => {
  const { port, process: started, exited } = await ready([])
  await (await fetch(`http://127.0.0.1:${port}/livez`, { keepalive: true })).text()
  started.kill('SIGINT')
  expect(await exited).toBe(0)
})

test('a signal in the middle of the start ends it cleanly too', async () => {
  const data = join(await temporaryDirectory(), 'data')
  const { process: started, exited, output } = await run(['serve', '--listen', '127.0.0.1:0', '--data', data])
  // The store is there before anything else, and nothing answers yet.
  await expect.poll(() => readdir(data).catch(() => []), { timeout: 20_000, interval: 2 }).toContain('store')
  started.kill('SIGTERM')
  expect(await exited).toBe(0)
  expect(output.stdout).toContain('weir is stopping')
})

test('a data directory whose content can not be kept ends it with 1 and one line', async () => {
  const data = await temporaryDirectory()
  await writeFile(join(data, 'content'), '')
  const { exited, output } = await run(['serve', '--listen', '127.0.0.1:0', '--data', data])
  expect(await exited).toBe(1)
  expect(output.stderr).toMatch(/^weir: the data directory [^\n]* can not be used: [^\n]*\n$/)
})

test('a secret key that is none ends it with 1 and one line', async () => {
  const data = await temporaryDirectory()
  await writeFile(join(data, 'secret.key'), 'short', { mode: 0o600 })
  const { exited, output } = await run(['serve', '--listen', '127.0.0.1:0', '--data', data])
  expect(await exited).toBe(1)
  expect(output.stderr).toMatch(/^weir: \S*secret\.key holds 5 bytes[^\n]*\n$/)
})

test('a second serve on the same data directory ends with 1 and one line', async () => {
  const data = join(await temporaryDirectory(), 'data')
  await ready(['--data', data])
  const { exited, output } = await run(['serve', '--listen', '127.0.0.1:0', '--data', data])
  expect(await exited).toBe(1)
  expect(output).toEqual({ stdout: '', stderr: `weir: another Weir is running on the data directory ${data}\n` })
})

test('a port in use ends it with 1 and one line', async () => {
  const other = createServer()
  onTestFinished(() => void other.close())
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as AddressInfo
  const { exited, output } = await run(['serve', '--listen', `127.0.0.1:${port}`])
  expect(await exited).toBe(1)
  expect(output.stderr).toBe(
    `weir: listen: 127.0.0.1:${port} can not be listened on: the port is in use; stop what uses it or choose another\n`,
  )
})

test('a data directory that can not be used ends it with 1 and one line', async () => {
  const file = join(await temporaryDirectory(), 'file')
  await writeFile(file, '')
  const { exited, output } = await run(['serve', '--listen', '127.0.0.1:0', '--data', file])
  expect(await exited).toBe(1)
  expect(output.stderr).toMatch(/^weir: the data directory .*file can not be used: EEXIST[^\n]*\n$/)
})

test('every problem of the config is a line, and ends it with 1', async () => {
  const file = join(await temporaryDirectory(), 'weir.yaml')
  await writeFile(file, 'lissten: x\nlog: { level: loud }\n')
  const { exited, output } = await run(['serve'], { WEIR_CONFIG: file })
  expect(await exited).toBe(1)
  expect(output.stderr.split('\n').map((line) => line.split(':', 2).join(':'))).toEqual([
    'weir: log.level',
    'weir: lissten',
    '',
  ])
})

test('a config that is not there ends it with 1 and one line', async () => {
  const { exited, output } = await run(['serve', '--config', '/nowhere.yaml'])
  expect(await exited).toBe(1)
  expect(output.stderr).toBe('weir: /nowhere.yaml: cannot be read (ENOENT)\n')
})

test.each([[['--nonsense']], [['extra']], [['--data']]])('serve %j is misuse: exit code 2', async (argv) => {
  const { exited, output } = await run(['serve', ...argv])
  expect(await exited).toBe(2)
  expect(output.stderr).toMatch(/^weir: [^\n]*; see weir serve --help\n$/)
})

test('./weir.yaml is read when it is there', async () => {
  const directory = await temporaryDirectory()
  await writeFile(join(directory, 'weir.yaml'), 'lissten: x\n')
  const { exited, output } = await run(['serve'], {}, directory)
  expect(await exited).toBe(1)
  expect(output.stderr).toMatch(/^weir: lissten: /)
})

test('the help of serve, and every other verb, come from the command line', async () => {
  const help = await run(['serve', '--help'])
  expect(await help.exited).toBe(0)
  expect(help.output.stdout).toContain('weir serve')
  const whoami = await run(['whoami'], { HOME: '/nowhere' })
  expect(await whoami.exited).toBe(1)
  expect(whoami.output.stderr).toContain('npm start')
})
