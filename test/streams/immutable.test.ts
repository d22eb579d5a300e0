import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RegistryError } from '../../src/oci/errors.ts'
import {
  deniedMove,
  immutableAnnotation,
  immutableBy,
  isMoveRefusal,
  validateImmutable,
} from '../../src/streams/immutable.ts'
import { applyChange } from '../../src/streams/rules.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { type Driven, drive, newTag, pinOf, steps } from './model.ts'
import { app, digest, event, imported, wanted } from './world.ts'

const says = (written: string) => ({ [immutableAnnotation]: written })
const nothing = { project: undefined, stream: undefined, tag: undefined }

describe('of project, stream and tag', () => {
  test.each([
    ['nobody says anything', {}, false],
    ['the project says true', { project: says('true') }, true],
    ['the project says so by a pattern', { project: says('v*') }, true],
    ['a pattern is for others', { project: says('release-*') }, false],
    ['one of several patterns fits', { stream: says('release-*, v1.*') }, true],
    ['the stream says false before the project', { project: says('true'), stream: says('false') }, false],
    ['the patterns of the stream are all that counts', { project: says('true'), stream: says('release-*') }, false],
    ['the tag says false before all', { project: says('true'), stream: says('v*'), tag: says('false') }, false],
    ['the tag says true', { tag: says('true') }, true],
    ['the tag says what can not be read', { stream: says('v*'), tag: says('v*') }, true],
    ['the stream says what can not be read', { project: says('v*'), stream: says('v!') }, true],
    ['something else is said', { project: { 'weir.dev/retain': 'pinned' } }, false],
    ['it is no own key', { project: Object.create(says('true')) }, false],
  ])('where %s', (_, levels, isImmutable) => {
    expect(immutableBy('v1.0', { ...nothing, ...levels }) !== undefined).toBe(isImmutable)
  })

  test('it is told which one made it so', () => {
    expect(immutableBy('v1', { ...nothing, project: says('true'), stream: says('v*') })).toEqual({
      level: 'stream',
      written: 'v*',
    })
  })
})

describe('an annotation to be written', () => {
  test.each(['true', 'false', '*', 'v*', 'v*,release-*', 'v1, v2', 'latest', '_x'])('may be %j', (written) => {
    expect(validateImmutable(says(written), undefined, 'metadata.annotations', 'stream')).toEqual([])
  })

  test.each(['', ',', 'v*,', 'v 1', 'v?', '.v', 'ü', `${'v'.repeat(129)}`, Array(65).fill('v').join()])(
    'may not be %j',
    (written) => {
      const [cause, ...others] = validateImmutable(says(written), undefined, 'metadata.annotations', 'project')
      expect(cause).toMatchObject({
        field: 'metadata.annotations[weir.dev/immutable]',
        reason: 'FieldValueInvalid',
        message: expect.stringContaining('write true, false, or tags'),
      })
      expect(others).toEqual([])
    },
  )

  test.each([
    'True',
    'TRUE',
    'False',
    'yes',
    'No',
    'on',
    'OFF',
    't',
    'F',
    'y',
    'n',
    '1',
    '0',
    'enabled',
    'none',
    ' true',
  ])('may not be %j, which is meant as a yes or no, and would be the name of a tag', (written) => {
    for (const level of ['project', 'stream', 'tag'] as const) {
      const [cause] = validateImmutable(says(written), undefined, 'a', level)
      expect(cause?.message, level).toContain(`Invalid value: ${JSON.stringify(written)}: `)
      expect(cause?.message, level).toContain('write true')
      expect(immutableBy(written, { ...nothing, [level]: says(written) }), level).toBeUndefined()
    }
  })

  test('that is refused as a yes or no says how it is written of a tag of that name', () => {
    const [cause] = validateImmutable(says('1'), undefined, 'a', 'stream')
    expect(cause?.message).toContain('for the tag of that name 1,1')
    expect(validateImmutable(says('1,1'), undefined, 'a', 'stream')).toEqual([])
    expect(immutableBy('1', { ...nothing, stream: says('1,1') })).toBeDefined()
    for (const [written, level] of [
      ['1', 'tag'],
      ['True', 'stream'],
      ['v!', 'stream'],
    ] as const) {
      expect(validateImmutable(says(written), undefined, 'a', level)[0]?.message).not.toContain('of that name')
    }
  })

  test('of a tag is true or false', () => {
    expect(validateImmutable(says('true'), undefined, 'a', 'tag')).toEqual([])
    expect(validateImmutable(says('v*'), undefined, 'a', 'tag')[0]?.message).toContain('write true or false')
  })

  test('is not judged anew when it stays', () => {
    expect(validateImmutable(says('v!'), says('v!'), 'a', 'project')).toEqual([])
    expect(validateImmutable(undefined, says('v!'), 'a', 'project')).toEqual([])
  })
})

describe('an immutable tag', () => {
  const immutable = { immutableBy: () => ({ level: 'project', written: 'true' }) as const }

  test('once it stands at an image never moves and is never deleted, whatever is done; automatic causes are noted', () => {
    fc.assert(
      fc.property(steps, (life) => {
        let driven: Driven = newTag()
        for (const step of life) {
          const { after, outcome } = drive(driven, step, immutable)
          const stood = pinOf(driven)
          if (stood !== undefined && step.does !== 'recreate') {
            expect(pinOf(after)).toBe(stood)
            if (step.does === 'remove') expect(outcome).toBe('refused')
            if (step.does === 'move' && digest(step.image) !== stood) {
              const isAutomatic = ['scheduled', 'follow'].includes(step.kind)
              // Nothing automatic wants another source of a held tag.
              const isMixed = step.spec && driven.record?.hold !== undefined
              if (!isMixed) expect(outcome === 'refused').toBe(!isAutomatic)
              if (isAutomatic && !isMixed) expect(after.record?.candidate?.image).toBe(digest(step.image))
            }
            if (step.does === 'move' && digest(step.image) === stood && !step.spec && driven.record?.hold === undefined)
              expect(outcome).not.toBe('refused')
          }
          driven = after
        }
      }),
      { numRuns: 500 },
    )
  })

  const context = {
    ...app,
    tag: 'v1',
    uid: 'u',
    projectUid: 'p',
    generation: 1,
    nextGeneration: 2,
    nowMs: 0,
    commitId: 'c',
  }
  const by = { immutableBy: () => ({ level: 'stream', written: 'v*' }) as const }
  const standing = applyChange(undefined, imported('a'), context)?.record

  function refusal(change: TagChange): RegistryError {
    try {
      applyChange(standing, change, { ...context, ...by })
    } catch (error) {
      if (isMoveRefusal(error)) return error
      throw error
    }
    throw new Error('it was let through')
  }

  test.each<[string, TagChange]>([
    ['an import', imported('b')],
    ['a tag', { event: event('b', 'tag') }],
    ['a push', { event: event('b', 'push') }],
    ['a rollback', { event: event('b', 'rollback') }],
    ['another source', { spec: wanted('v1', 'quay.io/org/other:v1') }],
  ])('refuses %s with a field cause that says why and what to do', (_, change) => {
    const error = refusal(change)
    expect(error.code).toBe('INVALID')
    expect(error.causes).toEqual([
      { field: 'tag', reason: 'FieldValueForbidden', message: expect.stringContaining('weir.dev/immutable: v*') },
    ])
    expect(error.message).toContain('on image stream demo/app')
    expect(error.message).toContain(digest('a'))
    expect(error.message).toContain('use another tag, or change that annotation')
  })

  test('refuses a deletion with what helps who wants to delete', () => {
    const error = refusal({ remove: { cause: { kind: 'delete', by: 'ann' } } })
    expect(error.causes[0]?.message).toContain('on image stream demo/app) and stays at')
    expect(error.message).toContain('; to delete it, change that annotation before')
    expect(error.message).not.toContain('another tag')
  })

  test('is refused in the same words over /v2/', () => {
    const error = refusal({ event: event('b', 'push') })
    const denied = deniedMove(error) as RegistryError
    expect(denied).toMatchObject({ code: 'DENIED', status: 403, cause: error })
    expect(`Forbidden: ${denied.message}`).toBe(error.causes[0]?.message)
    const other = new Error('other')
    expect(deniedMove(other)).toBe(other)
  })

  test.each<[string, TagChange]>([
    ['a push of the same image', { event: event('a', 'push') }],
    ['an import of the same image', imported('a')],
    ['other annotations', { spec: { ...wanted('v1'), annotations: { note: 'x' } } }],
    ['a failure', { condition: { reason: 'NotFound', message: 'no' } }],
  ])('lets %s through', (_, change) => {
    expect(() => applyChange(standing, change, { ...context, ...by })).not.toThrow()
  })

  test('is one that stands at an image: another may still be put somewhere', () => {
    const empty = applyChange(undefined, { spec: wanted('v1') }, { ...context, ...by })?.record
    expect(applyChange(empty, { event: event('b', 'push') }, { ...context, ...by })?.entry?.image).toBe(digest('b'))
  })

  test('is judged by the annotations that it has, not by those it is to have', () => {
    const asked: unknown[] = []
    const change = { ...imported('b'), spec: { ...wanted('v1'), annotations: { [immutableAnnotation]: 'false' } } }
    applyChange(standing, change, { ...context, immutableBy: (_, annotations) => void asked.push(annotations) })
    expect(asked).toEqual([standing?.spec?.annotations])
  })
})
