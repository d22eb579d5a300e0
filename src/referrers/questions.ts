import { createGate } from '../streams/gate.ts'

/** Puts a question to an upstream, when it is its turn. */
export type Question = <T>(host: string, ask: () => Promise<T>) => Promise<T>

export interface QuestionLimits {
  /** Most at the same time to one host; default 8. */
  perHost?: number
  /** Most that wait for one host; default 256. */
  waitingPerHost?: number
  /** Most at the same time to all hosts; default 32. */
  total?: number
  /** Most that wait besides those that wait for their hosts; default 256. */
  waiting?: number
}

/**
 * Limits questions of what refers to images: who asks about ten thousand images does not have their registries asked as often at once.
 * Those that find no room to wait fail with TOOMANYREQUESTS.
 */
export function createQuestions(limits: QuestionLimits = {}): Question {
  const { perHost = 8, waitingPerHost = 256, total = 32, waiting = 256 } = limits
  const hosts = createGate({ most: perHost, mostWaiting: waitingPerHost })
  const all = createGate({ most: total, mostWaiting: waiting })
  return async (host, ask) => {
    const leaveHost = await hosts(host)
    try {
      const leave = await all('the upstreams')
      try {
        return await ask()
      } finally {
        leave()
      }
    } finally {
      leaveHost()
    }
  }
}
