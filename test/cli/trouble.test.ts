/** What goes wrong, and what the command line says of it, before the real API over real parts. */
import { describe, expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { makeImage } from '../support/images.ts'
import { type Story, story } from './story-world.ts'

/** `demo/app:prod` rolled back from `second` to `first`. */
async function rolledBack(): Promise<Story & { first: string; second: string }> {
  const world = await story()
  const { weir, publish, from } = world
  const first = publish('one')
  await weir(['import-image', 'demo/app:prod', '--from', from])
  const second = publish('two')
  await weir(['import-image', 'demo/app:prod'])
  expect(await weir(['rollback', 'demo/app:prod'])).toMatchObject({ code: 0 })
  return { ...world, first, second }
}

describe('a resume', () => {
  test('of a tag whose source is gone says so, and that the tag stays', async () => {
    const { weir, registry, first, from } = await rolledBack()
    registry.untag('lib/app', 'v1')
    const result = await weir(['resume', 'demo/app:prod', '--reason', 'fixed'])
    expect(result).toMatchObject({
      code: 0,
      stdout: `demo/app:prod  ${first}  unchanged at revision 3; no longer held\n`,
    })
    expect(result.stderr).toContain(`note: demo/app:prod was not imported from ${from}: NotFound: `)
    expect(result.stderr).toContain(`  demo/app:prod stays at ${first}\n`)
    expect((await weir(['history', 'demo/app:prod'])).stdout).not.toContain('fixed')
  })

  test('of a tag whose source did not move either says that nothing moved', async () => {
    const { weir, publish, first } = await rolledBack()
    publish('one')
    expect(await weir(['resume', 'demo/app:prod'])).toEqual({
      code: 0,
      stdout: `demo/app:prod  ${first}  unchanged at revision 3; no longer held\n`,
      stderr: '',
    })
  })

  test('that moves the tag after one that failed says nothing of the failure', async () => {
    const { weir, registry, publish, second } = await rolledBack()
    registry.untag('lib/app', 'v1')
    await weir(['resume', 'demo/app:prod'])
    publish('two')
    await weir(['import-image', 'demo/app:prod'])
    await weir(['rollback', 'demo/app:prod', '--to', '1'])
    expect(await weir(['resume', 'demo/app:prod', '--reason', 'fixed'])).toEqual({
      code: 0,
      stdout: `demo/app:prod  ${second}  revision 6; no longer held\n`,
      stderr: '',
    })
    expect((await weir(['history', 'demo/app:prod'])).stdout).toContain('fixed')
  })
})

test('a tag whose first import failed is listed, with the reason', async () => {
  const { weir, publish, registry } = await story()
  publish('one')
  await weir(['import-image', 'demo/app:prod', '--from', `${registry.host}/lib/none:v1`])
  const row = /^demo\/app:prod +- +\S+\/lib\/none:v1 +- +failed \(NotFound\)$/m
  expect((await weir(['get', 'tags', '-n', 'demo'])).stdout).toMatch(row)
  expect((await weir(['get', 'tags'])).stdout).toMatch(row)
  expect((await weir(['get', 'tags', '-o', 'name'])).stdout).toBe('demo/app:prod\n')
  expect(JSON.parse((await weir(['get', 'tags', '-n', 'demo', '-o', 'json'])).stdout)).toMatchObject({ items: [] })
})

test('an image that its upstream deleted is told, and that pulls go on, until it is there again', async () => {
  const { weir, publish, registry } = await story()
  const image = publish('one')
  const source = ['--from', `${registry.host}/lib/app:v1`]
  await weir(['import-image', 'demo/app:prod', ...source])
  registry.remove(image as Digest)
  await weir(['import-image', 'demo/app:prod'])
  const told = `${registry.host} no longer has all of this image (${image.slice(0, 19)}); Weir serves what it holds of it\n`
  for (const named of ['demo/app', 'demo/app:prod']) {
    const { stdout } = await weir(['describe', named])
    expect(stdout).toMatch(/! import fails since .*: NotFound: /)
    expect(stdout).toMatch(/! gone upstream since /)
    expect(stdout).toContain(told)
    expect(stdout).toContain('pulls go on from revision 1\n')
  }
  expect((await weir(['get', 'tags', '-n', 'demo'])).stdout).toContain('failed (NotFound), gone upstream\n')
  publish('one')
  await weir(['import-image', 'demo/app:prod'])
  expect((await weir(['describe', 'demo/app:prod'])).stdout).not.toContain('gone upstream')
})

test('a project that is not there is not an empty one', async () => {
  const { weir } = await story()
  const stderr = 'error: project none not found; create it with: weir new-project none\n'
  for (const what of ['streams', 'tags']) {
    expect(await weir(['get', what, '-n', 'none'])).toEqual({ code: 1, stdout: '', stderr })
    expect(await weir(['get', what, '-n', 'demo'])).toMatchObject({ code: 0, stderr: `no ${what} in demo\n` })
  }
})

test('a tag that is to follow an image that is not there follows the one that it followed', async () => {
  const { weir, publish, registry, from } = await story()
  publish('one')
  await weir(['import-image', 'demo/app:prod', '--from', from])
  const none = `${registry.host}/lib/none:v1`
  const failed = await weir(['import-image', 'demo/app:prod', '--from', none])
  expect(failed.stderr).toContain(`demo/app:prod still follows ${from}\n`)
  expect(failed.stderr).not.toContain('now follows')
  expect(await weir(['import-image', 'demo/app:prod'])).toMatchObject({ code: 0, stderr: '' })

  registry.put('lib/app', makeImage('two'), { tag: 'v2' })
  const moved = await weir(['import-image', 'demo/app:prod', '--from', `${registry.host}/lib/app:v2`])
  expect(moved).toMatchObject({
    code: 0,
    stderr: `note: demo/app:prod now follows ${registry.host}/lib/app:v2 instead of ${from}\n`,
  })
})

describe('a tag that never was', () => {
  test.each([
    ['rollback', 'demo/none:prod'],
    ['rollback', 'demo/app:none'],
    ['rollback', 'demo/app:none', '--to', '1'],
    ['rollback', 'demo/app:none', '--to', 'aaaaaaa'],
    ['resume', 'demo/none:prod'],
    ['resume', 'demo/app:none'],
    ['history', 'demo/app:none'],
  ])('%s %s %s %s says that there is no such tag', async (...argv) => {
    const { weir } = await rolledBack()
    const result = await weir(argv.filter((word) => word !== undefined))
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain(
      `error: ${argv[1]} has no history: there is no such tag, or it never stood anywhere\n`,
    )
  })

  test('is told apart from a project that is not there', async () => {
    const { weir } = await story()
    for (const verb of ['rollback', 'resume', 'history']) {
      const result = await weir([verb, 'none/app:prod'])
      expect(result).toMatchObject({ code: 1, stdout: '' })
      expect(result.stderr).toContain('weir new-project none')
    }
  })
})

test('a rollback goes to a digest as the history shows it', async () => {
  const { weir, second } = await rolledBack()
  const history = await weir(['history', 'demo/app:prod'])
  const [short] = /sha256:\S+/.exec(history.stdout.split('\n')[2] ?? '') ?? []
  expect(short).toBe(second.slice(0, 19))
  expect((await weir(['rollback', 'demo/app:prod', '--to', short ?? ''])).stdout).toContain(`-> ${second}  revision 4`)
})

test('whoever administers a project is told which grant was made with --stream', async () => {
  const { weir, robot } = await story()
  const admin = await robot('boss', 'admin')
  const grant = ['grant', 'pull', 'jane', '--stream', 'app', '-n', 'demo']
  expect(await weir(grant, admin)).toMatchObject({ code: 0 })
  const result = await weir(['revoke', 'pull', 'jane', '-n', 'demo'], admin)
  expect(result).toMatchObject({ code: 1, stdout: '' })
  expect(result.stderr).toContain('jane has in demo: system:image-puller (granted with --stream app)\n')
})

test('names of projects are those of the server', async () => {
  const { weir } = await story()
  for (const name of ['a', 'a--b', '1', 'a'.repeat(63)]) {
    expect(await weir(['new-project', name])).toMatchObject({ code: 0, stdout: `project ${name} created\n` })
  }
})
