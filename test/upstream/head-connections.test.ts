import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { at, startClient } from './start-client.ts'

/** A registry that answers as it is told to, and counts its connections. */
async function registry(answer: (path: string) => { headers: string[]; body?: string }) {
  const told = { connections: 0, asked: [] as string[], host: '' }
  const server = createServer((socket) => {
    let text = ''
    socket.on('error', () => undefined)
    socket.once('data', (data) => {
      // Whoever asks whether this is TLS is told at once that it is not.
      if (data[0] === 0x16) socket.destroy()
      else told.connections += 1
    })
    socket.on('data', (data) => {
      text += data.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const [, path = ''] = text.split(' ', 2)
        text = text.slice(end + 4)
        told.asked.push(path)
        const { headers, body = '' } = answer(path)
        socket.write(`HTTP/1.1 ${headers.join('\r\n')}\r\n\r\n${body}`)
      }
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  told.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  onTestFinished(() => void server.close())
  return told
}

const manifestOf = (path: string) => ({
  headers: [
    '200 OK',
    `Content-Type: ${mediaTypes.ociManifest}`,
    `Docker-Content-Digest: ${digestOf(path)}`,
    'Content-Length: 100',
  ],
})
const ping = { headers: ['200 OK', 'Content-Length: 0'] }
const answerOf = (path: string) => (path === '/v2/' ? ping : manifestOf(path))

test('questions where tags point share a connection: each would else cost a handshake', async () => {
  const told = await registry(answerOf)
  const { client } = startClient([told.host])
  // Before that it is found out how the registry wants to be asked.
  for (const tag of ['a', 'b']) await client.resolve(at(told.host), tag)
  const before = told.connections
  for (let i = 1; i < 6; i++) {
    const { digest } = await client.resolve(at(told.host), `v${i}`)
    expect(digest).toBe(digestOf(`/v2/lib/app/manifests/v${i}`))
  }
  expect(told.connections).toBe(before)
})

test('what a registry sends after the answer to a HEAD answers nobody else', async () => {
  const forged = `HTTP/1.1 200 OK\r\nContent-Type: ${mediaTypes.ociManifest}\r\nDocker-Content-Digest: ${digestOf('forged')}\r\nContent-Length: 100\r\n\r\n`
  const body = JSON.stringify({ annotations: { a: forged } })
  const told = await registry((path) => (path.endsWith('/evil') ? { ...manifestOf(path), body } : answerOf(path)))
  const { client } = startClient([told.host])
  for (let round = 0; round < 3; round++) {
    await client.resolve(at(told.host), 'evil').catch(() => undefined)
    const { digest } = await client.resolve(at(told.host), 'v1')
    expect(digest).toBe(digestOf('/v2/lib/app/manifests/v1'))
  }
})

test('a connection on which a blob was asked for by HEAD, or that was redirected to, is not used again', async () => {
  const storage = await registry(answerOf)
  const told = await registry((path) => {
    if (path.includes('/blobs/')) return { headers: ['200 OK', 'Content-Length: 100'] }
    if (!path.endsWith('/moved')) return answerOf(path)
    return { headers: ['307 Temporary Redirect', `Location: http://${storage.host}/elsewhere`, 'Content-Length: 0'] }
  })
  const { client } = startClient([told.host, storage.host])
  await client.resolve(at(told.host), 'v1')
  const before = told.connections
  for (let i = 0; i < 3; i++) await client.blobSize(at(told.host), digestOf(`blob ${i}`))
  expect(told.connections).toBeGreaterThanOrEqual(before + 2)
  for (let i = 0; i < 3; i++) await client.resolve(at(told.host), 'moved')
  expect(storage.connections).toBe(3)
})
