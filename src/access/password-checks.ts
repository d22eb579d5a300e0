import { Worker } from 'node:worker_threads'
import { RegistryError } from '../oci/errors.ts'

/** Compares passwords with bcrypt hashes, one after the other, on a thread that starts with the first. */
export interface PasswordChecks {
  /** @throws RegistryError UNAVAILABLE when too many wait already, or the thread ended */
  matches(password: string, hash: string): Promise<boolean>
}

interface Waiting {
  resolve(matches: boolean): void
  reject(error: Error): void
}

const maxWaiting = 32
const resourceLimits = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 }

export function createPasswordChecks({ signal }: { signal: AbortSignal }): PasswordChecks {
  const waiting = new Map<number, Waiting>()
  let worker: Worker | undefined
  let nextId = 0

  const end = (): void => {
    worker = undefined
    for (const { reject } of waiting.values()) reject(busy('passwords can not be checked now'))
    waiting.clear()
  }

  const start = (): Worker => {
    const started = new Worker(new URL('./password-worker.js', import.meta.url), { execArgv: [], resourceLimits })
    started.unref()
    started.on('message', ({ id, matches }: { id: number; matches: boolean }) => {
      waiting.get(id)?.resolve(matches)
      waiting.delete(id)
    })
    // An error is followed by the end.
    started.on('error', () => undefined)
    started.on('exit', () => {
      if (worker === started) end()
    })
    return started
  }

  signal.addEventListener('abort', () => {
    void worker?.terminate()
    end()
  })

  return {
    matches: (password, hash) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(busy('Weir is stopping'))
        if (waiting.size >= maxWaiting) return reject(busy('too many passwords wait to be checked'))
        const id = nextId++
        waiting.set(id, { resolve, reject })
        worker ??= start()
        worker.postMessage({ id, password, hash })
      }),
  }
}

function busy(why: string): RegistryError {
  return new RegistryError('UNAVAILABLE', { message: `${why}: try again`, retryAfterSeconds: 5 })
}
