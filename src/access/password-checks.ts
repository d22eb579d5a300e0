import { Worker } from 'node:worker_threads'
import { RegistryError } from '../oci/errors.ts'

/**
 * Compares passwords with bcrypt hashes, one after the other, on a thread that starts with the first. Who asks are served
 * in turn, so that many questions of one hold up nobody else.
 */
export interface PasswordChecks {
  /**
   * @param from who asks: their address
   * @throws RegistryError UNAVAILABLE when too many wait already, or the thread ended
   */
  matches(password: string, hash: string, from: string): Promise<boolean>
}

interface Check {
  password: string
  hash: string
  resolve(matches: boolean): void
  reject(error: Error): void
}

const maxWaiting = 256
const maxWaitingOfOne = 32
const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 }

export function createPasswordChecks({ signal }: { signal: AbortSignal }): PasswordChecks {
  const queue = createQueue()
  let worker: Worker | undefined
  let running: Check | undefined

  const runNext = (): void => {
    if (running !== undefined) return
    running = queue.next()
    if (running === undefined) return
    worker ??= start()
    const { password, hash } = running
    worker.postMessage({ password, hash })
  }

  const start = (): Worker => {
    const started = new Worker(new URL('./password-worker.js', import.meta.url), { execArgv: [], resourceLimits })
    started.unref()
    started.on('message', (matches: boolean) => {
      running?.resolve(matches)
      running = undefined
      runNext()
    })
    // An error is followed by the end.
    started.on('error', () => undefined)
    started.on('exit', () => {
      if (worker !== started) return
      worker = undefined
      running?.reject(busy('passwords can not be checked now'))
      running = undefined
      runNext()
    })
    return started
  }

  signal.addEventListener('abort', () => {
    const ended = worker
    worker = undefined
    void ended?.terminate()
    for (let check = running ?? queue.next(); check !== undefined; check = queue.next()) check.reject(stopping())
    running = undefined
  })

  return {
    matches: (password, hash, from) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(stopping())
        if (!queue.add(from, { password, hash, resolve, reject })) {
          return reject(busy('too many passwords wait to be checked'))
        }
        runNext()
      }),
  }
}

/** Checks that wait, by who asks. */
function createQueue() {
  const waiting = new Map<string, Check[]>()
  let count = 0
  return {
    /** @returns false when there is no room */
    add(from: string, check: Check): boolean {
      const own = waiting.get(from) ?? []
      if (count >= maxWaiting || own.length >= maxWaitingOfOne) return false
      own.push(check)
      waiting.set(from, own)
      count++
      return true
    },
    /** The first of whoever has waited longest for a turn. */
    next(): Check | undefined {
      const [from, own] = waiting.entries().next().value ?? []
      if (from === undefined || own === undefined) return undefined
      const check = own.shift()
      waiting.delete(from)
      if (own.length > 0) waiting.set(from, own)
      count--
      return check
    },
  }
}

function stopping(): RegistryError {
  return busy('Weir is stopping')
}

function busy(why: string): RegistryError {
  return new RegistryError('UNAVAILABLE', { message: `${why}: try again`, retryAfterSeconds: 5 })
}
