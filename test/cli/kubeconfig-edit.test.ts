import { execFileSync } from 'node:child_process'
import { lstat, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { type LoginEntry, removeLogin, requireRoom, writeLogin } from '../../src/cli/kubeconfig-edit.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { pausingClock } from './run.ts'

const entry: LoginEntry = {
  name: 'weir',
  server: 'https://weir.test',
  token: 'one',
  certificateAuthority: 'PEM',
  insecureSkipTlsVerify: false,
}

test('whatever else is in a kubeconfig is there after a login, and after the logout', async () => {
  const file = join(await temporaryDirectory(), 'config')
  const place = { file, shown: file }
  const name = fc.stringMatching(/^[a-z:./ -]{1,8}$/).filter((text) => text !== 'weir')
  const value = fc.dictionary(fc.constantFrom('server', 'token', 'cluster', 'user', 'exec', 'x'), fc.jsonValue(), {
    maxKeys: 3,
  })
  const list = (field: string) =>
    fc.array(
      name.chain((each) => value.map((of) => ({ name: each, [field]: of }))),
      { maxLength: 3 },
    )
  const config = fc.record(
    {
      apiVersion: fc.constant('v1'),
      kind: fc.constant('Config'),
      preferences: fc.jsonValue(),
      extensions: fc.jsonValue(),
      clusters: list('cluster'),
      users: list('user'),
      contexts: list('context'),
      'current-context': name,
    },
    { requiredKeys: ['apiVersion', 'kind'] },
  )
  const read = async () => parse(await readFile(file, 'utf8')) as Record<string, unknown[]>
  await fc.assert(
    fc.asyncProperty(config, fc.boolean(), async (before, isJson) => {
      // `-0` is no other number in YAML.
      const kept = JSON.parse(JSON.stringify(before))
      await writeFile(file, isJson ? JSON.stringify(kept) : stringify(kept))
      await writeLogin(place, entry, pausingClock())
      await writeLogin(place, { ...entry, token: 'two' }, pausingClock())
      const { clusters = [], users = [], contexts = [], 'current-context': current, ...rest } = await read()
      const { clusters: c = [], users: u = [], contexts: x = [], 'current-context': _, ...others } = kept
      expect(rest).toEqual(others)
      expect([clusters.slice(0, -1), users.slice(0, -1), contexts.slice(0, -1)]).toEqual([c, u, x])
      expect([clusters.at(-1), users.at(-1), contexts.at(-1), current]).toMatchObject([
        { name: 'weir', cluster: { server: 'https://weir.test', 'certificate-authority-data': 'UEVN' } },
        { name: 'weir', user: { token: 'two' } },
        { name: 'weir', context: { cluster: 'weir', user: 'weir' } },
        'weir',
      ])
      expect(await removeLogin(place, pausingClock())).toBe(true)
      const after = await read()
      expect(after.users?.slice(0, -1)).toEqual(u)
      expect(JSON.stringify(after)).not.toContain('"two"')
    }),
    { numRuns: 200 },
  )
})

test.each(['', '{}', 'current-context: a\n', 'current-context: a\ncontexts: [{ name: a }]\nusers: 7\n'])(
  'a logout from %j changes nothing',
  async (text) => {
    const file = join(await temporaryDirectory(), 'config')
    await writeFile(file, text)
    const removed = removeLogin({ file, shown: 'config' }, pausingClock())
    if (text.includes('users')) await expect(removed).rejects.toThrow('users is not a list')
    else expect(await removed).toBe(false)
    expect(parse((await readFile(file, 'utf8')) || '{}') ?? {}).toEqual(parse(text || '{}') ?? {})
  },
)

test('a logout from what no login wrote leaves every byte, and no file where there was none', async () => {
  const directory = await temporaryDirectory()
  const [file, absent] = [join(directory, 'config'), join(directory, 'absent')]
  const text =
    'current-context: a\ncontexts:\n- context: { user: a }\n  name: a\nusers:\n- name: a\n  user: { token: x }\n'
  await writeFile(file, text, { mode: 0o640 })
  expect(await removeLogin({ file, shown: 'config' }, pausingClock())).toBe(false)
  expect(await readFile(file, 'utf8')).toBe(text)
  expect((await stat(file)).mode & 0o777).toBe(0o640)
  expect(await removeLogin({ file: absent, shown: 'absent' }, pausingClock())).toBe(false)
  await expect(stat(absent)).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a link stays one, and the file is made where it leads', async () => {
  const directory = await temporaryDirectory()
  const file = join(directory, 'link')
  await symlink('config', file)
  await writeLogin({ file, shown: 'link' }, entry, pausingClock())
  expect((await lstat(file)).isSymbolicLink()).toBe(true)
  expect(parse(await readFile(join(directory, 'config'), 'utf8'))).toMatchObject({ 'current-context': 'weir' })
})

test('what is no file, as a pipe or a device, is neither read nor replaced', async () => {
  const file = join(await temporaryDirectory(), 'pipe')
  execFileSync('mkfifo', [file])
  const place = { file, shown: 'pipe' }
  await expect(writeLogin(place, entry, pausingClock())).rejects.toThrow(
    'pipe is no file that a login could be kept in',
  )
  await expect(removeLogin(place, pausingClock())).rejects.toThrow('is no file')
  await expect(requireRoom(place, entry)).rejects.toThrow('is no file')
  expect((await stat(file)).isFIFO()).toBe(true)
})
