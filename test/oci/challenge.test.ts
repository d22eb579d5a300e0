import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Challenge, formatBearerChallenge, parseChallenges } from '../../src/oci/challenge.ts'

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/)
const text = fc.string({ unit: fc.constantFrom(...'aB1 ,="\\:/\t;') })

interface WrittenChallenge {
  scheme: string
  parameters: { name: string; value: string; quoted: boolean; spaces: string }[]
  token68: string | undefined
}

const written: fc.Arbitrary<WrittenChallenge> = fc.record({
  scheme: token,
  parameters: fc.uniqueArray(
    fc.oneof(
      fc.record({ name: token, value: text, quoted: fc.constant(true), spaces: fc.constantFrom('', ' ', '\t') }),
      fc.record({ name: token, value: token, quoted: fc.constant(false), spaces: fc.constantFrom('', ' ') }),
    ),
    { maxLength: 4, selector: ({ name }) => name.toLowerCase() },
  ),
  token68: fc.option(fc.stringMatching(/^[A-Za-z0-9._~+/-]{1,12}={0,2}$/), { nil: undefined }),
})

function write({ scheme, parameters, token68 }: WrittenChallenge): string {
  if (parameters.length === 0) return token68 === undefined ? scheme : `${scheme} ${token68}`
  const list = parameters.map(({ name, value, quoted, spaces }) => {
    const escaped = quoted ? `"${value.replace(/["\\]/g, '\\$&')}"` : value
    return `${name}${spaces}=${spaces}${escaped}`
  })
  return `${scheme} ${list.join(', ')}`
}

function plain(challenges: Challenge[]): unknown[] {
  return challenges.map(({ scheme, token68, parameters }) => ({ scheme, token68, parameters: [...parameters] }))
}

function expected({ scheme, parameters, token68 }: WrittenChallenge): unknown {
  return {
    scheme: scheme.toLowerCase(),
    token68: parameters.length === 0 ? token68 : undefined,
    parameters: parameters.map(({ name, value }) => [name.toLowerCase(), value]),
  }
}

describe('parseChallenges()', () => {
  test('reads back every list of challenges, in one header or in several', () => {
    fc.assert(
      fc.property(fc.array(fc.array(written, { minLength: 1, maxLength: 3 }), { maxLength: 3 }), (headers) => {
        const values = headers.map((challenges) => challenges.map(write).join(' , '))
        expect(plain(parseChallenges(values))).toEqual(headers.flat().map(expected))
      }),
      { numRuns: 500 },
    )
  })

  test('never throws and never gives a quote, a comma or a space outside a value', () => {
    const hostile = fc.string({ unit: fc.constantFrom(...'ab=,"\\ \t\u0000é') })
    fc.assert(
      fc.property(fc.oneof(hostile, fc.string()), (value) => {
        for (const { scheme, parameters } of parseChallenges(value)) {
          for (const name of [scheme, ...parameters.keys()]) expect(name).toMatch(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test.each([
    ['Basic realm="a, b", Bearer realm="https://r/?x=1,2",scope="repository:a:pull,push"', ['basic', 'bearer']],
    ['NTLM abc==, BASIC realm=x', ['ntlm', 'basic']],
    ['Negotiate', ['negotiate']],
    [',, Basic , ,', ['basic']],
    ['@@ junk "a, b", Basic realm="ok"', ['basic']],
    ['"\\"', []],
    ['', []],
  ])('finds the schemes of %s', (value, schemes) => {
    expect(parseChallenges(value).map(({ scheme }) => scheme)).toEqual(schemes)
  })

  test('lets the first of two equal parameters stand', () => {
    const [challenge] = parseChallenges('Bearer realm="https://first/",REALM="https://second/"')
    expect(challenge?.parameters.get('realm')).toBe('https://first/')
  })

  test.each(['Bearer realm=https://r/token', 'Bearer realm="https://r"/token', 'Bearer realm=a b'])(
    'does not cut the value in %s short',
    (value) => {
      expect(parseChallenges(value)[0]?.parameters.size).toBe(0)
    },
  )

  test('takes no parameter from an unterminated string', () => {
    expect(parseChallenges('Bearer realm="https://r/').map(({ parameters }) => parameters.size)).toEqual([0])
  })

  test('keeps a parameter named like a property of objects apart', () => {
    const [challenge] = parseChallenges('Bearer __proto__="x", constructor="y"')
    expect([...(challenge?.parameters ?? [])]).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
  })

  test('gives up on a header of more than 8 KiB instead of working on it', () => {
    expect(parseChallenges(`Basic realm=x, ${'"\\'.repeat(8192)}`)).toEqual([])
  })

  test('answers without a header nothing', () => {
    expect(parseChallenges(undefined)).toEqual([])
  })
})

describe('formatBearerChallenge()', () => {
  test('is read back as one Bearer challenge with the same values', () => {
    const ascii = fc.string({ unit: fc.constantFrom(...'aZ09 ,="\\:/-_.') })
    const optional = fc.option(ascii, { nil: undefined })
    fc.assert(
      fc.property(ascii, ascii, optional, optional, (realm, service, scope, error) => {
        const given = {
          realm,
          service,
          ...(scope === undefined ? {} : { scope }),
          ...(error === undefined ? {} : { error }),
        }
        const [challenge, ...others] = parseChallenges(formatBearerChallenge(given))
        expect(others).toEqual([])
        expect(challenge?.scheme).toBe('bearer')
        expect(Object.fromEntries(challenge?.parameters ?? [])).toEqual(given)
      }),
      { numRuns: 300 },
    )
  })

  test('quotes all parameters on one line', () => {
    const scope = 'repository:demo/app:pull,push'
    const given = { realm: 'https://weir.example/token', service: 'weir.example', scope, error: 'invalid_token' }
    expect(formatBearerChallenge(given)).toBe(
      `Bearer realm="https://weir.example/token",service="weir.example",scope="${scope}",error="invalid_token"`,
    )
  })

  test.each(['a\r\nSet-Cookie: x', 'a\u0000', 'é'])('refuses %j', (realm) => {
    expect(() => formatBearerChallenge({ realm, service: 'x' })).toThrow(TypeError)
  })
})
