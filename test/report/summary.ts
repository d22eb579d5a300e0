/** Counts what the runners' reports tell, and prints the one closing line. Exits 1 unless everything ran and passed. */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Counts, countReport, countStages } from './counts.ts'

const root = resolve(import.meta.dirname, '../..')
const reports = join(root, 'reports')

/** Every report that must be there; a runner that wrote none has failed. */
const expected = ['unit.json', 'interop.json', 'store-kill.json', 'content-kill.json', 'push-kill.json']

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    return undefined
  }
}

const reasons = (await readJson(join(root, 'test/skips.json'))) as Record<string, string>
const stages = await readFile(join(reports, 'stages.jsonl'), 'utf8').catch(() => '')
const total: Counts = countStages(stages)
for (const name of expected) {
  const counts = countReport(name, await readJson(join(reports, name)), reasons)
  total.passed += counts.passed
  total.failed += counts.failed
  total.skipped += counts.skipped
  total.problems.push(...counts.problems)
}
for (const problem of total.problems) console.log(`- ${problem}`)
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exitCode = total.failed === 0 && total.problems.length === 0 ? 0 : 1
