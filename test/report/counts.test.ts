import { describe, expect, test } from 'vitest'
import { countReport, countStages } from './counts.ts'

const vitest = (...tests: [string, string][]) => ({
  testResults: [
    {
      name: 'a.test.ts',
      status: 'passed',
      assertionResults: tests.map(([fullName, status]) => ({ fullName, status })),
    },
  ],
})

describe('counts', () => {
  test('a vitest report is counted by its tests', () => {
    const report = vitest(['a', 'passed'], ['b', 'passed'], ['c', 'failed'])
    expect(countReport('unit', report, {})).toMatchObject({ passed: 2, failed: 1, skipped: 0, problems: ['failed: c'] })
  })

  test('a skip without a reason is a problem, one with a reason is not', () => {
    const report = vitest(['a', 'passed'], ['b', 'skipped'])
    expect(countReport('unit', report, {}).problems).toHaveLength(1)
    expect(countReport('unit', report, { b: 'no such hardware' }).problems).toHaveLength(0)
  })

  test.each([
    ['missing', undefined],
    ['null', null],
    ['empty', vitest()],
    ['of another shape', { tests: 3 }],
    ['plain and empty', { name: 'x', passed: 0, failed: 0, skipped: 0 }],
  ])('a report that is %s is a failure', (_, report) => {
    expect(countReport('unit', report, {}).failed).toBe(1)
    expect(countReport('unit', report, {}).problems).not.toHaveLength(0)
  })

  test('a file that could not be loaded is a failure', () => {
    const report = {
      testResults: [{ name: 'a.test.ts', status: 'failed', message: 'SyntaxError', assertionResults: [] }],
    }
    expect(countReport('unit', report, {}).failed).toBe(1)
  })

  test('a failed stage is a failure, and so is none at all', () => {
    expect(
      countStages('{"name":"types","ok":true,"seconds":1}\n{"name":"lint","ok":false,"seconds":1}\n'),
    ).toMatchObject({ passed: 1, failed: 1 })
    expect(countStages('').failed).toBe(1)
  })
})
