import { setDefaultCACertificates } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createHosts, registryUrl } from '../../src/upstream/hosts.ts'
import { trustedRealm } from '../../src/upstream/realm-trust.ts'
import { defaultRetryPolicy } from '../../src/upstream/retry.ts'
import { createTokens } from '../../src/upstream/tokens.ts'
import { createTransport, defaultTimeouts } from '../../src/upstream/transport.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { createFakeAuthority } from '../support/fake-upstream-tls.ts'
import { makeImage } from '../support/images.ts'
import { at, failureOf, loginRule, recordingLog, resolving, startClient } from './start-client.ts'

const image = makeImage('realms')
const users = { robot: 'pa55word!' }
const authority = await createFakeAuthority()
setDefaultCACertificates([authority.ca])

function trusts(host: string, realm: string, insecure = false): boolean {
  const hosts = createHosts([{ host, insecure }])
  try {
    return trustedRealm(realm, { host, origin: registryUrl(host, 'https') }, hosts).href === new URL(realm).href
  } catch {
    return false
  }
}

describe('a realm', () => {
  test.each([
    ['docker.io', 'https://auth.docker.io/token'],
    ['ghcr.io', 'https://ghcr.io/token'],
    ['quay.io', 'https://quay.io/v2/auth'],
    ['registry.gitlab.com', 'https://gitlab.com/jwt/auth'],
    ['gitlab.example:5050', 'https://gitlab.example/jwt/auth'],
    ['registry.example.co.uk', 'https://auth.example.co.uk/token'],
    ['acme.azurecr.io', 'https://acme.azurecr.io/oauth2/token'],
    ['europe-docker.pkg.dev', 'https://europe-docker.pkg.dev/v2/token'],
    ['10.1.2.3:5000', 'https://10.1.2.3:5001/token'],
    ['[fd00::1]:5000', 'https://[fd00::1]:5001/token'],
    ['registry', 'https://registry/token'],
  ])('of %s may be %s', (host, realm) => {
    expect(trusts(host, realm)).toBe(true)
  })

  test.each([
    ['docker.io', 'https://auth.docker.io.evil.example/token'],
    ['ghcr.io', 'https://evil.example/token'],
    ['registry.example.co.uk', 'https://evil.co.uk/token'],
    ['registry.co.uk', 'https://auth.co.uk/token'],
    ['acme.azurecr.io', 'https://evil.azurecr.io/oauth2/token'],
    ['europe-docker.pkg.dev', 'https://evil.pkg.dev/v2/token'],
    ['10.1.2.3', 'https://10.1.2.4/token'],
    ['10.1.2.3', 'https://9.1.2.3/token'],
    ['[fd00::1]', 'https://[fd00::2]/token'],
    ['registry', 'https://auth/token'],
    ['quay.io', 'http://quay.io/token'],
    ['quay.io', 'https://user:pw@quay.io/token'],
    ['quay.io', 'https://evil.example@evil.example/token'],
    ['quay.io', 'ftp://quay.io/token'],
    ['quay.io', 'file:///etc/passwd'],
    ['quay.io', '/v2/auth'],
    ['quay.io', ''],
    ['quay.io', 'https://'],
  ])('of %s may not be %s', (host, realm) => {
    expect(trusts(host, realm)).toBe(false)
  })

  test('may be plain HTTP only where the rule of the registry says insecure', () => {
    expect(trusts('registry.example:5000', 'http://registry.example:5001/token', true)).toBe(true)
    expect(trusts('registry.example:5000', 'http://registry.example:5001/token', false)).toBe(false)
    expect(trusts('registry.example:5000', 'http://evil.test:5001/token', true)).toBe(false)
  })
})

describe('a registry that names a realm elsewhere', () => {
  async function world() {
    const registry = await startFakeUpstream()
    const thief = await startFakeUpstream()
    const realm = `http://thief.test:${new URL(thief.origin).port}/token`
    registry.setAuth({ kind: 'bearer', users, realm })
    thief.setAuth({ kind: 'bearer', users })
    const lookup = resolving({ 'thief.test': '127.0.0.1' })
    return { registry, thief, lookup, thiefHost: new URL(realm).host }
  }

  test('I9: gets no login sent there', async () => {
    const { registry, thief, lookup, thiefHost } = await world()
    const { client } = startClient([loginRule(registry.host), thiefHost], { lookup })
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { host: registry.host, reason: 'NotAllowed' } })
    expect(error.message).toContain(`http://${thiefHost}, which does not belong to it`)
    expect(thief.requests).toEqual([])
  })

  test('gets nobody sent there without a login either', async () => {
    const { registry, thief, lookup, thiefHost } = await world()
    const { client } = startClient([registry.host, thiefHost], { lookup })
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
    expect(thief.requests).toEqual([])
  })
})

test('I9: a realm over plain HTTP of a registry over HTTPS gets nothing', async () => {
  const eavesdropper = await startFakeUpstream({ auth: { kind: 'bearer', users } })
  const registry = await startFakeUpstream({ tls: await authority.certificate(['127.0.0.1']) })
  registry.setAuth({ kind: 'bearer', users, realm: `${eavesdropper.origin}/token` })
  const { client } = startClient([{ ...loginRule(registry.host), insecure: false }, eavesdropper.host])
  const error = await failureOf(client.manifest(at(registry.host), 'v1'))
  expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
  expect(eavesdropper.requests).toEqual([])
})

test('a realm at a sister host gets the login, over HTTPS', async () => {
  const tls = await authority.certificate(['registry.example.com', 'auth.example.com'])
  const issuer = await startFakeUpstream({ tls })
  const registry = await startFakeUpstream({ tls })
  const named = (name: string, origin: string): string => `${name}.example.com:${new URL(origin).port}`
  const host = named('registry', registry.origin)
  const issuerHost = named('auth', issuer.origin)
  registry.setAuth({ kind: 'bearer', users, realm: `https://${issuerHost}/token` })
  issuer.setAuth({ kind: 'bearer', users })
  registry.put('lib/app', image, { tag: 'v1' })
  const lookup = resolving({ 'registry.example.com': '127.0.0.1', 'auth.example.com': '127.0.0.1' })
  const { client } = startClient(
    [
      { ...loginRule(host), insecure: false },
      { host: issuerHost, insecure: false },
    ],
    { lookup },
  )
  // The issuer's tokens mean nothing to this registry, so it refuses in the end; the way there counts.
  const error = await failureOf(client.manifest(at(host), 'v1'))
  expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'Unauthorized' } })
  expect(issuer.tokenRequests.map(({ username }) => username)).toEqual(['robot', undefined])
})

test('a registry that no rule names gains nothing for its realm from the rules for others', async () => {
  const [registry, inner] = await Promise.all([startFakeUpstream(), startFakeUpstream()])
  const all = createHosts([registry.host, inner.host].map((host) => ({ host, insecure: true })))
  // Loopback can only be asked when it is named: this registry is, but sends on like one that is not.
  const sendsOn = createHosts([{ host: registry.host, insecure: true }])
  const hosts = { ...all, seenFrom: (url: URL) => (url.host === registry.host ? sendsOn : all) }
  const { log } = recordingLog()
  const transport = createTransport({ hosts, userAgent: 'weir/test', log, timeouts: defaultTimeouts })
  onTestFinished(() => transport.close())
  const tokens = createTokens({ hosts, transport, retry: defaultRetryPolicy, log, now: Date.now })
  const origin = new URL(registry.origin)
  const common = { host: registry.host, origin, realm: `${inner.origin}/token`, service: undefined, scope: 'x' }
  const credentials = [
    undefined,
    { id: 'a', username: 'robot', password: 'pa55word!' },
    { id: 'b', username: 'robot', identityToken: 'pa55word!' },
  ]
  for (const credential of credentials) {
    const error = await failureOf(tokens.get({ ...common, credential }))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
  }
  expect(inner.requests).toEqual([])
})
