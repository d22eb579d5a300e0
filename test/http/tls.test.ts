import { X509Certificate } from 'node:crypto'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { listen } from '../../src/http/server.ts'
import { ownCertificate, readCertificate } from '../../src/http/tls.ts'
import { testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'

const hosts = ['localhost', '127.0.0.1', '::1', 'weir.example.com']
const dayMs = 86_400_000

async function world() {
  const directory = join(await temporaryDirectory(), 'tls')
  const clock = testClock(Date.now())
  const make = (names: readonly string[] = hosts) => ownCertificate({ directory, hosts: names, now: clock.now })
  return { directory, clock, make }
}

test('a new authority lives 10 years, the certificate 1 year and for all hosts', async () => {
  const { make, clock } = await world()
  const made = await make()
  const authority = new X509Certificate(made.authority)
  const leaf = new X509Certificate(made.cert)
  expect(authority.ca).toBe(true)
  expect(leaf.ca).toBe(false)
  expect(leaf.verify(authority.publicKey)).toBe(true)
  expect((Date.parse(authority.validTo) - clock.now()) / dayMs).toBeCloseTo(3650, 0)
  expect((Date.parse(leaf.validTo) - clock.now()) / dayMs).toBeCloseTo(365, 0)
  for (const name of ['localhost', 'weir.example.com']) expect(leaf.checkHost(name)).toBe(name)
  for (const address of ['127.0.0.1', '::1']) expect(leaf.checkIP(address)).toBe(address)
  expect(leaf.checkHost('other.example.com')).toBeUndefined()
})

test('keys are readable by their owner alone', async () => {
  const { make, directory } = await world()
  await make()
  for (const name of ['ca.key', 'tls.key']) expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600)
  expect((await stat(directory)).mode & 0o777).toBe(0o700)
})

test('every file ends its last line, so that others can be put after it', async () => {
  const { make, directory } = await world()
  await make()
  for (const name of ['ca.crt', 'ca.key', 'tls.crt', 'tls.key'])
    expect(await readFile(join(directory, name), 'utf8')).toMatch(/-----\n$/)
})

test('what is there is used again', async () => {
  const { make } = await world()
  const first = await make()
  expect(await make()).toEqual(first)
})

test('a certificate is renewed under the same authority when 30 days are left, not before', async () => {
  const { make, clock } = await world()
  const first = await make()
  clock.advance(334 * dayMs)
  expect(await make()).toEqual(first)
  clock.advance(2 * dayMs)
  const second = await make()
  expect(second.authority).toBe(first.authority)
  expect(second.cert).not.toBe(first.cert)
})

test('a host that is not in the certificate makes another', async () => {
  const { make } = await world()
  const first = await make()
  const second = await make([...hosts, 'new.example.com'])
  expect(second.authority).toBe(first.authority)
  expect(new X509Certificate(second.cert).checkHost('new.example.com')).toBe('new.example.com')
})

test('an authority near its end is replaced, and the certificate with it', async () => {
  const { make, clock } = await world()
  const first = await make()
  clock.advance(3625 * dayMs)
  const second = await make()
  expect(second.authority).not.toBe(first.authority)
  expect(new X509Certificate(second.cert).verify(new X509Certificate(second.authority).publicKey)).toBe(true)
})

test('a certificate never outlives its authority', async () => {
  const { make, clock } = await world()
  const { authority } = await make()
  clock.advance(3600 * dayMs)
  const late = await make()
  expect(late.authority).toBe(authority)
  expect(new X509Certificate(late.cert).validTo).toBe(new X509Certificate(authority).validTo)
})

test.each(['tls.key', 'tls.crt', 'ca.key'])('a broken %s is made anew', async (name) => {
  const { make, directory } = await world()
  await make()
  await writeFile(join(directory, name), 'half a file')
  const { cert, authority } = await make()
  expect(new X509Certificate(cert).verify(new X509Certificate(authority).publicKey)).toBe(true)
  expect(await readFile(join(directory, name), 'utf8')).toContain('-----BEGIN')
})

test('a certificate of a lost authority is not used', async () => {
  const { make, directory } = await world()
  const first = await make()
  await rm(join(directory, 'ca.crt'))
  const second = await make()
  expect(second.cert).not.toBe(first.cert)
})

test("the operator's certificate is read, and refused with the file that is wrong", async () => {
  const { make, directory } = await world()
  const { cert, key } = await make()
  const file = (name: string) => join(directory, name)
  expect(await readCertificate({ certFile: file('tls.crt'), keyFile: file('tls.key') })).toEqual({ cert, key })
  await expect(readCertificate({ certFile: file('tls.crt'), keyFile: file('ca.key') })).rejects.toThrow(
    /ca\.key is not the key of/,
  )
  await expect(readCertificate({ certFile: file('no'), keyFile: file('tls.key') })).rejects.toThrow(/no is not there/)
  await expect(readCertificate({ certFile: file('tls.key'), keyFile: file('tls.key') })).rejects.toThrow(
    /not a certificate/,
  )
  await expect(readCertificate({ certFile: file('tls.crt'), keyFile: file('tls.crt') })).rejects.toThrow(
    /not a private key/,
  )
})

test('a client that trusts the authority alone reaches the listener by name and by address', async () => {
  const { make } = await world()
  const { key, cert, authority } = await make()
  const listening = await listen({ host: '127.0.0.1', port: 0, tls: { key, cert } })
  onTestFinished(() => listening.stop(0))
  listening.serve((_incoming, outgoing) => void outgoing.end('hello'))
  const get = (servername: string | undefined): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: listening.port, ca: authority, agent: false as const }
      request(servername === undefined ? options : { ...options, servername }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
  expect(await get('localhost')).toBe(200)
  expect(await get(undefined)).toBe(200)
  await expect(get('other.example.com')).rejects.toThrow(/altnames/)
})
