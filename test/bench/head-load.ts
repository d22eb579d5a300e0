import { connect, type Socket } from 'node:net'

/** What a load came to. */
export interface LoadResult {
  requests: number
  seconds: number
  failures: number
  latenciesMs: Float64Array
}

const endOfHeader = Buffer.from('\r\n\r\n')

/**
 * Sends HEAD requests over kept connections, one at a time on each: wrk waits for the body that a HEAD never has. An
 * answer other than 200 counts as a failure.
 */
export async function loadHead(
  url: string,
  headers: Record<string, string>,
  connections: number,
  seconds: number,
): Promise<LoadResult> {
  const { hostname, port, pathname, host } = new URL(url)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const request = Buffer.from(`HEAD ${pathname} HTTP/1.1\r\nHost: ${host}\r\n${lines.join('')}\r\n`)
  const latencies: number[] = []
  let failures = 0
  const begin = performance.now()
  const end = begin + seconds * 1000
  const drive = (socket: Socket): Promise<void> =>
    new Promise((resolve, reject) => {
      let sentAt = performance.now()
      let pending: Buffer = Buffer.alloc(0)
      socket.on('error', reject)
      socket.on('data', (chunk: Buffer) => {
        pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
        if (!pending.includes(endOfHeader)) return
        const now = performance.now()
        latencies.push(now - sentAt)
        if (!pending.subarray(0, 12).equals(ok)) failures += 1
        pending = Buffer.alloc(0)
        if (now >= end) return void socket.end(resolve)
        sentAt = now
        socket.write(request)
      })
      socket.write(request)
    })
  await Promise.all(
    Array.from({ length: connections }, () => drive(connect({ host: hostname, port: Number(port), noDelay: true }))),
  )
  return {
    requests: latencies.length,
    seconds: (performance.now() - begin) / 1000,
    failures,
    latenciesMs: Float64Array.from(latencies).sort(),
  }
}

const ok = Buffer.from('HTTP/1.1 200')
