/** The conformance program of the OCI distribution specification against a Weir, with token authentication. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Login } from './support/clients.ts'
import { runConformance } from './support/conformance.ts'
import { type RunningWeir, startWeir } from './support/weir.ts'

let directory: string
let weir: RunningWeir
let login: Login

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-conformance-'))
  weir = await startWeir(directory)
})

afterAll(async () => {
  await weir?.stop()
  if (directory !== undefined) await rm(directory, { recursive: true, force: true })
})

/** Both repositories of a run were never used before. */
async function newProject(project: string): Promise<void> {
  await weir.weir('new-project', project)
  login = { username: 'ci', password: (await weir.weir('token', 'ci', '-n', project)).trim() }
  await weir.weir('grant', 'registry-editor', 'serviceaccount:ci', '-n', project)
}

const runs = [
  { name: 'stable', version: 'stable', settings: {} },
  { name: 'dev', version: 'dev', settings: {} },
  { name: 'stable, asking for a token with each request', version: 'stable', settings: { CACHE_AUTH: 'false' } },
] as const

/** What each version of the program does not ask for. An image without its layers is none, and is refused here. */
const disabled: Record<'stable' | 'dev', readonly string[]> = {
  stable: ['Blob upload cancel', 'Manifest put with tag params', 'Sparse Manifests', 'Tag Param', 'Tag Param sha512'],
  dev: ['Sparse Manifests'],
}

test.each(runs.map((run, i) => ({ ...run, project: `conformance-${i}` })))(
  'the OCI conformance program finds no fault: $name',
  async ({ name, version, settings, project }) => {
    await newProject(project)
    const results = join(directory, `results-${project}`)
    await mkdir(results)
    const {
      code,
      overall,
      counts,
      notPassed,
      results: told,
    } = await runConformance({
      registry: weir.host,
      repositories: [`${project}/repo1`, `${project}/repo2`],
      login,
      version,
      settings,
      directory: results,
    })
    console.log(`conformance, ${name}: ${JSON.stringify(counts)}; ${notPassed.join('; ') || 'nothing skipped'}`)
    const ended = Object.entries({ ...told?.apis, ...told?.data })
    expect(ended.length, 'what results.yaml tells of').toBeGreaterThan(45)
    const expected = (what: string) => (disabled[version].includes(what) ? 'Disabled' : 'Pass')
    expect(Object.fromEntries(ended)).toEqual(Object.fromEntries(ended.map(([what]) => [what, expected(what)])))
    expect(notPassed).toEqual([])
    expect({ code, overall, FAIL: counts.FAIL, Error: counts.Error }).toEqual({
      code: 0,
      overall: 'Pass',
      FAIL: 0,
      Error: 0,
    })
    expect(counts.Pass, 'tests that ran').toBeGreaterThan(800)
  },
)
