/** Incoming notifications: registries tell of pushes, and what follows the tags that they name is checked at once. */
import type { Subject } from './access/access.ts'
import { createBuckets } from './access/attempts.ts'
import { createGuesses } from './notifications/guesses.ts'
import type { NotificationKey } from './notifications/key-secret.ts'
import { createKeys, type KeysOptions } from './notifications/keys.ts'
import { parseNotification } from './notifications/parse-notification.ts'
import { proofIn } from './notifications/proof.ts'
import type { ToldPush } from './notifications/told-push.ts'
import { RegistryError } from './oci/errors.ts'
import type { Schedule, ToldChange } from './schedule.ts'

/** A notification as it came. */
export interface SentNotification {
  /** As the path has it: of a project that may not be there. */
  project: string
  /** The value of a header by its name in lower case. */
  header(name: string): string | undefined
  /** Of the query, for senders that can send no header. */
  token: string | undefined
  body: Uint8Array
  /** Where it came from. */
  address: string
}

/** What a notification came to. */
export interface Received {
  /** Tags of the project that are checked now. */
  checked: number
  /** What it told of, as `lib/app:v1`; empty when it was about something else. */
  told: readonly string[]
}

export interface Notifications {
  /**
   * Has those tags of the project checked that follow what a notification says was pushed. It moves nothing by itself, and no digest
   * of it counts: where a tag stands upstream is asked there, with the project's own logins. `identified` is told by whose key it
   * came, before it is read.
   *
   * @throws RegistryError UNAUTHORIZED, the same for a wrong key and a project that is not there; TOOMANYREQUESTS for an address
   * that sent many wrong ones, and for a key that is used very often; UNSUPPORTED_MEDIA_TYPE; BAD_REQUEST for what is no notification
   */
  receive(sent: SentNotification, identified?: (subject: Subject) => void): Promise<Received>
  /** Checks that were brought forward since the start. */
  readonly checks: number
}

export interface NotificationsOptions extends KeysOptions {
  schedule: Pick<Schedule, 'checkNow'>
  /** Milliseconds since the epoch. */
  now: () => number
}

/** Of one project: a registry that tells of all it does is busy at times. */
const limit = { places: 600, refillMs: 50 }
/** How many a project's senders may send for good. */
export const notificationsPerMinute = 60_000 / limit.refillMs

export function createNotifications({ schedule, now, ...options }: NotificationsOptions): Notifications {
  const keysOf = createKeys(options)
  const guesses = createGuesses({ now })
  const received = createBuckets(limit, now)
  let checks = 0

  async function identify(sent: SentNotification): Promise<NotificationKey> {
    const { project, address } = sent
    const proof = proofIn(sent)
    if (proof === undefined) throw new RegistryError('UNAUTHORIZED', { message: keyMissing })
    return guesses.prove({ project, address, proof, keys: await keysOf(project) })
  }

  function takePlace(project: string): void {
    const waitMs = received.waitMs(project)
    if (waitMs > 0) {
      const retryAfterSeconds = Math.ceil(waitMs / 1000)
      throw new RegistryError('TOOMANYREQUESTS', { message: tooManySent, retryAfterSeconds })
    }
    received.take(project)
  }

  function check(project: string, pushes: readonly ToldPush[]): number {
    const everywhere: ToldChange[] = []
    let checked = 0
    for (const { hosts, isReachedOtherwise, repository, tag } of pushes) {
      const count = schedule.checkNow(
        project,
        hosts.map((host) => ({ host, repository, tag })),
      )
      checked += count
      if (hosts.length === 0 || (count === 0 && isReachedOtherwise)) everywhere.push({ repository, tag })
    }
    return everywhere.length === 0 ? checked : checked + schedule.checkNow(project, everywhere)
  }

  return {
    async receive(sent, identified) {
      const { project } = sent
      const { name } = await identify(sent)
      identified?.({ name: `system:notification-key:${project}:${name}`, groups: ['system:authenticated'] })
      takePlace(project)
      const pushes = parseNotification(sent)
      const checked = check(project, pushes)
      checks += checked
      return { checked, told: pushes.map(({ repository, tag }) => `${repository}:${tag}`) }
    },
    get checks() {
      return checks
    },
  }
}

const tooManySent = 'too many notifications for this project: wait'
const keyMissing =
  'a notification needs the key of its project: in the Authorization header, as X-Hub-Signature-256, or as ?token= where a sender can send no header'
