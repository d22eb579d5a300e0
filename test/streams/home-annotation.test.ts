import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isNameComponent, parseImageReference } from '../../src/oci/reference.ts'
import { homeAnnotation, homeLocation, parseHome, validateHome } from '../../src/streams/home-annotation.ts'

const field = 'metadata.annotations'
const allowing = (host: string) => (host === 'registry.example.com' ? undefined : `pushing to ${host} is forbidden`)
const at = (written: string) => ({ [homeAnnotation]: written })

describe('parseHome()', () => {
  test.each([
    ['registry.example.com/team', 'registry.example.com', 'team'],
    ['localhost:5100/a/b', 'localhost:5100', 'a/b'],
    ['localhost/team', 'localhost', 'team'],
    ['[::1]:5000/team', '[::1]:5000', 'team'],
    ['Registry.Example.com/team', 'registry.example.com', 'team'],
    ['docker.io/company', 'docker.io', 'company'],
    ['index.docker.io/company', 'docker.io', 'company'],
  ])('reads %s', (written, host, path) => {
    expect(parseHome(written)).toEqual({ host, path })
  })

  test.each([
    '',
    'team',
    'company/team',
    'registry.example.com',
    'registry.example.com/',
    '/team',
    'registry.example.com/team/',
    'registry.example.com//team',
    'registry.example.com/Team',
    'registry.example.com/team:v1',
    `registry.example.com/team@sha256:${'a'.repeat(64)}`,
    'https://registry.example.com/team',
    'robot:secret@registry.example.com/team',
    'registry.example.com/../team',
    'registry.example.com/team?x',
    'registry.example.com/team#x',
    'registry.example.com/team\n',
    ' registry.example.com/team',
    'registry.example.com:99999/team',
    `registry.example.com/${'x'.repeat(300)}`,
  ])('is none: %j', (written) => {
    expect(parseHome(written)).toBeUndefined()
  })

  test('gives what image references below it have, and nothing else', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ab.:/@-_A0[]% \n'), maxLength: 40 })
    const home = fc.tuple(fc.constantFrom('a.b', 'c:1', 'localhost', 'a'), text).map((parts) => parts.join('/'))
    fc.assert(
      fc.property(fc.oneof(text, home), (written) => {
        const parsed = parseHome(written)
        if (parsed === undefined) return
        expect(parsed.path.split('/').every(isNameComponent)).toBe(true)
        expect(parseImageReference(`${parsed.host}/${parsed.path}/app`)).toMatchObject({
          host: parsed.host,
          repository: `${parsed.path}/app`,
        })
      }),
      { numRuns: 2000 },
    )
  })
})

describe('homeLocation()', () => {
  const project = { name: 'demo', uid: 'u1', annotations: at('registry.example.com/team') }

  test('is below the path, with the logins of this project alone', () => {
    expect(homeLocation(project, 'app')).toEqual({
      kind: 'upstream',
      host: 'registry.example.com',
      repository: 'team/app',
      project: 'demo',
      projectUid: 'u1',
    })
  })

  test.each([
    ['no annotation', { name: 'demo', uid: 'u1' }],
    ['one that can not be read', { ...project, annotations: at('team') }],
    [
      'one that is inherited',
      { ...project, annotations: Object.create(project.annotations) as Record<string, string> },
    ],
  ])('is nowhere with %s', (_what, of) => {
    expect(homeLocation(of, 'app')).toBeUndefined()
  })

  test('is nowhere for a name that no registry would take', () => {
    expect(homeLocation(project, 'x'.repeat(250))).toBeDefined()
    expect(homeLocation(project, 'x'.repeat(251))).toBeUndefined()
  })
})

describe('validateHome()', () => {
  test('has nothing to say of a registry that is allowed', () => {
    expect(validateHome(at('registry.example.com/team'), undefined, field, allowing)).toEqual([])
    expect(validateHome({ other: 'x' }, undefined, field, allowing)).toEqual([])
    expect(validateHome(null, undefined, field, allowing)).toEqual([])
  })

  test('names the field and what to write', () => {
    const [cause] = validateHome(at('team'), undefined, field, allowing)
    expect(cause).toMatchObject({ field: 'metadata.annotations[weir.dev/home]', reason: 'FieldValueInvalid' })
    expect(cause?.message).toContain('registry.example.com/team')
  })

  test('names a registry that is not allowed', () => {
    expect(validateHome(at('evil.example/team'), undefined, field, allowing)).toEqual([
      {
        field: 'metadata.annotations[weir.dev/home]',
        reason: 'FieldValueForbidden',
        message: 'Forbidden: pushing to evil.example is forbidden',
      },
    ])
  })

  test('leaves what stood there before', () => {
    const stands = at('evil.example/team')
    expect(validateHome(stands, stands, field, allowing)).toEqual([])
    expect(validateHome(at('evil.example/other'), stands, field, allowing)).toHaveLength(1)
  })
})
