import { PassThrough, Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createTerminal, type Input } from '../../src/cli/terminal.ts'

/** A terminal where these pieces are typed, and what it shows. */
function typed(...pieces: string[]) {
  const shown: string[] = []
  const stream = Readable.from(pieces.map((piece) => Buffer.from(piece)))
  const input: Input = Object.assign(stream, { isTTY: true, setRawMode: () => {} })
  return { terminal: createTerminal(input, { write: (text) => shown.push(text) }), shown: () => shown.join('') }
}

describe('a question', () => {
  test.each([
    [['jane\r'], 'jane'],
    [['ja', 'ne', '\n'], 'jane'],
    [['jx\u007fane\r'], 'jane'],
    [['\u007f\u007fjane\b\b\r'], 'ja'],
    [['wrong\u0015jane\r'], 'jane'],
    [['jürgen🙂\u007f\r'], 'jürgen'],
    [['\u001b[Ajane\t\r'], '[Ajane'],
  ])('answered by %j is %s', async (pieces, answer) => {
    expect(await typed(...pieces).terminal.ask('Who? ')).toBe(answer)
  })

  test('shows what is typed, and of a secret nothing, not even its length', async () => {
    const plain = typed('ab\u007fc\r')
    await plain.terminal.ask('Who? ')
    expect(plain.shown()).toBe('Who? ab\b \bc\n')
    const secret = typed('s3c\u007fr\u0015et\r')
    expect(await secret.terminal.ask('What? ', { secret: true })).toBe('et')
    expect(secret.shown()).toBe('What? \n')
  })

  test('keeps what was typed ahead for the next one', async () => {
    const { terminal } = typed('jane\rs3cret\r')
    expect(await terminal.ask('Who? ')).toBe('jane')
    expect(await terminal.ask('What? ', { secret: true })).toBe('s3cret')
  })

  test.each([['\u0003'], ['\u0004'], ['half a line']])('is broken off by %j', async (text) => {
    const { terminal } = typed(text)
    await expect(terminal.ask('Who? ')).rejects.toThrow('broken off')
    await expect(terminal.ask('Who? ')).rejects.toThrow('broken off')
  })

  test('of any text is answered by its printable part', async () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((text) => !/\p{Cc}/u.test(text))
    await fc.assert(
      fc.asyncProperty(line, async (text) => {
        expect(await typed(`${text}\r`).terminal.ask('?', { secret: true })).toBe(text)
      }),
      { numRuns: 200 },
    )
  })
})

test('nobody is there without a terminal', async () => {
  const output = { write: () => {} }
  expect(createTerminal(undefined, output).isInteractive).toBe(false)
  expect(createTerminal(Readable.from(['x']), output).isInteractive).toBe(false)
  await expect(createTerminal(undefined, output).ask('?')).rejects.toThrow('nobody')
  expect(await createTerminal(undefined, output).readAll()).toBe('')
})

test('what is piped in is read to its end, and not without one', async () => {
  const output = { write: () => {} }
  const split = Buffer.from('pä')
  expect(await createTerminal(Readable.from([split.subarray(0, 2), split.subarray(2)]), output).readAll()).toBe('pä')
  const endless = new PassThrough()
  endless.write('x'.repeat(70_000))
  await expect(createTerminal(endless, output).readAll()).rejects.toThrow('64 KiB')
})
