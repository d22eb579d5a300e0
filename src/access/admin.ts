import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { RegistryError } from '../oci/errors.ts'
import type { Store } from '../store/store.ts'
import { type Admin, mastersGroup, type Subject } from './access.ts'
import { type AdminRecord, adminKey, adminName, type Identities, parseAdminRecord } from './identities.ts'

/** The admin's token starts so, for people and secret scanners. */
export const adminTokenPrefix = 'weir_admin_'

/** Makes the admin's token and keeps its hash under `meta/admin`. */
export function createAdmin(options: { store: Store; identities: Identities; now: () => number }): Admin {
  const { store, identities, now } = options
  return {
    ensureAdmin: async ({ kubeconfigExists }) => {
      const entry = await store.get(adminKey)
      if (kubeconfigExists && entry !== undefined && parseAdminRecord(entry.value) !== undefined) return undefined
      const token = `${adminTokenPrefix}${randomBytes(32).toString('base64url')}`
      const record: AdminRecord = {
        uid: randomUUID(),
        hash: hash(token).toString('hex'),
        createdAt: new Date(now()).toISOString(),
      }
      const result = await store.commit({
        operations: [{ type: 'put', key: adminKey, value: JSON.stringify(record) }],
        preconditions: [{ key: adminKey, revision: entry?.revision ?? 0 }],
      })
      if (result.status !== 'committed') {
        throw new RegistryError('UNAVAILABLE', {
          message: `the admin's token could not be stored (${result.status}): start again`,
        })
      }
      await identities.reached(result.revision)
      return token
    },
  }
}

/** The admin, when `secret` is the token of `record`. Compared by hash, in constant time. */
export function adminSubject(secret: string, record: AdminRecord | undefined): Subject | undefined {
  const expected = Buffer.from(record?.hash ?? '', 'hex')
  const given = hash(secret)
  if (record === undefined || expected.length !== given.length || !timingSafeEqual(expected, given)) return undefined
  return { name: adminName, groups: [mastersGroup, 'system:authenticated'], uid: record.uid }
}

function hash(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
