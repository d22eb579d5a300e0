import { gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { createDocuments, type DocumentsOptions } from '../../src/upstream/documents.ts'
import { type FakeAnswer, startFakeIssuer } from '../support/fake-issuer.ts'

async function world(answer: FakeAnswer, options: Partial<DocumentsOptions> = {}) {
  const server = await startFakeIssuer()
  server.answers.set('/doc', answer)
  const documents = createDocuments({ userAgent: 'weir/test', ...options })
  onTestFinished(async () => {
    await documents.close()
    await server.stop()
  })
  const fetch = (path = '/doc') => documents.fetch(`${server.issuer}${path}`, { certificateAuthority: server.ca })
  return { server, documents, fetch }
}

test('fetches a document from a private address, by a certificate of the authority given', async () => {
  const { fetch } = await world({ a: 'ü' })
  expect(await fetch()).toBe('{"a":"ü"}')
})

test('says who it is, and keeps no connection', async () => {
  let headers = {}
  const { fetch } = await world((request, response) => {
    headers = request.headers
    response.end('x')
  })
  await fetch()
  expect(headers).toMatchObject({ 'user-agent': 'weir/test', connection: 'close', 'accept-encoding': 'identity' })
  expect(headers).not.toHaveProperty('authorization')
})

test('trusts the authority given in the place of all others, for its own host alone', async () => {
  const { server, documents, fetch } = await world('x')
  const other = await startFakeIssuer()
  onTestFinished(() => other.stop())
  await expect(documents.fetch(`${server.issuer}/doc`)).rejects.toThrow('is not trusted')
  await expect(documents.fetch(`${server.issuer}/doc`, { certificateAuthority: other.ca })).rejects.toThrow(
    'is not trusted',
  )
  expect(await fetch()).toBe('x')
  await expect(documents.fetch(`${other.issuer}/doc`, { certificateAuthority: server.ca })).rejects.toThrow(
    'is not trusted',
  )
})

test.each([301, 302, 303, 307, 308])('follows no %i', async (status) => {
  const { server, fetch } = await world((_, response) => void response.writeHead(status, { location: '/other' }).end())
  server.answers.set('/other', 'x')
  await expect(fetch()).rejects.toThrow(`answered ${status} when asked for /doc`)
  expect(server.requests).toEqual(['/doc'])
})

test.each([201, 204, 206, 400, 401, 404, 500, 503])('%i is no document', async (status) => {
  const { fetch } = await world(
    (_, response) =>
      void response.writeHead(status).end('secret of the answer'.slice(0, status === 204 ? 0 : undefined)),
  )
  await expect(fetch()).rejects.toThrow(new RegExp(`^localhost:\\d+ answered ${status} when asked for /doc$`))
})

test('takes no more bytes than it was told to', async () => {
  const { fetch, server } = await world('x'.repeat(100), { maxBytes: 100 })
  expect(await fetch()).toHaveLength(100)
  server.answers.set('/doc', 'x'.repeat(101))
  await expect(fetch()).rejects.toThrow('more than the 100 bytes')
})

test('a body that is compressed, unasked, is not blown up', async () => {
  const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024))
  const { fetch } = await world((_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb))
  expect((await fetch()).length).toBeLessThan(100_000)
})

test.each<[string, FakeAnswer]>([
  ['never answers', () => {}],
  ['never ends', (_, response) => void response.writeHead(200).write('x')],
])('a host that %s is given up', async (_, answer) => {
  const { fetch } = await world(answer, { timeoutMs: 50 })
  await expect(fetch()).rejects.toThrow('gave no whole answer within 0.05 s')
})

test('a connection that breaks is an error that says so', async () => {
  const { fetch } = await world((request) => void request.socket.destroy())
  await expect(fetch()).rejects.toThrow(/^localhost:\d+ could not be reached: /)
})

test('a host that nobody listens at is an error that says so', async () => {
  const { documents } = await world('x')
  await expect(documents.fetch('https://127.0.0.1:1/doc')).rejects.toThrow('127.0.0.1:1 could not be reached')
})

test('plain HTTP is not spoken', async () => {
  const { documents } = await world('x')
  await expect(documents.fetch('http://localhost/doc')).rejects.toThrow('is no https URL')
})
