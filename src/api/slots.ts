import { mastersGroup, type Subject } from '../access/access.ts'
import { RegistryError } from '../oci/errors.ts'
import { createGate } from '../streams/gate.ts'

/**
 * Keeps the requests of one tenant from taking the memory and the time of all: some are under way, others wait for their
 * turn. Who has sent no more than headers waits cheaply.
 */
export interface Slots {
  /**
   * Waits for a slot of the subject and its tenant, and answers how to give it back; masters need none.
   *
   * @throws RegistryError TOOMANYREQUESTS; UNAVAILABLE when the client left meanwhile
   */
  take(subject: Subject, signal: AbortSignal): Promise<() => void>
}

/** A request may hold several times the largest stream in memory, until its client has read the answer. */
const ofSubject = { most: 4, mostWaiting: 500 }
/** All robots of a project are one tenant: whoever may make one may make a thousand. */
const ofTenant = { most: 8, mostWaiting: 1000 }

const serviceAccount = /^(system:serviceaccount:[^:]+):/

export function createSlots(): Slots {
  const enterAsSubject = createGate(ofSubject)
  const enterAsTenant = createGate(ofTenant)

  async function enter({ name }: Subject): Promise<() => void> {
    const leaveSubject = await enterAsSubject(name)
    try {
      const leaveTenant = await enterAsTenant(serviceAccount.exec(name)?.[1] ?? name)
      return () => {
        leaveTenant()
        leaveSubject()
      }
    } catch (error) {
      leaveSubject()
      throw error
    }
  }

  return {
    async take(subject, signal) {
      if (subject.groups.includes(mastersGroup)) return () => undefined
      const leave = await enter(subject)
      if (!signal.aborted) return leave
      leave()
      throw new RegistryError('UNAVAILABLE', { message: 'the client has left' })
    },
  }
}
