import type { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseNetwork } from '../../src/config-values.ts'
import { createClientOf, type Network, normaliseAddress } from '../../src/http/client-address.ts'
import { startHttp } from './harness.ts'

function networks(...texts: string[]): Network[] {
  return texts.flatMap((text) => parseNetwork(text) ?? [])
}

function addressOf(trusted: Network[], peer: string | undefined, ...forwardedFor: string[]): string {
  const rawHeaders = forwardedFor.flatMap((value) => ['X-Forwarded-For', value])
  return createClientOf(trusted)({ socket: { remoteAddress: peer } as Socket, rawHeaders }).address
}

const proxies = networks('10.0.0.0/8', 'fd00::/8')

describe('the client address', () => {
  test.each([
    ['of a peer that is no proxy, whatever it forwards', '192.0.2.1', ['198.51.100.7'], '192.0.2.1'],
    ['that a proxy names', '10.0.0.1', ['198.51.100.7'], '198.51.100.7'],
    ['right of what the client itself sent', '10.0.0.1', ['1.1.1.1, 198.51.100.7'], '198.51.100.7'],
    ['right of what it sent in a header of its own', '10.0.0.1', ['1.1.1.1', '198.51.100.7'], '198.51.100.7'],
    ['behind two proxies', '10.0.0.1', ['1.1.1.1, 198.51.100.7, 10.9.9.9'], '198.51.100.7'],
    ['inside the trusted network, when that is all there is', '10.0.0.1', ['10.2.2.2, 10.3.3.3'], '10.2.2.2'],
    ['of the last proxy before what is no address', '10.0.0.1', ['1.1.1.1, unknown, 10.3.3.3'], '10.3.3.3'],
    ['of the proxy itself when it forwards nothing', '10.0.0.1', [], '10.0.0.1'],
    ['of the proxy itself when it forwards nonsense', '10.0.0.1', ['" OR 1=1 --'], '10.0.0.1'],
    ['of the proxy itself after an empty hop', '10.0.0.1', ['198.51.100.7, '], '10.0.0.1'],
    ['with its port left away', '10.0.0.1', ['198.51.100.7:4711'], '198.51.100.7'],
    ['as IPv6', '10.0.0.1', ['2001:DB8:0::7'], '2001:db8::7'],
    ['as IPv6 with its port left away', '10.0.0.1', ['[2001:db8::7]:4711'], '2001:db8::7'],
    ['through a proxy of IPv6', 'fd00::1', ['198.51.100.7'], '198.51.100.7'],
    ['through a proxy of IPv4 on a socket of both', '::ffff:10.0.0.1', ['198.51.100.7'], '198.51.100.7'],
    ['through a proxy that writes IPv4 into IPv6', '10.0.0.1', ['198.51.100.7, ::ffff:10.1.1.1'], '198.51.100.7'],
    ['of IPv4 on a socket of both', '::ffff:192.0.2.1', [], '192.0.2.1'],
    ['of IPv4 in hexadecimal', '10.0.0.1', ['::ffff:c633:6407'], '198.51.100.7'],
    ['without the zone', 'fe80::1%eth0', [], 'fe80::1'],
    ['of nobody when the socket is gone', undefined, ['1.1.1.1'], ''],
  ])('is that %s', (_what, peer, forwardedFor, expected) => {
    expect(addressOf(proxies, peer, ...forwardedFor)).toBe(expected)
  })

  test('is the peer’s where no proxies are configured', () => {
    expect(addressOf([], '10.0.0.1', '198.51.100.7')).toBe('10.0.0.1')
  })

  test('trusts a network written as IPv4 in IPv6, and one of no bits', () => {
    expect(addressOf(networks('::ffff:10.0.0.0/104'), '10.0.0.1', '198.51.100.7')).toBe('198.51.100.7')
    expect(addressOf(networks('0.0.0.0/0'), '192.0.2.1', '198.51.100.7')).toBe('198.51.100.7')
    expect(addressOf(networks('0.0.0.0/0'), '2001:db8::1', '198.51.100.7')).toBe('2001:db8::1')
  })

  test('is looked for among so many hops alone', () => {
    const hops = Array.from({ length: 40 }, (_, i) => `10.0.1.${i}`)
    expect(addressOf(proxies, '10.0.0.1', `198.51.100.7,${hops.join(',')}`)).toBe('10.0.1.8')
  })

  test('is always an address, whatever is forwarded', () => {
    const hop = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constantFrom('10.1.1.1', '::ffff:10.0.0.1', '[', '[]:1'))
    fc.assert(
      fc.property(fc.array(hop), (hops) => {
        const address = addressOf(proxies, '10.0.0.1', hops.join(','))
        expect(normaliseAddress(address)).toBe(address)
      }),
      { numRuns: 500 },
    )
  })

  test('and the program are one object while a connection says the same', () => {
    const clientOf = createClientOf(proxies)
    const socket = { remoteAddress: '10.0.0.1' } as Socket
    const ask = (agent: string, forwardedFor: string) =>
      clientOf({ socket, rawHeaders: ['User-Agent', agent, 'x-forwarded-for', forwardedFor] })
    expect(ask('a', '198.51.100.7')).toBe(ask('a', '198.51.100.7'))
    expect(ask('a', '198.51.100.8')).toEqual({ address: '198.51.100.8', userAgent: 'a' })
    expect(ask('b', '198.51.100.8')).toEqual({ address: '198.51.100.8', userAgent: 'b' })
  })
})

test('a request from a peer that is no proxy has its own address, what it forwards forged', async () => {
  const { ask, grants } = await startHttp()
  await ask('/token', { headers: { 'x-forwarded-for': '198.51.100.7', 'user-agent': 'x'.repeat(9000) } })
  expect(grants[0]?.client).toEqual({ address: '127.0.0.1', userAgent: 'x'.repeat(256) })
})

test('a request through a trusted proxy has the address that it names', async () => {
  const { ask, grants } = await startHttp({ trustedProxies: networks('127.0.0.1') })
  await ask('/token', { headers: { 'x-forwarded-for': '198.51.100.7', 'user-agent': 'docker' } })
  expect(grants[0]?.client).toEqual({ address: '198.51.100.7', userAgent: 'docker' })
})

test('a program that sends control characters moves no cursor', async () => {
  const { ask, grants } = await startHttp()
  await ask('/token', { headers: { 'user-agent': 'docker/\u009b31m\u0085\u00e9' } })
  expect(grants[0]?.client.userAgent).toBe('docker/?31m?\u00e9')
})
