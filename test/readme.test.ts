/** The README names what there is, and nothing else: keys of the config, annotations, verbs and metrics. */
import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { artifactTypeAnnotation } from '../src/api/image-objects.ts'
import { ownAnnotations } from '../src/api/own-annotations.ts'
import { referrersAnnotation } from '../src/api/own-referrers.ts'
import { configSchema } from '../src/config-schema.ts'
import { createCounters } from '../src/content/counters.ts'
import { createMetrics } from '../src/http/metrics.ts'
import { notificationKeyType } from '../src/notifications/key-secret.ts'
import { run } from './cli/run.ts'

const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')

/** What a table has in its first column, between backquotes, row by row; the table is known by its head. */
function firstColumn(head: string): string[][] {
  const [, rows] = readme.split(`\n| ${head} |`)
  const lines = (rows ?? '').split('\n').slice(2)
  const end = lines.findIndex((line) => !line.startsWith('|'))
  const cells = lines.slice(0, end).map((line) => line.split(/(?<!\\)\|/)[1] ?? '')
  return cells.map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text))
}

/** Paths of the keys that have a value of their own, array items included. */
function leavesOf(schema: z.core.JSONSchema.BaseSchema, prefix = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    if (typeof value === 'boolean') return [prefix + key]
    const items = typeof value.items === 'object' && !Array.isArray(value.items) ? value.items : {}
    const inner = [...leavesOf(value, `${prefix}${key}.`), ...leavesOf(items, `${prefix}${key}[].`)]
    return inner.length > 0 ? inner : [prefix + key]
  })
}

async function help(...argv: string[]): Promise<string> {
  const { code, stdout } = await run([...argv, '--help'])
  expect(code).toBe(0)
  return stdout
}

test('every key of the config is in the table, and no other', () => {
  const named = firstColumn('key | default | meaning').flatMap(([first = '', ...others]) => {
    const parent = first.slice(0, first.lastIndexOf('.') + 1)
    return [first, ...others.map((key) => (key.includes('.') ? key : parent + key))]
  })
  const all = leavesOf(z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }))
  // What is inside of a claim is told in its row.
  const told = all.map((key) => key.replace(/^(auth\.issuers\[\]\.(?:username|groups))(?:\[\])?\..*/, '$1'))
  expect(named.toSorted()).toEqual([...new Set(told)].toSorted())
})

test('every annotation, and type of a secret, is told of, and no other', () => {
  const named = new Set([...readme.matchAll(/(?<![\w/.])weir\.dev\/[a-z-]+(?![\w/])/g)].map(([name]) => name))
  const known = [...ownAnnotations, artifactTypeAnnotation, referrersAnnotation, notificationKeyType]
  expect([...named].toSorted()).toEqual(known.toSorted())
})

describe('a verb', async () => {
  const listed = (await help()).split('\nCommands:\n')[1] ?? ''
  const verbs = [...listed.matchAll(/^ {2}([a-z-]+) /gm)].flatMap(([, verb = '']) => (verb === 'help' ? [] : [verb]))
  const rows = firstColumn('command | does').flat()
  const verbOf = (command: string) => /^weir ([a-z-]+)/.exec(command)?.[1] ?? ''

  test('is in the table, and no other is', () => {
    expect(verbs).toContain('serve')
    const named = rows.filter((command) => command.startsWith('weir ')).map(verbOf)
    expect([...new Set(named)].toSorted()).toEqual(verbs.toSorted())
    const used = [...readme.matchAll(/(?:npx |`)weir ([a-z][a-z-]+)/g)].map(([, verb = '']) => verb)
    expect([...new Set(used)].filter((verb) => !verbs.includes(verb))).toEqual([])
  })

  test.each(verbs)('%s has the options that the table has', async (verb) => {
    const options = rows
      .filter((row) => verbOf(row) === verb)
      .flatMap((row) => row.match(/(?<!\w)--?[a-z][a-z-]*/g) ?? [])
    const told = `${await help(verb)}\n${await help()}`
    for (const option of options) expect(told).toMatch(new RegExp(`(?<![\\w-])${option}(?![\\w-])`))
  })
})

test('every metric of its own is in the table, and no other', async () => {
  const retention = { counts: () => ({}) }
  const metrics = createMetrics({
    audit: { lost: 0 },
    content: { counters: createCounters() },
    maxContentBytes: 1,
    retention,
    push: { uploadCount: async () => 0 },
    notifications: { checks: 0 },
    budgets: { requests: () => [] },
    loginEnds: () => [],
    following: { counters: { tags: 0, failing: 0 } },
    schedule: {
      counters: { tags: 0, sources: 0, checks: { unchanged: 0, moved: 0, failed: 0, deferred: 0 }, lateMs: 0 },
    },
  })
  const { text } = await metrics.render()
  const names = [...text.matchAll(/^# TYPE (weir_\w+) /gm)].map(([, name = '']) => name)
  const told = firstColumn('metric | tells')
    .flat()
    .map((cell) => cell.replace(/\{.*/, ''))
  expect(told.toSorted()).toEqual(names.toSorted())
})
