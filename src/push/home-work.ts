import type { Logger } from 'pino'
import type { UpstreamLocation } from '../content/content.ts'
import { locationKey } from '../content/proof.ts'
import { RegistryError } from '../oci/errors.ts'
import { createGate } from '../streams/gate.ts'

/** What is done at the homes of projects: the same once for all who want it, and so many things at a time for one project. */
export interface HomeWork {
  /**
   * Does the work once for everybody who wants it meanwhile; `what` tells it from others at the location.
   *
   * @throws what the work threw; what the registry itself answered as the home's
   */
  once(location: UpstreamLocation, what: readonly string[], work: () => Promise<void>): Promise<void>
  /** @throws RegistryError TOOMANYREQUESTS when very many wait already, and what the work throws */
  inTurn(location: UpstreamLocation, work: () => Promise<void>): Promise<void>
}

/** Pushes to one registry on behalf of one project. */
const perHome = { most: 8, mostWaiting: 1000 }

export function createHomeWork({ log }: { log: Logger }): HomeWork {
  const enter = createGate(perHome)
  const underWay = new Map<string, Promise<void>>()

  return {
    once(location, what, work) {
      const key = JSON.stringify([locationKey(location), ...what])
      const joined = underWay.get(key)
      if (joined !== undefined) return joined
      const started = work()
        .catch((error: unknown) => {
          // Clients are told less: which logins were tried is no business of theirs.
          const { host, repository, project } = location
          log.warn({ err: error, host, repository, project, what: what[0] }, 'could not push on to a home registry')
          throw atHome(error, location)
        })
        .finally(() => underWay.delete(key))
      underWay.set(key, started)
      return started
    },
    async inTurn(location, work) {
      const leave = await enter(`project ${location.project} at ${location.host}`)
      try {
        await work()
      } finally {
        leave()
      }
    },
  }
}

/** What the registry itself answered is told as the home's; bytes may have been on their way from another. */
function atHome(error: unknown, { host, project }: UpstreamLocation): unknown {
  if (!(error instanceof RegistryError) || error.upstream?.host !== host) return error
  const { code, message, detail, retryAfterSeconds, upstream } = error
  const after = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
  return new RegistryError(code, { message, detail, ...after, upstream: { ...upstream, home: project }, cause: error })
}
