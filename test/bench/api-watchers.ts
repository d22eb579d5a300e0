/** Many watchers of one list, as raw connections: what is measured is the server, not a client library. */
import { connect, type Socket } from 'node:net'

export interface Watchers {
  /** Settles when every watcher was told of the revision; answers each one's delay after `begunMs` (performance.now). */
  told(resourceVersion: string, begunMs: number): Promise<number[]>
  close(): void
}

/** Opens `count` watches of `path` on 127.0.0.1:port and waits until all are answered. */
export async function openWatchers(
  port: number,
  { path, token, count }: { path: string; token: string; count: number },
): Promise<Watchers> {
  const waiting = new Map<
    string,
    { left: number; delays: number[]; begunMs: number; done: (delays: number[]) => void }
  >()
  const early = new Map<string, number[]>()
  const onLine = (line: string): void => {
    const version = /"resourceVersion":"(\d+)"/.exec(line)?.[1]
    if (version === undefined || line.includes('"BOOKMARK"')) return
    const at = performance.now()
    const waiter = waiting.get(version)
    if (waiter === undefined) {
      early.set(version, [...(early.get(version) ?? []), at])
      return
    }
    note(waiter, at)
  }
  const note = (
    waiter: { left: number; delays: number[]; begunMs: number; done: (delays: number[]) => void },
    at: number,
  ): void => {
    waiter.delays.push(at - waiter.begunMs)
    waiter.left -= 1
    if (waiter.left === 0) waiter.done(waiter.delays)
  }
  const sockets: Socket[] = []
  for (let i = 0; i < count; i += 100) {
    const some = Array.from({ length: Math.min(100, count - i) }, () => openWatch(port, path, token, onLine))
    sockets.push(...(await Promise.all(some)))
  }
  return {
    told(resourceVersion, begunMs) {
      return new Promise((done) => {
        const waiter = { left: count, delays: [] as number[], begunMs, done }
        waiting.set(resourceVersion, waiter)
        for (const at of early.get(resourceVersion) ?? []) note(waiter, at)
        early.delete(resourceVersion)
      })
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Settles when the head of the answer is there. */
function openWatch(port: number, path: string, token: string, onLine: (line: string) => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`)
    })
    let begun = false
    let rest = ''
    socket.setEncoding('latin1')
    socket.on('error', reject)
    socket.on('data', (text: string) => {
      rest += text
      if (!begun) {
        const end = rest.indexOf('\r\n\r\n')
        if (end < 0) return
        if (!rest.startsWith('HTTP/1.1 200')) return reject(new Error(rest.slice(0, 300)))
        begun = true
        rest = rest.slice(end + 4)
        resolve(socket)
      }
      for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
        const line = rest.slice(0, end)
        rest = rest.slice(end + 1)
        // What is left between are the sizes of chunks.
        if (line.startsWith('{')) onLine(line)
      }
    })
  })
}
