/** What one report, or all of them, came to. `problems` are sentences; any makes the whole a failure. */
export interface Counts {
  passed: number
  failed: number
  skipped: number
  problems: string[]
}

interface VitestReport {
  testResults: {
    name: string
    status: string
    message?: string
    assertionResults: { fullName: string; status: string }[]
  }[]
}

interface PlainReport {
  name: string
  passed: number
  failed: number
  skipped: number
}

/** Counts a vitest JSON report or one of the soak programs' own; missing and empty ones count as a failure. */
export function countReport(name: string, report: unknown, reasons: Record<string, string>): Counts {
  if (isVitest(report)) return closed(name, countVitest(report, reasons))
  if (isPlain(report))
    return closed(name, {
      passed: report.passed,
      failed: report.failed,
      skipped: report.skipped,
      problems: report.failed > 0 ? [`${name}: ${report.failed} failed`] : [],
    })
  return { passed: 0, failed: 1, skipped: 0, problems: [`${name}: no report, or one that can not be read`] }
}

/** Counts the stages that have no report of their own (types, lint), and says which others failed. */
export function countStages(lines: string): Counts {
  const stages = lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { name: string; ok: boolean; seconds: number })
  const failed = stages.filter((stage) => !stage.ok)
  return {
    passed: stages.length - failed.length,
    failed: failed.length + (stages.length === 0 ? 1 : 0),
    skipped: 0,
    problems: stages.length === 0 ? ['no stage ran'] : failed.map((stage) => `stage ${stage.name} failed`),
  }
}

function countVitest(report: VitestReport, reasons: Record<string, string>): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0, problems: [] }
  for (const file of report.testResults) {
    // A file that could not be loaded has no assertions to fail.
    if (file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed')) {
      counts.failed += 1
      counts.problems.push(`${file.name}: ${file.message?.split('\n')[0] ?? 'failed'}`)
    }
    for (const { fullName, status } of file.assertionResults) countTest(counts, fullName, status, reasons)
  }
  return counts
}

function countTest(counts: Counts, fullName: string, status: string, reasons: Record<string, string>): void {
  if (status === 'passed') counts.passed += 1
  else if (status === 'failed') {
    counts.failed += 1
    counts.problems.push(`failed: ${fullName}`)
  } else {
    counts.skipped += 1
    if (reasons[fullName] === undefined)
      counts.problems.push(`skipped without a reason in test/skips.json: ${fullName}`)
  }
}

function closed(name: string, counts: Counts): Counts {
  if (counts.passed + counts.failed > 0) return counts
  return { ...counts, failed: 1, problems: [...counts.problems, `${name}: the report is empty`] }
}

function isVitest(report: unknown): report is VitestReport {
  return typeof report === 'object' && report !== null && Array.isArray((report as VitestReport).testResults)
}

function isPlain(report: unknown): report is PlainReport {
  const { passed, failed, skipped } = (report ?? {}) as Partial<PlainReport>
  return [passed, failed, skipped].every((count) => Number.isInteger(count))
}
