import { expect, test } from 'vitest'
import { createHosts } from '../../src/upstream/hosts.ts'

const hosts = createHosts([
  { host: 'docker.io', insecure: false },
  { host: 'inner.example:5000', insecure: true },
])

test.each(['https://registry-1.docker.io/v2/', 'http://inner.example:5000/', 'https://inner.example:5000/x'])(
  'the rules hold for where a named registry sends on to: %s',
  (url) => {
    const seen = hosts.seenFrom(new URL(url))
    expect(seen.policy(new URL('http://inner.example:5000/'))).toEqual({ named: true, insecure: true })
  },
)

test.each([
  'https://evil.example/',
  'https://inner.example/',
  'http://registry-1.docker.io/',
  'https://docker.io:5000/',
])('no rule holds for where another sends on to, however often: %s', (url) => {
  const seen = hosts.seenFrom(new URL(url))
  for (const rules of [seen, seen.seenFrom(new URL('http://inner.example:5000/'))]) {
    expect(rules.policy(new URL('http://inner.example:5000/'))).toEqual({ named: false, insecure: false })
  }
})
