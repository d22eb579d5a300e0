/** Ways in which registries are known to misbehave, as interceptors for a fake upstream. */
import { gzipSync } from 'node:zlib'
import {
  type FakeAnswer,
  type FakeInterceptor,
  type FakeMatch,
  fakeAnswer,
  fakeError,
  matches,
  requestOf,
} from './fake-upstream-answers.ts'

/** Changes the answers to matching requests. */
export function changing(match: FakeMatch, change: (answer: FakeAnswer) => FakeAnswer): FakeInterceptor {
  return async (req, _res, next) => {
    const answer = await next()
    return matches(match, requestOf(req)) ? change(answer) : answer
  }
}

/** Answers matching requests with `answer` instead: all of them, or only the first `times`. */
export function answering(match: FakeMatch, answer: FakeAnswer, times = Number.POSITIVE_INFINITY): FakeInterceptor {
  let left = times
  return (req, _res, next) => (matches(match, requestOf(req)) && left-- > 0 ? answer : next())
}

/** Fails matching requests with a status, as `answering` does. */
export function failing(
  match: FakeMatch,
  status: number,
  options: { times?: number; headers?: Record<string, string> } = {},
): FakeInterceptor {
  return answering(match, fakeError(status, 'UNKNOWN', options.headers), options.times)
}

/** Refuses HEAD with 405. */
export const refusingHead: FakeInterceptor = (req, _res, next) => (req.method === 'HEAD' ? fakeAnswer(405) : next())

/** Sets a header of matching answers, or removes it when `value` is undefined. */
export function withHeader(match: FakeMatch, name: string, value: string | undefined): FakeInterceptor {
  return changing(match, (answer) => {
    const { [name.toLowerCase()]: _removed, ...headers } = answer.headers
    return { ...answer, headers: value === undefined ? headers : { ...headers, [name.toLowerCase()]: value } }
  })
}

/** Sends other bytes than those asked for, headers as they were. */
export function withBytes(match: FakeMatch, bytes: Buffer): FakeInterceptor {
  return changing(match, (answer) => ({ ...answer, body: bytes }))
}

/** Promises the whole body and destroys the socket after `bytes` of it. */
export function truncated(match: FakeMatch, bytes: number): FakeInterceptor {
  return changing(match, (answer) => ({ ...answer, cutAfter: bytes }))
}

/** Sends bodies with Content-Encoding gzip, asked for or not. */
export function gzipped(match: FakeMatch): FakeInterceptor {
  return changing(match, (answer) => ({
    ...answer,
    headers: { ...answer.headers, 'content-encoding': 'gzip' },
    body: gzipSync(answer.body),
  }))
}

/** Redirects matching requests to `location`, or to where a function of the path says. */
export function redirecting(
  match: FakeMatch,
  location: string | ((path: string) => string),
  status = 307,
): FakeInterceptor {
  return (req, _res, next) => {
    if (!matches(match, requestOf(req))) return next()
    return fakeAnswer(status, '', { location: typeof location === 'string' ? location : location(req.url ?? '') })
  }
}

/** Ignores Range: every answer is whole. */
export const ignoringRange: FakeInterceptor = (req, _res, next) => {
  delete req.headers.range
  return next()
}

/** Destroys the connection of matching requests without an answer: all of them, or only the first `times`. */
export function resetting(match: FakeMatch, times = Number.POSITIVE_INFINITY): FakeInterceptor {
  let left = times
  return (req, res, next) => {
    if (!matches(match, requestOf(req)) || left-- <= 0) return next()
    res.destroy()
    return undefined
  }
}

/** Sends a body without end to matching requests, chunked. */
export function endless(match: FakeMatch, headers: Record<string, string> = {}, status = 200): FakeInterceptor {
  const chunk = Buffer.alloc(64 * 1024, ' ')
  return (req, res, next) => {
    if (!matches(match, requestOf(req))) return next()
    res.writeHead(status, headers)
    const pump = (): void => {
      while (!res.destroyed && res.write(chunk));
    }
    res.on('drain', pump)
    pump()
    return undefined
  }
}

/** Destroys the connection of matching requests once `bytes` of what they send are there: of the first `times`. */
export function cuttingUpload(match: FakeMatch, bytes: number, times = Number.POSITIVE_INFINITY): FakeInterceptor {
  let left = times
  return (req, res, next) => {
    if (!matches(match, requestOf(req)) || left-- <= 0) return next()
    let came = 0
    req.on('data', (chunk: Buffer) => {
      came += chunk.length
      if (came >= bytes) res.destroy()
    })
    req.on('error', () => undefined)
    return undefined
  }
}
