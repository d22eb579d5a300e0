import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isPublicAddress } from '../../src/upstream/address.ts'

const byte = fc.nat({ max: 255 })

/** The ranges that matter most, decided by arithmetic. */
function isOrdinary([a, b, c]: readonly number[]): boolean {
  const [first = 0, second = 0, third = 0] = [a, b, c]
  if (first === 0 || first === 10 || first === 127 || first >= 224) return false
  if (first === 100) return second < 64 || second > 127
  if (first === 169) return second !== 254
  if (first === 172) return second < 16 || second > 31
  if (first === 192)
    return second !== 168 && !(second === 0 && (third === 0 || third === 2)) && !(second === 88 && third === 99)
  if (first === 198) return second !== 18 && second !== 19 && !(second === 51 && third === 100)
  return !(first === 203 && second === 0 && third === 113)
}

const quad = fc.oneof(
  fc.tuple(byte, byte, byte, byte),
  fc.tuple(fc.constantFrom(0, 10, 100, 127, 169, 172, 192, 198, 203, 224, 255), byte, byte, byte),
)

describe('isPublicAddress()', () => {
  test('tells private from public IPv4 addresses', () => {
    fc.assert(
      fc.property(quad, (parts) => {
        expect(isPublicAddress(parts.join('.'))).toBe(isOrdinary(parts))
      }),
      { numRuns: 3000 },
    )
  })

  test('judges a NAT64 address by the IPv4 address inside', () => {
    fc.assert(
      fc.property(quad, (parts) => {
        const [a, b, c, d] = parts
        const groups = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
        expect(isPublicAddress(`64:ff9b::${groups}`)).toBe(isOrdinary(parts))
        expect(isPublicAddress(`64:ff9b::${parts.join('.')}`)).toBe(isOrdinary(parts))
      }),
      { numRuns: 1000 },
    )
  })

  test('refuses every IPv4-mapped and every 6to4 address', () => {
    fc.assert(
      fc.property(quad, (parts) => {
        const [a, b, c, d] = parts
        expect(isPublicAddress(`::ffff:${parts.join('.')}`)).toBe(false)
        expect(isPublicAddress(`::${parts.join('.')}`)).toBe(false)
        const groups = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
        expect(isPublicAddress(`2002:${groups}::1`)).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    '127.0.0.1',
    '10.0.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.100.100.200',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '0:0:0:0:0:0:0:1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'fc00::1',
    'fd00:ec2::254',
    'ff02::1',
    '64:ff9b:1::7f00:1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '3fff::1',
    '5f00::1',
    '',
    'localhost',
    '127.1',
    '0x7f000001',
    '2130706433',
    '8.8.8.8 ',
  ])('refuses %j', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  test.each([
    '1.1.1.1',
    '8.8.8.8',
    '172.32.0.1',
    '100.63.255.255',
    '2606:4700::1111',
    '2a00:1450:4001::5e',
    '64:ff9b::808:808',
  ])('lets %s pass', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })
})
