import { describe, expect, test } from 'vitest'
import { createRequestCounts } from '../../src/upstream/request-counts.ts'

describe('requests', () => {
  test.each([
    [0, 'unreachable'],
    [200, 'ok'],
    [206, 'ok'],
    [307, 'ok'],
    [401, 'denied'],
    [403, 'denied'],
    [404, 'not_found'],
    [405, 'error'],
    [418, 'error'],
    [429, 'throttled'],
    [503, 'error'],
  ])('that were answered %i are %s', (status, result) => {
    const counts = createRequestCounts([])
    counts.add('a.example', false, status)
    counts.add('a.example', false, status)
    counts.add('a.example', true, status)
    expect(counts.list()).toEqual([
      { host: 'a.example', isBackground: false, result, count: 2 },
      { host: 'a.example', isBackground: true, result, count: 1 },
    ])
  })

  test('are of a bounded number of registries, those with a name of their own among them', () => {
    const counts = createRequestCounts(['named.example:5000'])
    for (let i = 0; i < 5000; i++) counts.add(`r${i}.example`, false, 200)
    counts.add('named.example:5000', false, 200)
    const hosts = new Set(counts.list().map(({ host }) => host))
    expect(hosts.size).toBe(102)
    expect(hosts).toContain('named.example:5000')
    expect(counts.list().find(({ host }) => host === 'other')?.count).toBe(4900)
  })
})
