import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type CommandRun, runCommand } from '../../src/upstream/run-command.ts'

const node = process.execPath

function run(script: string, options: Partial<CommandRun> = {}) {
  return runCommand({
    command: [node, '-e', script],
    environment: {},
    stdin: '',
    timeoutMs: 60_000,
    maxBytes: 1024,
    signal: new AbortController().signal,
    ...options,
  })
}

/** Whether a process runs; one that has ended may still be listed where nobody waits for it. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

describe('a program', () => {
  test('reads what it is told, and its output is taken whole', async () => {
    const script = 'process.stdin.pipe(process.stdout); console.error("hm")'
    expect(await run(script, { stdin: 'quay.io' })).toEqual({ stdout: 'quay.io', stderr: 'hm\n', problem: undefined })
  })

  test('sees the environment it is given, and nothing of its parent', async () => {
    const { stdout } = await run('console.log(JSON.stringify(process.env))', { environment: { ONE: '1' } })
    expect(JSON.parse(stdout)).toEqual({ ONE: '1' })
  })

  test('has its arguments as they are: no shell reads them', async () => {
    const command = [node, '-e', 'console.log(process.argv[1])', '--', '$(id); echo `id` > /tmp/x']
    expect((await run('', { command })).stdout).toBe('$(id); echo `id` > /tmp/x\n')
  })

  test('that does not read what it is told does no harm', async () => {
    expect(await run('process.exit(0)', { stdin: 'x'.repeat(1024 * 1024) })).toMatchObject({ problem: undefined })
  })

  test.each([
    ['ends with another code', 'console.error("no"); process.exit(3)', {}, 'ended with 3'],
    ['is ended by a signal', 'process.kill(process.pid, "SIGTERM")', {}, 'was ended by SIGTERM'],
    ['is not there', '', { command: ['/nowhere/helper'] }, 'is not there'],
    ['is not in PATH', '', { command: ['docker-credential-nowhere', 'get'] }, 'is not there'],
    ['is no program', '', { command: ['/etc/passwd'] }, 'can not be run (EACCES)'],
    ['has a name that is none', '', { command: ['a\0b'] }, 'can not be run (ERR_INVALID_ARG_VALUE)'],
    ['takes too long', 'setInterval(() => 0, 1000)', { timeoutMs: 50 }, 'did not end within 0.05 s'],
    ['prints without end', 'setInterval(() => console.log("x".repeat(999)), 0)', {}, 'printed more than 1024 bytes'],
  ])('that %s has failed', async (_what, script, options, problem) => {
    expect(await run(script, options)).toMatchObject({ problem })
  })

  test('is told of 4 KiB of its complaints', async () => {
    const { stderr, problem } = await run('console.error("x".repeat(1e6))')
    expect([stderr.length, problem]).toEqual([4096, undefined])
  })

  test('that is ended takes along what it started', async () => {
    const script = `
      const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)'])
      console.log(child.pid)
      child.on('spawn', () => console.log('x'.repeat(2000)))
      setInterval(() => 0, 1000)`
    const { stdout, problem } = await run(script)
    const pid = Number.parseInt(stdout, 10)
    expect(pid).toBeGreaterThan(1)
    expect(problem).toBe('printed more than 1024 bytes')
    await expect.poll(() => runs(pid)).toBe(false)
  })

  test('that left something behind with its output open has ended all the same', async () => {
    const script = `
      const options = { stdio: 'inherit' }
      require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => 0, 1000)'], options).unref()
      console.log('done')`
    expect(await run(script)).toMatchObject({ stdout: 'done\n', problem: undefined })
  })

  test('is ended when Weir stops', async () => {
    const stopping = new AbortController()
    const running = run('setInterval(() => 0, 1000)', { signal: stopping.signal })
    stopping.abort()
    expect(await running).toMatchObject({ problem: 'was ended: Weir stops' })
    expect(await run('', { signal: stopping.signal })).toMatchObject({ problem: 'was not run: Weir stops' })
  })
})
