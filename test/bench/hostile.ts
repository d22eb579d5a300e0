/** What hostile input costs: the CPU time of one refusal, median of 5. None may stop the event loop for long. */
import { maxSmallBodyBytes, readBody } from '../../src/api/body.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { spread } from './measure.ts'

const bytes = 4 * 1024 * 1024
const keys = Array.from({ length: 200_000 }, (_, i) => `"\\u006b${i}":""`).join(',')

const manifests: Record<string, string> = {
  'manifest of brackets': '['.repeat(bytes),
  'manifest of quotes': '"'.repeat(bytes),
  'manifest of escapes': `"${'\\'.repeat(bytes - 1)}`,
  'manifest of blanks': `{"a"${' '.repeat(bytes - 10)}:1}`,
  'manifest of digits': '1'.repeat(bytes),
  'manifest of escaped keys': `{"schemaVersion":2,"annotations":{${keys}}}`,
}

const yaml: Record<string, string> = {
  'YAML of keys': filled('', (i) => `${i.toString(36)}: 1\n`),
  'YAML of keys in a flow map': filled('{', (i) => `${i.toString(36)},`),
  'YAML of errors': filled('a: [', () => ','),
}

function filled(start: string, piece: (i: number) => string): string {
  let text = start
  for (let i = 0; text.length < maxSmallBodyBytes - 10; i += 1) text += piece(i)
  return text
}

async function cost(refuse: () => unknown): Promise<string> {
  const rounds: number[] = []
  for (let round = 0; round < 5; round += 1) {
    const before = process.cpuUsage()
    try {
      await refuse()
    } catch {
      // What is measured is how long the refusal takes.
    }
    const { user, system } = process.cpuUsage(before)
    rounds.push((user + system) / 1000)
  }
  return spread(rounds, 0)
}

export async function run(): Promise<void> {
  console.log('CPU ms of one refusal, 5 rounds; median (least-most)')
  for (const [name, text] of Object.entries(manifests)) {
    console.log(`${name}: ${await cost(() => parseManifest(Buffer.from(text), mediaTypes.ociManifest))}`)
  }
  for (const [name, text] of Object.entries(yaml)) {
    const request = () =>
      new Request('http://localhost/', { method: 'POST', body: text, headers: { 'content-type': 'application/yaml' } })
    console.log(`${name}: ${await cost(() => readBody(request()))}`)
  }
}
