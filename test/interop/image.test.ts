/**
 * The Dockerfile's steps, run in a clean folder instead of a container (no base image can be had where the tests run):
 * each instruction is taken from the Dockerfile itself, with the folder in front of its absolute paths.
 */
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { answers, freePort, must, run, type Service, startService } from './support/process.ts'

interface Instruction {
  name: string
  rest: string
}

const context = resolve(import.meta.dirname, '../..')
const path = `${dirname(process.execPath)}:${process.env.PATH ?? ''}`

let root: string
let workdir: string
let instructions: Instruction[]
let weir: Service
let port: number
const environment: Record<string, string> = {}

/** The image's absolute paths, moved below the clean folder. */
function moved(text: string): string {
  return text.replace(/\/(?:opt|var|usr)\/[\w./-]*/g, (absolute) => join(root, absolute))
}

function parseDockerfile(text: string): Instruction[] {
  const lines = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
  return lines
    .filter((line) => line.trim() !== '')
    .map((line) => ({ name: line.slice(0, line.indexOf(' ')), rest: line.slice(line.indexOf(' ') + 1).trim() }))
}

async function copy(rest: string): Promise<void> {
  const parts = rest.split(/\s+/)
  const target = join(workdir, parts.at(-1) ?? '')
  for (const source of parts.slice(0, -1)) {
    await cp(join(context, source), parts.at(-1)?.endsWith('/') === true ? join(target, source) : target, {
      recursive: true,
    })
  }
}

async function build(): Promise<void> {
  for (const { name, rest } of instructions) {
    if (name === 'ENV')
      for (const [, key, value] of rest.matchAll(/(\w+)=(\S+)/g)) environment[key ?? ''] = moved(value ?? '')
    if (name === 'WORKDIR') {
      workdir = moved(rest)
      await mkdir(workdir, { recursive: true })
    }
    if (name === 'COPY') await copy(rest)
    if (name === 'RUN')
      await must('sh', ['-ec', moved(rest)], { cwd: workdir, env: { PATH: path }, timeoutMs: 300_000 })
  }
}

function jsonOf(name: string): string[] {
  const rest = instructions.find((instruction) => instruction.name === name)?.rest ?? ''
  return JSON.parse(rest.slice(rest.indexOf('['))) as string[]
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weir-image-'))
  await chmod(root, 0o755)
  await mkdir(join(root, 'usr/local/bin'), { recursive: true })
  await mkdir(join(root, 'var/lib'), { recursive: true })
  instructions = parseDockerfile(await readFile(join(context, 'Dockerfile'), 'utf8'))
  await build()
  port = await freePort()
  const [command = '', ...args] = jsonOf('CMD')
  const user = instructions.find(({ name }) => name === 'USER')?.rest ?? ''
  const [uid = '', gid = ''] = user.split(':')
  const env = {
    ...environment,
    PATH: path,
    WEIR_LISTEN: `127.0.0.1:${port}`,
    WEIR_TLS_LISTEN: `127.0.0.1:${await freePort()}`,
  }
  weir = await startService('setpriv', ['--reuid', uid, '--regid', gid, '--clear-groups', command, ...args], {
    cwd: workdir,
    env,
    logFile: join(root, 'weir.log'),
    ready: () => answers(`http://127.0.0.1:${port}/readyz`),
  })
}, 600_000)

afterAll(async () => {
  await weir?.stop()
  if (root !== undefined) await rm(root, { recursive: true, force: true })
})

test('the image has production dependencies alone', async () => {
  const installed = await readdir(join(workdir, 'node_modules'))
  expect(installed).toContain('hono')
  for (const development of ['vitest', 'typescript', 'node', 'fast-check', '@biomejs'])
    expect(installed).not.toContain(development)
})

test('the image runs as somebody who is not root and may write its data alone', async () => {
  const status = await readFile(`/proc/${weir.pid}/status`, 'utf8')
  expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).toBe('1000')
  const data = environment.WEIR_DATA ?? ''
  expect((await stat(data)).mode & 0o777).toBe(0o700)
  expect((await stat(join(data, 'admin.kubeconfig'))).mode & 0o777).toBe(0o600)
})

test('the health check succeeds while Weir runs and fails when it does not', async () => {
  const [command = '', ...args] = jsonOf('HEALTHCHECK').map((part) =>
    part.replace('127.0.0.1:5000', `127.0.0.1:${port}`),
  )
  expect((await run(command, args, { env: { PATH: path } })).code).toBe(0)
  await weir.stop()
  expect((await run(command, args, { env: { PATH: path } })).code).toBe(1)
})
