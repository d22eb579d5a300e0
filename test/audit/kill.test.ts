import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { auditEvent } from './event.ts'
import { type AuditWorld, auditWorld, idsOf } from './world.ts'

const script = fileURLToPath(new URL('./writer.ts', import.meta.url))

/** Lets a process write from `first` on, kills it while it writes, and answers the number after the last whole line. */
async function writeAndKill({ directory, text }: AuditWorld, first: number, maxBytes: number): Promise<number> {
  const writer = spawn(process.execPath, [script, directory, String(first), String(maxBytes)], { stdio: 'inherit' })
  onTestFinished(() => void writer.kill('SIGKILL'))
  const exited = once(writer, 'exit')
  await expect.poll(text, { timeout: 20_000 }).toContain(`"requestId":"${first + 2000}"`)
  writer.kill('SIGKILL')
  await exited
  return Math.max(...idsIn(await text())) + 1
}

/** The numbers of all lines that are whole. */
function idsIn(text: string): number[] {
  return text.split('\n').flatMap((line) => {
    try {
      return Number(JSON.parse(line).requestId)
    } catch {
      return []
    }
  })
}

test('a process that is killed while it writes leaves whole lines in order, and the next goes on after them', async () => {
  const world = await auditWorld()
  let next = 0
  for (let round = 0; round < 4; round += 1) next = await writeAndKill(world, next, 200_000)
  const whole = idsIn(await world.text())
  expect(whole).toEqual(Array.from({ length: next }, (_, i) => i))
  const audit = world.reopen()
  audit.write(auditEvent({ requestId: String(next) }))
  expect(await idsOf(audit)).toEqual([...whole, next].reverse().map(String))
  expect((await world.files()).length).toBeGreaterThan(4)
  const torn = (await world.text()).split('\n').filter((line) => line !== '').length - whole.length - 1
  expect(torn).toBeLessThanOrEqual(4)
})
