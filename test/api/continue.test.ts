import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { decodeContinue, encodeContinue } from '../../src/api/continue.ts'

const schema = z.object({ stream: z.string() })

describe('decodeContinue()', () => {
  test('reads what encodeContinue wrote', () => {
    expect(decodeContinue(schema, encodeContinue({ stream: 'app' }))).toEqual({ stream: 'app' })
    expect(decodeContinue(schema, undefined)).toBeUndefined()
  })

  test.each(['x', '', encodeContinue({ other: 1 }), Buffer.from('{"stream":"\\ud800"}').toString('base64url')])(
    'refuses %j',
    (token) => {
      expect(() => decodeContinue(schema, token)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
    },
  )
})
