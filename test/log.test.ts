import { expect, test } from 'vitest'
import { createLog, scrub } from '../src/log.ts'
import { RegistryError } from '../src/oci/errors.ts'

function capture(format: 'json' | 'text' = 'json') {
  const lines: string[] = []
  const log = createLog({ level: 'debug', format }, { write: (line: string) => void lines.push(line) })
  return { log, lines }
}

test('a record is one line of JSON with time, level and message', () => {
  const { log, lines } = capture()
  log.info({ project: 'demo' }, 'imported')
  expect(lines).toHaveLength(1)
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    project: 'demo',
    msg: 'imported',
  })
})

test.each([
  ['a header', { headers: { authorization: 'Bearer hush-hush-hush' } }],
  ['a field', { token: 'hush-hush-hush' }],
  ['a nested field', { login: { password: 'hush-hush-hush' } }],
  ['a text', { reason: 'sent Authorization: Bearer hush-hush-hush to it' }],
  ['a login in a URL', { url: 'https://robot:hush-hush-hush@registry.example/v2/' }],
  ['a signed URL', { location: 'https://cdn.example/blob?X-Sig=hush-hush-hush&x=1' }],
  ['an error', { err: new Error('GET https://cdn.example/blob?sig=hush-hush-hush failed') }],
  ['the cause of an error', { err: new Error('failed', { cause: new Error('Basic hush-hush-hush') }) }],
  ['a property of an error', { err: Object.assign(new Error('x'), { request: { body: 'hush-hush-hush' } }) }],
])('I9: a secret in %s is not logged', (_name, fields) => {
  for (const format of ['json', 'text'] as const) {
    const { log, lines } = capture(format)
    log.warn(fields, 'something')
    expect(lines).toHaveLength(1)
    expect(lines.join()).not.toContain('hush-hush-hush')
  }
})

test('what is no secret stays readable', () => {
  const text = 'GET https://registry.example/v2/lib/app/manifests/v1 answered 401 Bearer challenge'
  expect(scrub(text)).toBe(text)
  expect(scrub('import of lib/app@sha256:abc failed')).toBe('import of lib/app@sha256:abc failed')
})

test('an answer is logged without the place in the code, anything else with it', () => {
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => lines.push(line) })
  const cause = new Error('connect ECONNREFUSED')
  log.warn({ err: new RegistryError('UNAVAILABLE', { message: 'a.example does not answer', cause }) }, 'answer')
  log.warn({ err: new TypeError('broken') }, 'mistake')
  const [answer, mistake] = lines.map((line) => JSON.parse(line).err)
  expect(answer).toMatchObject({ message: 'a.example does not answer', cause: { message: 'connect ECONNREFUSED' } })
  expect(JSON.stringify(answer)).not.toContain('stack')
  expect(mistake.stack).toContain('log.test.ts')
})

test('text keeps what somebody wrote within its line', () => {
  const { log, lines } = capture('text')
  log.info({ reason: 'fine\n2026 ERROR forged\u001b[2J' }, 'tag rolled back')
  expect(lines.join().trimEnd()).not.toContain('\n')
  expect(lines.join()).not.toContain('\u001b')
  expect(lines.join()).toContain('reason="fine\\n2026')
})

test('text names level, message and fields', () => {
  const { log, lines } = capture('text')
  log.warn({ host: 'a.example', n: 2 }, 'slow')
  expect(lines.join()).toMatch(/Z WARN {2}slow host=a\.example n=2\n$/)
})
