/** What a hostile registry does, beside what `fake-upstream-faults.ts` knows: behaviours for the rules of its script. */
import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { type FakeAnswer, type FakeInterceptor, type FakeMatch, fakeAnswer, matches } from './fake-upstream-answers.ts'
import type { HostileRule } from './hostile-registry.ts'

/** Every request: for behaviours that want a pattern of their own. */
export const any = /^/

/** Of those that match, the requests that come with a login or a token: the others are asked for one first. */
export function withLogin(path: RegExp): FakeMatch {
  return (request) => request.headers.authorization !== undefined && matches(path, request)
}

/** Answers so, whatever was asked. */
export function answers(
  status: number,
  body: Buffer | string = '',
  headers: Record<string, string> = {},
): FakeInterceptor {
  return () => ({ ...fakeAnswer(status, '', headers), body: Buffer.from(body) })
}

/** A page for people. */
export function htmlPage(status: number): FakeInterceptor {
  const page = '<!DOCTYPE html><html><body><h1>Please log in</h1></body></html>'
  return answers(status, page, { 'content-type': 'text/html; charset=utf-8' })
}

/** The honest answer without one header. Without Content-Length the body comes in chunks. */
export function without(header: 'content-type' | 'content-length' | 'docker-content-digest'): FakeInterceptor {
  return async (req, res, next) => {
    const { status, body, headers } = await next()
    const { [header]: _left, ...rest } = headers
    const length = header === 'content-length' ? {} : { 'content-length': String(body.length) }
    res.writeHead(status, { ...rest, ...length })
    if (req.method === 'HEAD') res.end()
    else res.write(body, () => res.end())
    return undefined
  }
}

/** Promises the whole, sends so many bytes of the body, and resets the connection (RST, no FIN). */
export function resetsAt(bytes: number): FakeInterceptor {
  return sendingPart(bytes, (res) => void res.socket?.resetAndDestroy())
}

/** Promises the whole, sends so many bytes of the body, and nothing more. */
export function stallsAt(bytes: number): FakeInterceptor {
  return sendingPart(bytes, () => undefined)
}

function sendingPart(bytes: number, then: (res: ServerResponse) => void): FakeInterceptor {
  return async (req, res, next) => {
    const { status, headers, body } = await next()
    res.writeHead(status, { 'content-length': String(body.length), ...headers })
    res.flushHeaders()
    if (req.method === 'HEAD') return void res.end()
    res.write(body.subarray(0, bytes), () => then(res))
    return undefined
  }
}

/** Takes the request, and says nothing. */
export const neverAnswers: FakeInterceptor = () => undefined

/** Sends a header byte by byte: each soon enough, the last never. */
export const dripsHeaders: FakeInterceptor = (_req, res) => dripping(res, 'HTTP/1.1 200 OK\r\nx-header: ', 'x')

/** Says that the answer is under way, again and again (RFC 8297). */
export const earlyHints: FakeInterceptor = (_req, res) => {
  const hint = 'HTTP/1.1 103 Early Hints\r\n\r\n'
  return dripping(res, hint, hint)
}

/** Past what Node knows of the answer. */
function dripping(res: ServerResponse, first: string, each: string): undefined {
  res.socket?.write(first)
  const dripping = setInterval(() => res.socket?.write(each), 20)
  res.once('close', () => clearInterval(dripping))
}

/** Sends the body byte by byte: each soon enough, the whole never. */
export const drips: FakeInterceptor = async (_req, res, next) => {
  const { status, headers } = await next()
  res.writeHead(status, { ...headers, 'content-length': String(2 ** 20) })
  const dripping = setInterval(() => res.write(' '), 20)
  res.once('close', () => clearInterval(dripping))
  return undefined
}

/** A body of so many bytes, all of them blanks, with its true Content-Length. */
export function large(bytes: number, contentType: string): FakeInterceptor {
  const chunk = Buffer.alloc(64 * 1024, ' ')
  return (req, res) => {
    res.writeHead(200, { 'content-type': contentType, 'content-length': String(bytes) })
    if (req.method === 'HEAD') return void res.end()
    let left = bytes
    const pump = (): void => {
      while (left > 0 && !res.destroyed) {
        const piece = chunk.subarray(0, Math.min(left, chunk.length))
        left -= piece.length
        if (!res.write(piece)) return
      }
      if (left === 0) res.end()
    }
    res.on('drain', pump)
    pump()
    return undefined
  }
}

/** 429, with whatever `Retry-After` says, or without one. */
export function tooMany(retryAfter?: string): FakeInterceptor {
  const body = JSON.stringify({ errors: [{ code: 'TOOMANYREQUESTS', message: 'slow down' }] })
  const headers = { 'content-type': 'application/json' }
  return answers(429, body, retryAfter === undefined ? headers : { ...headers, 'retry-after': retryAfter })
}

/** Asks for a token from `realm`, whatever comes. */
export function challenges(realm: string, status = 401): FakeInterceptor {
  const headers = {
    'www-authenticate': `Bearer realm="${realm}",service="hostile"`,
    'content-type': 'application/json',
  }
  return answers(status, '{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}', headers)
}

/** Tokens that the registry takes once each, though it says that they live for 300 s: the rules for its endpoint and all else. */
export function oneUseTokens(origin: string, prefix: string): HostileRule[] {
  const good = new Set<string>()
  let given = 0
  const endpoint: FakeInterceptor = (req, res, next) => {
    const token = `${prefix}-${given++}`
    good.add(`Bearer ${token}`)
    return answers(200, JSON.stringify({ token, expires_in: 300 }), { 'content-type': 'application/json' })(
      req,
      res,
      next,
    )
  }
  const registry: FakeInterceptor = (req, res, next) =>
    good.delete(req.headers.authorization ?? '') ? next() : challenges(`${origin}/token`)(req, res, next)
  return [
    { on: /^GET \/token/, does: endpoint },
    { on: / \/v2\/.+\//, does: registry },
  ]
}

/** Answers so, a while later. */
export function slowly(does: FakeInterceptor, ms = 20): FakeInterceptor {
  return async (req, res, next) => {
    await delay(ms)
    return does(req, res, next)
  }
}

/** A page of a list of tags that are new each time, with a next page always. */
export function endlessTagPages(tagsOfPage: number): FakeInterceptor {
  return (req) => {
    const path = (req.url ?? '').split('?')[0] ?? ''
    const page = Number(new URL(req.url ?? '', 'http://any').searchParams.get('page') ?? 0)
    const tags = Array.from({ length: tagsOfPage }, (_, i) => `t${page}-${i}`)
    return listOfTags(tags, `<${path}?page=${page + 1}>; rel="next"`)
  }
}

/** A page of a list of tags, with a `Link` as it is given. */
export function listOfTags(tags: readonly string[], link?: string): FakeAnswer {
  const headers = { 'content-type': 'application/json', ...(link === undefined ? {} : { link }) }
  return fakeAnswer(200, JSON.stringify({ name: 'any', tags }), headers)
}
