import { once } from 'node:events'
import { rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connectionFailure } from '../../src/upstream/failure.ts'
import { createHostTls, type HostTlsFiles } from '../../src/upstream/host-tls.ts'
import type { UpstreamRule } from '../../src/upstream/upstream.ts'
import { testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { createFakeAuthority, type FakeCertificate } from '../support/fake-upstream-tls.ts'
import { makeImage } from '../support/images.ts'
import { at, failureOf, recordingLog, startClient } from './start-client.ts'

const authority = await createFakeAuthority()
const others = await createFakeAuthority()
const serverCertificate = await authority.certificate(['127.0.0.1', 'localhost'])
const image = makeImage('host tls')
const { digest, mediaType, bytes } = image.manifest

interface TlsRegistry {
  host: string
  /** Whom connections said that they are, one by one. */
  shown: (string | undefined)[]
}

/** A registry that asks for a client certificate, and insists on it where `required`. */
async function startTls(options: { required?: boolean; redirect?: () => string } = {}): Promise<TlsRegistry> {
  const { required = false, redirect } = options
  const shown: (string | undefined)[] = []
  const server = createServer(
    { ...serverCertificate, ca: authority.ca, requestCert: true, rejectUnauthorized: required },
    (req, res) => {
      if (redirect !== undefined) res.writeHead(307, { location: `${redirect()}${req.url}` }).end()
      else
        res
          .writeHead(200, { 'content-type': mediaType, 'content-length': bytes.length, connection: 'close' })
          .end(bytes)
    },
  )
  server.on('secureConnection', (socket: TLSSocket) => {
    const { subject } = socket.getPeerCertificate()
    shown.push(subject === undefined ? undefined : String(subject.CN))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, shown }
}

async function rule(host: string, pems: { ca?: string; client?: FakeCertificate }) {
  const directory = await temporaryDirectory()
  const clock = testClock()
  const { log, logs } = recordingLog()
  const write = async (name: string, pem: string) => {
    await writeFile(join(directory, `${name}.next`), pem)
    await rename(join(directory, `${name}.next`), join(directory, name))
    return { file: join(directory, name), pem }
  }
  const files: HostTlsFiles = {
    ...(pems.ca !== undefined && { certificateAuthority: await write('ca', pems.ca) }),
    ...(pems.client !== undefined && {
      clientCertificate: {
        certificate: await write('cert', pems.client.cert),
        key: await write('key', pems.client.key),
      },
    }),
  }
  const tls = createHostTls({ ...files, path: 'upstreams[0]', now: clock.now, log })
  const whole: UpstreamRule = { host, insecure: false, tls }
  return { rule: whole, write, later: () => clock.advance(5000), logs }
}

describe('the authority of a registry', () => {
  test('is trusted there', async () => {
    const registry = await startTls()
    const trusting = await rule(registry.host, { ca: authority.ca })
    const { client } = startClient([trusting.rule])
    expect(await client.manifest(at(registry.host), digest)).toMatchObject({ digest })
  })

  test('is trusted nowhere else', async () => {
    const [registry, other] = [await startTls(), await startTls()]
    const trusting = await rule(registry.host, { ca: authority.ca })
    const { client } = startClient([trusting.rule, { host: other.host, insecure: false }])
    const error = await failureOf(client.manifest(at(other.host), digest))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Tls' } })
    expect(error.message).toMatch(
      /the certificate of 127.0.0.1:\d+ is not trusted \(it is "127.0.0.1"'s, issued by "Test Authority", until .* GMT: /,
    )
    expect(error.message).toContain('certificateAuthorityFile in upstreams')
    expect(error.message).not.toContain('Node.js')
    expect(other.shown).toEqual([])
  })

  test('is the only one that is', async () => {
    const registry = await startTls()
    const trusting = await rule(registry.host, { ca: others.ca })
    const { client } = startClient([trusting.rule])
    expect(await failureOf(client.manifest(at(registry.host), digest))).toMatchObject({ upstream: { reason: 'Tls' } })
  })

  test('does not vouch for another name', async () => {
    const registry = await startTls()
    const port = registry.host.split(':')[1]
    const trusting = await rule(`elsewhere.test:${port}`, { ca: authority.ca })
    const lookup = ((_name: string, _options: object, callback: (error: null, found: object[]) => void) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }])) as never
    const { client } = startClient([trusting.rule], { lookup })
    const error = await failureOf(client.manifest(at(`elsewhere.test:${port}`), digest))
    expect(error.message).toContain(`it is "127.0.0.1"'s`)
    expect(error.message).toContain('ask for it by a name that its certificate is for, or name it in upstreams')
    expect(error.message).not.toContain('certificateAuthorityFile')
    expect(error).toMatchObject({ upstream: { reason: 'Tls' } })
  })

  test('is another when its file changes, for new connections', async () => {
    const registry = await startTls()
    const trusting = await rule(registry.host, { ca: others.ca })
    const { client } = startClient([trusting.rule])
    await failureOf(client.manifest(at(registry.host), digest))
    await trusting.write('ca', authority.ca)
    trusting.later()
    expect(await client.manifest(at(registry.host), digest)).toMatchObject({ digest })
    await trusting.write('ca', others.ca)
    trusting.later()
    expect(await failureOf(client.manifest(at(registry.host), digest))).toMatchObject({ upstream: { reason: 'Tls' } })
    await trusting.write('ca', authority.ca)
    trusting.later()
    await client.manifest(at(registry.host), digest)
    await trusting.write('ca', 'no certificate')
    trusting.later()
    expect(await client.manifest(at(registry.host), digest)).toMatchObject({ digest })
    expect(trusting.logs.join()).toContain('is no certificate in PEM; what it held before goes on')
  })
})

describe('a client certificate', async () => {
  const client1 = await authority.certificate(['weir-1'])
  const client2 = await authority.certificate(['weir-2'])

  test('is shown to its registry', async () => {
    const registry = await startTls({ required: true })
    const showing = await rule(registry.host, { ca: authority.ca, client: client1 })
    const { client } = startClient([showing.rule])
    expect(await client.manifest(at(registry.host), digest)).toMatchObject({ digest })
    expect(registry.shown).toEqual(['weir-1'])
  })

  test('is shown to no other, nor to where its registry redirects', async () => {
    const storage = await startTls()
    const registry = await startTls({ required: true, redirect: () => `https://${storage.host}` })
    const showing = await rule(registry.host, { ca: authority.ca, client: client1 })
    const trusting = await rule(storage.host, { ca: authority.ca })
    const { client } = startClient([showing.rule, trusting.rule])
    expect(await client.manifest(at(registry.host), digest)).toMatchObject({ digest })
    expect(await client.manifest(at(storage.host), digest)).toMatchObject({ digest })
    expect(registry.shown).toEqual(['weir-1'])
    expect(storage.shown).toEqual([undefined, undefined])
  })

  test.each([
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
    'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
  ])('that is missing or unknown is asked for: %s', (code) => {
    const cause = Object.assign(new Error('alert'), { code })
    const error = connectionFailure('a.example', new URL('https://a.example/v2/'), cause)
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Tls' } })
    expect(error.message).toContain('it may want a client certificate, or another: set certFile and keyFile')
  })

  test('that is missing is no reason to go on', async () => {
    const registry = await startTls({ required: true })
    const trusting = await rule(registry.host, { ca: authority.ca })
    const { client } = startClient([trusting.rule])
    expect(await failureOf(client.manifest(at(registry.host), digest))).toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('is another when both its files have changed, and never half of it', async () => {
    const registry = await startTls({ required: true })
    const showing = await rule(registry.host, { ca: authority.ca, client: client1 })
    const { client } = startClient([showing.rule])
    const show = async () => {
      showing.later()
      await client.manifest(at(registry.host), digest)
    }
    await show()
    await showing.write('cert', client2.cert)
    await show()
    await showing.write('key', client2.key)
    await show()
    expect(registry.shown).toEqual(['weir-1', 'weir-1', 'weir-2'])
    expect(showing.logs.join()).toContain('upstreams[0]: certificate and key, or authority, can not be used')
    expect(showing.logs.join()).not.toContain('PRIVATE')
  })
})
