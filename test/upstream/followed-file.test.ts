import { mkdir, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createFollowedFile } from '../../src/upstream/followed-file.ts'
import { testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { recordingLog } from './start-client.ts'

async function world(parse: (text: string) => string = (text) => text.trimEnd()) {
  const directory = await temporaryDirectory()
  const file = join(directory, 'password')
  await writeFile(file, 'one\n')
  const clock = testClock()
  const { log, logs } = recordingLog()
  const followed = createFollowedFile({
    file,
    key: 'upstreams[0].passwordFile',
    initial: 'one',
    parse,
    now: clock.now,
    log,
  })
  const later = async () => {
    clock.advance(5000)
    return followed.current()
  }
  return { directory, file, clock, logs, followed, later }
}

describe('a file', () => {
  test('that is written anew is read again within five seconds', async () => {
    const { file, clock, followed } = await world()
    expect(await followed.current()).toBe('one')
    await writeFile(file, 'two\n')
    clock.advance(4999)
    expect(await followed.current()).toBe('one')
    clock.advance(1)
    expect(await followed.current()).toBe('two')
  })

  test('is read at once when it is looked at', async () => {
    const { file, followed } = await world()
    await followed.current()
    await writeFile(file, 'two\n')
    expect(await followed.look()).toBe('two')
  })

  test('that another replaces is read again, whatever its time and length', async () => {
    const { directory, file, later } = await world()
    const time = new Date(0)
    await utimes(file, time, time)
    expect(await later()).toBe('one')
    expect(await later()).toBe('one')
    await writeFile(join(directory, 'next'), 'two\n')
    await utimes(join(directory, 'next'), time, time)
    await rename(join(directory, 'next'), file)
    expect(await later()).toBe('two')
  })

  test('of a Kubernetes secret is followed through its links', async () => {
    const { directory, logs } = await world()
    for (const [version, text] of Object.entries({ '..1': 'one', '..2': 'two' })) {
      await mkdir(join(directory, version))
      await writeFile(join(directory, version, 'key'), text)
    }
    await symlink('..1', join(directory, '..data'))
    await symlink(join('..data', 'key'), join(directory, 'key'))
    const clock = testClock()
    const { log } = recordingLog()
    const file = join(directory, 'key')
    const followed = createFollowedFile({ file, key: 'k', initial: '', parse: (text) => text, now: clock.now, log })
    expect(await followed.current()).toBe('one')
    await symlink('..2', join(directory, '..data_tmp'))
    await rename(join(directory, '..data_tmp'), join(directory, '..data'))
    await rm(join(directory, '..1'), { recursive: true })
    clock.advance(5000)
    expect(await followed.current()).toBe('two')
    expect(logs).toEqual([])
  })

  test.each([
    ['is gone', (file: string) => rm(file), 'can not be read (ENOENT)'],
    ['is empty', (file: string) => truncate(file), 'is empty'],
    ['holds white space', (file: string) => writeFile(file, ' \n'), 'is empty'],
    ['is far too large', (file: string) => truncate(file, 1024 * 1024 + 1), 'is larger than 1048576 bytes'],
    ['is wrong', (file: string) => writeFile(file, 'hush'), 'is no secret'],
    [
      'is a directory',
      async (file: string) => {
        await rm(file)
        await mkdir(file)
      },
      'can not be read (EISDIR)',
    ],
  ])('that %s leaves what it held, and is told of once', async (_what, spoil, problem) => {
    const { file, logs, later } = await world((text) => {
      if (text === 'hush') throw new Error('is no secret')
      return text.trimEnd()
    })
    expect(await later()).toBe('one')
    await spoil(file)
    for (let count = 0; count < 3; count += 1) expect(await later()).toBe('one')
    expect(logs).toHaveLength(1)
    expect(logs[0]).toContain(`upstreams[0].passwordFile: ${file} ${problem}; what it held before goes on`)
    expect(logs[0]).not.toContain('hush')
    await rm(file, { recursive: true, force: true })
    await writeFile(file, 'three\n')
    expect(await later()).toBe('three')
    await rm(file)
    expect(await later()).toBe('three')
    expect(logs.length).toBeGreaterThanOrEqual(2)
  })

  test('is looked at where the clock was set back', async () => {
    const { file, clock, followed } = await world()
    await followed.current()
    await writeFile(file, 'two\n')
    clock.advance(-3_600_000)
    expect(await followed.current()).toBe('two')
  })

  test('is opened once for all that ask at the same time', async () => {
    let parsed = 0
    const { later } = await world((text) => {
      parsed += 1
      return text
    })
    await Promise.all(Array.from({ length: 50 }, later))
    expect(parsed).toBe(1)
  })
})
