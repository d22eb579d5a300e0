/** A process that writes numbered events until it is killed: DIRECTORY FIRST-NUMBER MAX-BYTES. */
import { setImmediate } from 'node:timers/promises'
import { createAudit } from '../../src/audit.ts'
import { auditEvent } from './event.ts'

const [directory = '', first = '0', maxBytes = '0'] = process.argv.slice(2)
const log = { info: () => undefined, warn: () => undefined }
const file = { output: 'file', directory, maxBytes: Number(maxBytes), maxFiles: 1000 } as const
const audit = createAudit({ ...file, now: Date.now, log })
for (let number = Number(first); ; ) {
  for (let i = 0; i < 100; i += 1, number += 1) audit.write(auditEvent({ requestId: String(number) }))
  await setImmediate()
}
