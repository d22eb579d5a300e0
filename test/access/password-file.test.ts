import { rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openPasswordFile, parseUsers } from '../../src/access/password-file.ts'
import { testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { listeningLog } from './issuer-world.ts'

const tail = 'abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzabcde'
const hash = (cost = '10', kind = '2y') => `$${kind}$${cost}$${tail}`

describe('parseUsers()', () => {
  test('reads what htpasswd -B writes, with comments, empty lines and any line ends', () => {
    const text = `# people\r\n\r\njane:${hash('05')}\r\n\n  \njürgen öz:${hash('14', '2a')} \n x:${hash('04', '2b')}`
    expect([...parseUsers('f', text)].map(([user, { hash }]) => [user, hash])).toEqual([
      ['jane', hash('05')],
      ['jürgen öz', hash('14', '2a')],
      [' x', hash('04', '2b')],
    ])
  })

  test('a file of no users has none', () => {
    expect(parseUsers('f', '').size).toBe(0)
  })

  test('the uid is of user and hash', () => {
    const uid = (line: string) => [...parseUsers('f', line).values()][0]?.uid
    expect(uid(`jane:${hash()}`)).toBe(uid(`jane:${hash()}`))
    expect(uid(`jane:${hash()}`)).not.toBe(uid(`john:${hash()}`))
    expect(uid(`jane:${hash()}`)).not.toBe(uid(`jane:${hash('11')}`))
  })

  test.each([
    ['MD5', '$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00', 'is not bcrypt; make it with htpasswd -B'],
    ['SHA-1', '{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=', 'is not bcrypt'],
    ['SHA-512', '$6$salt$hash', 'is not bcrypt'],
    ['crypt', 'rqXexS6ZhobKA', 'is not bcrypt'],
    ['the password itself', 'secret', 'is not bcrypt'],
    ['nothing', '', 'is not bcrypt'],
    ['the broken bcrypt of PHP', hash('10', '2x'), 'is not bcrypt'],
    ['cut off', hash().slice(0, -1), 'is not bcrypt'],
    ['followed by a field', `${hash()}:x`, 'is not bcrypt'],
    ['of cost 15', hash('15'), 'has cost 15; make it with htpasswd -B -C 10 (4 to 14 are taken)'],
    ['of cost 31', hash('31'), 'has cost 31'],
    ['of cost 3', hash('03'), 'has cost 3'],
  ])('refuses a hash that is %s, by its line, without showing it', (_, value, why) => {
    const parse = () => parseUsers('/etc/weir/users', `a:${hash()}\njane:${value}\n`)
    expect(parse).toThrow(`/etc/weir/users can not be used: line 2: the hash of jane ${why}`)
    if (value !== '') expect(parse).not.toThrow(value)
  })

  test.each([
    ['no colon', 'jane'],
    ['no name', `:${hash()}`],
    ['a control character', `ja\u0000ne:${hash()}`],
    ['an overlong name', `${'x'.repeat(256)}:${hash()}`],
  ])('refuses a line with %s', (_, line) => {
    expect(() => parseUsers('f', line)).toThrow('line 1: write user:hash')
  })

  test('refuses who is there twice', () => {
    expect(() => parseUsers('f', `jane:${hash()}\njane:${hash('11')}`)).toThrow('line 2: jane is there twice')
  })

  test('names five lines of many', () => {
    const lines = Array.from({ length: 100 }, () => 'x').join('\n')
    expect(() => parseUsers('f', lines)).toThrow(/line 5: [^;]*; and 95 more$/)
  })

  test('whatever the text is: users with bcrypt hashes of a bearable cost, or an error in one line', () => {
    const line = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.tuple(fc.string(), fc.constantFrom(hash(), hash('16'), 'x')).map(([user, value]) => `${user}:${value}`),
    )
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        try {
          for (const [user, { hash }] of parseUsers('f', lines.join('\n'))) {
            expect(user).toMatch(/^[^:\n]+$/)
            expect(Number(hash.slice(4, 6))).toBeLessThanOrEqual(14)
          }
        } catch (error) {
          expect((error as Error).message).toMatch(/^f can not be used: line [^\n]*$/)
        }
      }),
      { numRuns: 300 },
    )
  })
})

async function world(text: string) {
  const file = join(await temporaryDirectory(), 'htpasswd')
  await writeFile(file, text)
  const clock = testClock()
  const end = new AbortController()
  onTestFinished(() => end.abort())
  const { log, lines } = listeningLog()
  const users = await openPasswordFile({ file, now: clock.now, signal: end.signal, log })
  /** Looks as the next use a second later does. */
  const look = async () => {
    clock.advance(1000)
    await users.refresh()
  }
  const warnings = () => lines.filter(({ level }) => level === 40)
  return { file, users, clock, look, warnings }
}

describe('a file that changes', () => {
  test('is read again, and its version grows', async () => {
    const { file, users, look } = await world(`jane:${hash()}\n`)
    expect(users.version).toBe(0)
    await writeFile(file, `john:${hash()}\n`)
    await look()
    expect([users.find('jane'), users.find('john')]).toEqual([undefined, { hash: hash(), uid: expect.any(String) }])
    expect(users.version).toBe(1)
    await look()
    await look()
    expect(users.version).toBe(1)
  })

  test('is noticed without being asked', async () => {
    const { file, users } = await world(`jane:${hash()}\n`)
    await writeFile(file, `john:${hash()}\n`)
    await expect.poll(() => users.version, { timeout: 10_000 }).toBe(1)
    expect(users.find('jane')).toBeUndefined()
  })

  test('is looked at no more than once a second', async () => {
    const { file, users, clock, look } = await world(`jane:${hash()}\n`)
    await look()
    await writeFile(file, `john:${hash()}\n`)
    clock.advance(999)
    await users.refresh()
    expect(users.version).toBe(0)
    clock.advance(1)
    await users.refresh()
    expect(users.version).toBe(1)
  })

  test('is noticed when another takes its place, even with the same size and time', async () => {
    const { file, users, look } = await world(`jane:${hash()}\n`)
    const time = new Date('2026-01-01')
    await utimes(file, time, time)
    await look()
    await look()
    await writeFile(`${file}.new`, `john:${hash()}\n`)
    await utimes(`${file}.new`, time, time)
    await rename(`${file}.new`, file)
    await look()
    expect(users.find('john')).toBeDefined()
  })

  test('that is touched only changes nothing', async () => {
    const { file, users, look } = await world(`jane:${hash()}\n`)
    await utimes(file, new Date(), new Date())
    await look()
    expect(users.version).toBe(0)
  })

  test.each(['jane:{SHA}x\n', `jane:${hash('15')}`, `jane:${hash().slice(0, 20)}`])(
    'and is broken keeps the users of before, and warns once',
    async (broken) => {
      const { file, users, look, warnings } = await world(`jane:${hash()}\n`)
      await writeFile(file, broken)
      await look()
      await look()
      await look()
      expect(users.find('jane')).toBeDefined()
      expect(users.version).toBe(0)
      expect(warnings()).toEqual([
        expect.objectContaining({ msg: expect.stringMatching(/line 1: .*; the users of before go on$/) }),
      ])
      await writeFile(file, `john:${hash()}\n`)
      await look()
      expect(users.find('jane')).toBeUndefined()
    },
  )

  test('and is gone keeps the users of before, and warns once each time', async () => {
    const { file, users, look, warnings } = await world(`jane:${hash()}\n`)
    await rm(file)
    await look()
    await look()
    expect(users.find('jane')).toBeDefined()
    expect(warnings()).toHaveLength(1)
    await writeFile(file, `jane:${hash()}\n`)
    await look()
    await rm(file)
    await look()
    expect(warnings()).toHaveLength(2)
  })

  test('and is empty is believed at the second look: who writes may begin so', async () => {
    const { file, users, look } = await world(`jane:${hash()}\n`)
    await writeFile(file, '')
    await look()
    expect(users.find('jane')).toBeDefined()
    await look()
    expect(users.find('jane')).toBeUndefined()
    expect(users.version).toBe(1)
  })

  test('and is huge is not read', async () => {
    const { file, users, look, warnings } = await world(`jane:${hash()}\n`)
    await writeFile(file, Buffer.alloc(8 * 1024 * 1024 + 1, '#'))
    await look()
    expect(users.find('jane')).toBeDefined()
    expect(warnings()).toEqual([expect.objectContaining({ msg: expect.stringContaining('larger than') })])
  })
})

describe('at the start', () => {
  const open = (file: string) =>
    openPasswordFile({ file, now: Date.now, signal: AbortSignal.abort(), log: listeningLog().log })

  test('a broken file is an error', async () => {
    const file = join(await temporaryDirectory(), 'htpasswd')
    await writeFile(file, 'jane:secret\n')
    await expect(open(file)).rejects.toThrow('make it with htpasswd -B')
  })

  test('a file that is not there is an error', async () => {
    await expect(open('/nowhere/htpasswd')).rejects.toThrow('/nowhere/htpasswd can not be read (ENOENT)')
  })
})

describe('a decoy', () => {
  const costs = (decoys: string[]) => new Set(decoys.map((decoy) => decoy.slice(0, 7)))

  test('costs what the hashes of users cost, and the same each time for a name', async () => {
    const { users } = await world(`a:${hash('05')}\nb:${hash('12')}\n`)
    const names = Array.from({ length: 100 }, (_, index) => `nobody ${index}`)
    expect(costs(names.map(users.decoy))).toEqual(new Set(['$2b$05$', '$2b$12$']))
    for (const name of names) expect(users.decoy(name)).toBe(users.decoy(name))
    expect(users.decoy('nobody 1')).toMatch(/^\$2b\$\d\d\$[./A-Za-z0-9]{53}$/)
  })

  test('costs something where there are no users', async () => {
    const { users } = await world('')
    expect(users.decoy('nobody')).toMatch(/^\$2b\$10\$/)
  })

  test('of real hashes is one in form', () => {
    expect(hashSync('x', 4)).toMatch(/^\$2b\$04\$[./A-Za-z0-9]{53}$/)
  })
})
