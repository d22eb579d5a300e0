import type { IncomingMessage } from 'node:http'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { type FakeInterceptor, fakeAnswer, fakeError } from '../support/fake-upstream-answers.ts'
import { failing, resetting, truncated } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { at, loginRule, read, startClient } from './start-client.ts'

const image = makeImage('secrets')
const [layer = image.config] = image.layers
const password = 'pa55w0rd-of-the-robot'
const basic = Buffer.from(`robot:${password}`).toString('base64')
const users = { robot: password }

/** What a hostile upstream was told, to be told again where it does most harm. */
function told(req: IncomingMessage): string {
  const encoded = /^Basic (.+)$/.exec(req.headers.authorization ?? '')?.[1]
  const decoded = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString()
  return `${req.headers.authorization ?? ''} ${decoded}`.trim()
}

function echoing(answer: (text: string, req: IncomingMessage) => ReturnType<typeof fakeAnswer>): FakeInterceptor {
  return (req, _res, next) => (req.headers.authorization === undefined ? next() : answer(told(req), req))
}

const onTheWire: (head: (text: string) => string) => FakeInterceptor = (head) => (req, _res, next) => {
  if (req.headers.authorization === undefined) return next()
  req.socket.end(head(told(req)))
  return undefined
}

const hostile: [string, FakeInterceptor][] = [
  ['refuses and echoes in the body', echoing((text) => fakeError(401, text))],
  ['forbids and echoes in the body', echoing((text) => fakeError(403, text))],
  ['fails and echoes in the body', echoing((text) => fakeError(500, text))],
  ['is not a registry and echoes in the body', echoing((text) => fakeAnswer(200, text))],
  [
    'echoes in a JSON document',
    echoing((text) => fakeAnswer(200, JSON.stringify({ token: `${text}\n`, mediaType: text }))),
  ],
  ['echoes in the reason phrase', onTheWire((text) => `HTTP/1.1 418 ${text}\r\nContent-Length: 0\r\n\r\n`)],
  ['echoes in a broken header', onTheWire((text) => `HTTP/1.1 200 OK\r\n${text}\r\n\r\n`)],
  ['echoes in a broken status line', onTheWire((text) => `${text}\r\n\r\n`)],
  [
    'echoes in headers',
    echoing((text) => fakeAnswer(200, '{', { 'docker-content-digest': text, 'content-type': text })),
  ],
  ['echoes in Content-Encoding', echoing((text) => fakeAnswer(200, '{', { 'content-encoding': text }))],
  ['echoes in Content-Range', echoing((text) => fakeAnswer(206, '{', { 'content-range': text }))],
  ['echoes in Retry-After', echoing((text) => fakeAnswer(429, '{', { 'retry-after': text }))],
  ['redirects to the echo', echoing((text) => fakeAnswer(307, '', { location: `/${encodeURIComponent(text)}` }))],
  [
    'redirects to a forbidden echo',
    echoing((text) => fakeAnswer(307, '', { location: `ftp://x/?${encodeURIComponent(text)}` })),
  ],
  [
    'redirects to an echoing login',
    echoing((text) => fakeAnswer(307, '', { location: `https://${encodeURIComponent(text)}@x/` })),
  ],
  [
    'challenges with the echo',
    echoing((text, req) =>
      fakeError(401, 'UNAUTHORIZED', {
        'www-authenticate': `Bearer realm="http://${req.headers.host}/token?echo=${encodeURIComponent(text)}",service="${text}"`,
      }),
    ),
  ],
  [
    'challenges with the echo in the path',
    echoing((text, req) => {
      const realm = `http://${req.headers.host}/${encodeURIComponent(text)}`
      return fakeError(401, 'UNAUTHORIZED', { 'www-authenticate': `Bearer realm="${realm}"` })
    }),
  ],
  [
    'challenges with a login in the realm',
    echoing((text) =>
      fakeError(401, 'UNAUTHORIZED', { 'www-authenticate': `Bearer realm="https://${encodeURIComponent(text)}@x/"` }),
    ),
  ],
  ['breaks off', resetting((request) => request.headers.authorization !== undefined)],
  ['breaks off within the body', truncated((request) => request.headers.authorization !== undefined, 1)],
  ['is down', failing((request) => request.headers.authorization !== undefined, 503)],
  ['is honest', (_req, _res, next) => next()],
]

/** Everything that anybody could print of an error. */
function printed(error: unknown): string {
  const own = error instanceof Error ? Object.getOwnPropertyDescriptors(error) : {}
  const cause = error instanceof Error && error.cause !== undefined ? printed(error.cause) : ''
  return [
    inspect(error, { depth: 20, showHidden: true, getters: true }),
    JSON.stringify(error),
    inspect(own),
    cause,
  ].join('\n')
}

for (const kind of ['basic', 'bearer'] as const) {
  test.each(hostile)(
    `I9: no error and no log line holds a ${kind} secret when an upstream %s`,
    async (_what, interceptor) => {
      const registry = await startFakeUpstream({ auth: { kind, users } })
      registry.put('lib/app', image, { tag: 'v1' })
      const secrets = [password, basic]
      registry.intercept(interceptor)
      // Tokens are secrets as well.
      registry.intercept(async (req, _res, next) => {
        const token = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1]
        if (token !== undefined) secrets.push(token)
        return next()
      })
      const { client, logs } = startClient([loginRule(registry.host, password)])
      const from = at(registry.host)
      const outcomes = await Promise.allSettled([
        client.resolve(from, 'v1'),
        client.manifest(from, 'v1'),
        client.manifest(from, image.manifest.digest),
        client.blobSize(from, layer.digest),
        client.blob(from, layer.digest).then(({ body }) => read(body)),
        client.blob(from, layer.digest, { start: 1, end: 2 }).then(({ body }) => read(body)),
      ])
      const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [printed(outcome.reason)] : []))
      expect(logs.length).toBeGreaterThan(0)
      for (const text of [...errors, ...logs]) {
        for (const secret of secrets) {
          expect(text).not.toContain(secret)
          expect(text).not.toContain(encodeURIComponent(secret))
        }
      }
    },
  )
}
