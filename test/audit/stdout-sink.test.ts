import { spawnSync } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { createStdoutSink } from '../../src/audit/stdout-sink.ts'
import { temporaryDirectory } from '../support/directory.ts'

test('two who write long lines into one pipe at once tear none of them', async () => {
  const path = join(await temporaryDirectory(), 'pipe')
  expect(spawnSync('mkfifo', [path]).status).toBe(0)
  const pipe = await open(path, 'r+')
  const lines = (letter: string): string[] =>
    Array.from({ length: 300 }, (_, i) => letter.repeat(100 + ((i * 997) % 3900)))
  const append = (letter: string) => createStdoutSink(pipe.fd).append(Buffer.from(`${lines(letter).join('\n')}\n`))
  const appended = Promise.all(['a', 'b'].map(append))
  const reader = await open(path, 'r')
  const received: string[] = []
  for await (const line of createInterface({ input: reader.createReadStream() })) {
    received.push(line)
    if (received.length === 600) break
  }
  expect((await appended).map(({ error }) => error)).toEqual([undefined, undefined])
  for (const letter of ['a', 'b']) expect(received.filter((line) => line.startsWith(letter))).toEqual(lines(letter))
  await pipe.close()
})
