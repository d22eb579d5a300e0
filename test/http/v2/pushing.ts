/** Weir's HTTP front with a push in memory, and tokens that may push to `demo/app`. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type Harness, type HarnessOptions, startHttp, tokenFor } from '../harness.ts'
import { createMemoryPush, type MemoryPush } from './memory-push.ts'

export interface Pushing extends Harness {
  push: MemoryPush
  /** Opens a request whose body is the test's to send. */
  open(path: string, options: { method: string; token?: string; headers?: Record<string, string> }): ClientRequest
}

export const uploads = '/v2/demo/app/blobs/uploads/'

export async function startPushing(options: HarnessOptions = {}): Promise<Pushing> {
  const push = createMemoryPush()
  const harness = await startHttp({ ...options, parts: { push, ...options.parts } })
  harness.tokens.set('pusher', tokenFor('demo/app', ['pull', 'push']))
  const { port } = harness
  return {
    ...harness,
    push,
    open: (path, { method, token = 'pusher', headers = {} }) =>
      request({
        host: '127.0.0.1',
        port,
        path,
        method,
        headers: { authorization: `Bearer ${token}`, ...headers },
        agent: false,
      }),
  }
}

/** The answer to an open request, its body left out. */
export function answerTo(sent: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.on('error', reject)
    sent.on('response', (response) => {
      response.resume()
      resolve(response)
    })
  })
}
