import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/directory.ts'
import { type CliResult, run } from './run.ts'

const homeServer = 'http://127.0.0.1:1'

/** A folder with `data/`, in a home whose kubeconfig names a server where nothing answers. */
async function place(): Promise<{ cwd: string; home: string; file: string }> {
  const root = await temporaryDirectory()
  const cwd = join(root, 'work')
  const home = join(root, 'home')
  await mkdir(join(cwd, 'data'), { recursive: true })
  await mkdir(join(home, '.kube'), { recursive: true })
  const config = {
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'a' } }],
    clusters: [{ name: 'a', cluster: { server: homeServer } }],
  }
  await writeFile(join(home, '.kube/config'), JSON.stringify(config))
  for (const folder of [root, home, join(home, '.kube')]) await chmod(folder, 0o755)
  return { cwd, home, file: join(cwd, 'data/admin.kubeconfig') }
}

/** Does `work` without the superuser's right to read everything. */
async function asNobody(work: () => Promise<CliResult>): Promise<CliResult> {
  if (process.geteuid?.() !== 0) return work()
  process.seteuid?.(65_534)
  try {
    return await work()
  } finally {
    process.seteuid?.(0)
  }
}

function refused(why: string): CliResult {
  return { code: 1, stdout: '', stderr: `error: can not read data/admin.kubeconfig: ${why}\n` }
}

/** Finds the file by each of its ways: as the default, by KUBECONFIG, by --kubeconfig. */
async function found(cwd: string, home: string): Promise<CliResult[]> {
  const name = 'data/admin.kubeconfig'
  return [
    await asNobody(() => run(['whoami'], { cwd, home })),
    await asNobody(() => run(['whoami'], { cwd, home, env: { KUBECONFIG: `missing:${name}` } })),
    await asNobody(() => run(['whoami', '--kubeconfig', name], { cwd, home })),
  ]
}

describe('a kubeconfig that is there and can not be read is not taken for a missing one', () => {
  test('when it is somebody else’s', async () => {
    const { cwd, home, file } = await place()
    await writeFile(file, '')
    await chmod(file, 0o000)
    for (const result of await found(cwd, home)) expect(result).toEqual(refused('permission denied'))
  })

  test('when its folder is somebody else’s', async () => {
    const { cwd, home, file } = await place()
    await writeFile(file, '')
    await chmod(join(cwd, 'data'), 0o000)
    for (const result of await found(cwd, home)) expect(result).toEqual(refused('permission denied'))
  })

  test('when it is a folder', async () => {
    const { cwd, home, file } = await place()
    await mkdir(file)
    for (const result of await found(cwd, home)) expect(result).toEqual(refused('it is a directory'))
  })

  test('when it leads in a circle', async () => {
    const { cwd, home, file } = await place()
    await symlink('admin.kubeconfig', file)
    for (const result of await found(cwd, home)) expect(result).toEqual(refused('ELOOP'))
  })
})

test('a file where the folder would be is a missing kubeconfig: the next one counts', async () => {
  const { cwd, home } = await place()
  const result = await run(['whoami', '--kubeconfig', 'file/admin.kubeconfig'], { cwd, home })
  expect(result.stderr).toContain('there is no such file')
  await writeFile(join(cwd, 'file'), '')
  const notFolder = await run(['whoami', '--kubeconfig', 'file/admin.kubeconfig'], { cwd, home })
  expect(notFolder.stderr).toContain('there is no such file')
  const next = await run(['whoami'], { cwd: join(cwd, 'file'), home })
  expect(next.stderr).toContain(`nothing answers at ${homeServer}`)
})
