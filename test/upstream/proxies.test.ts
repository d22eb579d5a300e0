import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createProxies } from '../../src/upstream/proxies.ts'

const https = new URL('http://secure.test:1')
const http = new URL('http://plain.test:2')

function direct(noProxy: string, url: string): boolean {
  return createProxies({ https, http, noProxy }).for(new URL(url)) === undefined
}

describe('a proxy', () => {
  test('is chosen by the scheme', () => {
    const proxies = createProxies({ https, http, noProxy: '' })
    expect(proxies.for(new URL('https://quay.io/v2/'))).toBe(https)
    expect(proxies.for(new URL('http://quay.io/v2/'))).toBe(http)
    expect(createProxies({ http, noProxy: '' }).for(new URL('https://quay.io/'))).toBeUndefined()
  })

  test.each([
    'https://localhost:5000/',
    'https://a.localhost/',
    'http://127.0.0.1/',
    'https://127.9.9.9/',
    'https://[::1]:5/',
  ])('never leads to this machine: %s', (url) => {
    expect(direct('', url)).toBe(true)
  })

  test.each([
    ['*', 'https://quay.io/', true],
    ['quay.io', 'https://quay.io/', true],
    ['QUAY.io', 'https://Quay.IO/', true],
    ['quay.io', 'https://cdn.quay.io/', true],
    ['quay.io', 'https://notquay.io/', false],
    ['quay.io', 'https://quay.io.evil.test/', false],
    ['.quay.io', 'https://quay.io/', false],
    ['.quay.io', 'https://cdn.quay.io/', true],
    ['*.quay.io', 'https://cdn.quay.io/', true],
    ['quay.io:443', 'https://quay.io/', true],
    ['quay.io:8443', 'https://quay.io/', false],
    ['quay.io:80', 'http://quay.io/', true],
    ['a.test, quay.io  b.test', 'https://quay.io/', true],
    [',, ,', 'https://quay.io/', false],
    ['10.0.0.0/8', 'https://10.1.2.3:5000/', true],
    ['10.0.0.0/8', 'https://11.1.2.3/', false],
    ['10.0.0.0/33', 'https://10.1.2.3/', false],
    ['10.0.0.0/8', 'https://quay.io/', false],
    ['10.1.2.3', 'https://10.1.2.3/', true],
    ['10.1.2.3:5000', 'https://10.1.2.3/', false],
    ['fd00::/8', 'https://[fd12::1]/', true],
    ['fd12::1', 'https://[fd12:0::1]:5000/', true],
    ['[fd12::1]:443', 'https://[fd12::1]/', true],
    ['[fd12::1]:443', 'https://[fd12::1]:5000/', false],
  ])('with the exception %s is passed by for %s: %s', (noProxy, url, expected) => {
    expect(direct(noProxy, url)).toBe(expected)
  })

  test('is chosen whatever the exceptions are', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (noProxy) => {
        fc.pre(!/\*|quay|(?:^|[\s,]|\.)io?(?:$|[\s,:])/i.test(noProxy))
        expect(direct(noProxy, 'https://quay.io/')).toBe(false)
      }),
      { numRuns: 500 },
    )
  })
})
