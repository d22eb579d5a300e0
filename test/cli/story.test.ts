import { describe, expect, test } from 'vitest'
import { story } from './story-world.ts'

test('the story: project, import, token, grant, import again, history, rollback, resume', async () => {
  const { weir, publish, from, clock, authorizer, authenticator } = await story()
  const first = publish('one')

  expect(await weir(['new-project', 'shop'])).toEqual({ code: 0, stdout: 'project shop created\n', stderr: '' })
  expect(await weir(['import-image', 'shop/app:prod', '--from', from])).toEqual({
    code: 0,
    stdout: `shop/app:prod  none -> ${first}  revision 1\n`,
    stderr: '',
  })

  const token = await weir(['token', 'ci', '-n', 'shop'])
  expect(token.stderr).toBe('service account shop/ci created\n')
  expect(token.stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)
  const robot = token.stdout.trim()
  expect(await weir(['whoami'], robot)).toMatchObject({ stdout: 'system:serviceaccount:shop:ci\n' })
  const subject = await authenticator.authenticate({
    user: '',
    secret: robot,
    client: { address: '', userAgent: '' },
  })
  const mayPull = () =>
    authorizer.can(subject ?? expect.unreachable(), 'get', 'image.openshift.io', 'imagestreams/layers', 'app', 'shop')
  expect(mayPull()).toBe(false)
  expect(await weir(['grant', 'pull', 'serviceaccount:ci', '-n', 'shop'])).toMatchObject({ code: 0, stderr: '' })
  expect(mayPull()).toBe(true)

  expect((await weir(['import-image', 'shop/app:prod'])).stdout).toBe(`shop/app:prod  ${first}  unchanged\n`)
  clock.advance(60_000)
  const second = publish('two')
  expect((await weir(['import-image', 'shop/app:prod', '--reason', 'release'])).stdout).toBe(
    `shop/app:prod  ${first} -> ${second}  revision 2\n`,
  )
  clock.advance(60_000)
  expect((await weir(['rollback', 'shop/app:prod', '--reason', 'bad build'])).stdout).toBe(
    `shop/app:prod  ${second} -> ${first}  revision 3, that of revision 1; held until \`weir resume shop/app:prod\`\n`,
  )
  const history = await weir(['history', 'shop/app:prod'])
  expect(history.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['REVISION', 'WHEN', 'DIGEST', 'CAUSE', 'BY', 'FROM', 'REASON'],
    ['3*', '2026-01-01T00:02:00Z', first.slice(0, 19), 'rollback to 1', 'weir:admin', expect.anything(), 'bad build'],
    ['2', '2026-01-01T00:01:00Z', second.slice(0, 19), 'import', 'weir:admin', from, 'release'],
    ['1', '2026-01-01T00:00:00Z', first.slice(0, 19), 'import', 'weir:admin', from],
    ['held since 2026-01-01T00:02:00Z by weir:admin (bad build); weir resume shop/app:prod ends it'],
    [''],
  ])
  expect((await weir(['get', 'tags', '-n', 'shop'])).stdout).toMatch(/^shop\/app:prod .* held$/m)

  const held = 'shop/app:prod is held at revision 3 since 2026-01-01T00:02:00Z by weir:admin (bad build)'
  expect(await weir(['import-image', 'shop/app:prod'])).toEqual({
    code: 1,
    stdout: '',
    stderr: `error: ${held}; to let it move again: weir resume shop/app:prod\n  shop/app:prod stays at ${first}\n`,
  })

  expect((await weir(['resume', 'shop/app:prod'])).stdout).toBe(
    `shop/app:prod  ${second}  revision 4; no longer held\n`,
  )
  expect(await weir(['resume', 'shop/app:prod'])).toMatchObject({ code: 1, stdout: '' })
  expect((await weir(['rollback', 'shop/app:prod', '--to', '1'])).stdout).toContain(`-> ${first}  revision 5`)
  expect((await weir(['rollback', 'shop/app:prod', '--to', second])).stdout).toContain(`-> ${second}  revision 6`)
  expect((await weir(['history', 'shop/app:prod', '-o', 'name'])).stdout).toBe(
    [6, 5, 4, 3, 2, 1].map((revision) => `app.prod.${revision}\n`).join(''),
  )
  expect((await weir(['get', 'streams', '-o', 'name'])).stdout).toBe('shop/app\n')
})

test('grants are given once, and taken back', async () => {
  const { weir, authorizer } = await story()
  const mayPull = (name: string, stream = 'app') =>
    authorizer.can({ name, groups: [] }, 'get', 'image.openshift.io', 'imagestreams/layers', stream, 'demo')
  const demo = ['-n', 'demo']
  expect((await weir(['grant', 'pull', 'jane', ...demo])).stdout).toContain('granted: ')
  expect((await weir(['grant', 'pull', 'jane', ...demo])).stdout).toContain('granted already: ')
  expect([mayPull('jane'), mayPull('joe')]).toEqual([true, false])
  expect(await weir(['revoke', 'pull', 'jane', ...demo])).toMatchObject({ code: 0 })
  expect(mayPull('jane')).toBe(false)
  expect(await weir(['revoke', 'pull', 'jane', ...demo])).toMatchObject({ code: 1 })

  expect(await weir(['grant', 'pull', 'jane', '--stream', 'app', ...demo])).toMatchObject({ code: 0 })
  expect(await weir(['grant', 'pull', 'joe', '--stream', 'app', ...demo])).toMatchObject({ code: 0 })
  expect([mayPull('jane'), mayPull('joe'), mayPull('jane', 'other')]).toEqual([true, true, false])
  expect(await weir(['revoke', 'pull', 'jane', '--stream', 'app', ...demo])).toMatchObject({ code: 0 })
  expect([mayPull('jane'), mayPull('joe')]).toEqual([false, true])

  expect(await weir(['grant', 'pull', 'anonymous', ...demo])).toMatchObject({ code: 0 })
  expect(mayPull('anybody', 'other')).toBe(true)
  const unknown = await weir(['grant', 'pul', 'jane', ...demo])
  expect(unknown).toMatchObject({ code: 1, stdout: '' })
  expect(unknown.stderr).toContain('system:image-puller')
})

test('a right that the caller lacks can be given as the message says', async () => {
  const { weir, robot, publish, from } = await story()
  publish('one')
  const ci = await robot('ci')
  const importing = ['import-image', 'demo/app:prod', '--from', from]
  const denied = await weir(importing, ci)
  expect(denied.code).toBe(1)
  const [, granting] = /can give it: weir (.*)/.exec(denied.stderr) ?? []
  expect(granting).toBe('grant registry-viewer serviceaccount:demo/ci -n demo')
  expect(await weir(granting?.split(' ') ?? [])).toMatchObject({ code: 0 })
  const again = await weir(importing, ci)
  const [, second] = /can give it: weir (.*)/.exec(again.stderr) ?? []
  expect(second).toBe('grant registry-editor serviceaccount:demo/ci -n demo')
  expect(await weir(second?.split(' ') ?? [])).toMatchObject({ code: 0 })
  expect(await weir(importing, ci)).toMatchObject({ code: 0, stderr: '' })
})

describe('what the server says is passed on', () => {
  test('a token that is nobody’s', async () => {
    const { weir } = await story()
    const result = await weir(['get', 'streams', '-n', 'demo'], 'nobody')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('not, or no longer, good')
  })

  test('no token', async () => {
    const { weir } = await story()
    const result = await weir(['get', 'streams', '-n', 'demo'], '')
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('you are not logged in')
    expect(await weir(['whoami'], '')).toMatchObject({ stdout: 'system:anonymous\n' })
  })

  test('a project that is not there', async () => {
    const { weir, from } = await story()
    for (const argv of [
      ['import-image', 'none/app:prod', '--from', from],
      ['token', 'ci', '-n', 'none'],
      ['grant', 'pull', 'jane', '-n', 'none'],
    ]) {
      const result = await weir(argv)
      expect(result).toMatchObject({ code: 1, stdout: '' })
      expect(result.stderr.match(/weir new-project none/g)).toHaveLength(1)
    }
  })

  test('an upstream that is not allowed, with those that are', async () => {
    const { weir } = await story()
    const result = await weir(['import-image', 'demo/app:prod', '--from', 'evil.example.com/a/b'])
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('NotAllowed')
    expect(result.stderr).toContain('evil.example.com')
  })

  test('an upstream that has no such image: the tag stays', async () => {
    const { weir, publish, from, registry } = await story()
    const digest = publish('one')
    await weir(['import-image', 'demo/app:prod', '--from', from])
    const result = await weir(['import-image', 'demo/app:prod', '--from', `${registry.host}/lib/none:v1`])
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('NotFound')
    expect(result.stderr).toContain(`demo/app:prod stays at ${digest}`)
  })

  test('a rollback with nothing to go back to', async () => {
    const { weir, publish, from } = await story()
    publish('one')
    await weir(['import-image', 'demo/app:prod', '--from', from])
    for (const to of [[], ['--to', '7'], ['--to', `sha256:${'0'.repeat(64)}`]]) {
      expect(await weir(['rollback', 'demo/app:prod', ...to])).toMatchObject({ code: 1, stdout: '' })
    }
    expect(await weir(['rollback', 'demo/none:prod'])).toMatchObject({ code: 1, stdout: '' })
  })

  test('a stream of 120 tags is imported whole by --all', async () => {
    const { weir, publish, from, importImage } = await story()
    const digest = publish('one')
    for (let i = 0; i < 120; i++) await importImage('app', `t${i}`, from)
    const result = await weir(['import-image', 'demo/app', '--all'])
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout.trim().split('\n')).toHaveLength(120)
    expect(result.stdout).toContain(`demo/app:t119  ${digest}  unchanged\n`)
    expect((await weir(['get', 'tags', '-n', 'demo', '-o', 'name'])).stdout.trim().split('\n')).toHaveLength(120)
  })
})
