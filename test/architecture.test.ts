import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cycles, forbiddenChains, homes, type ImportGraph, layers, partOf, readImports } from './support/imports.ts'

const root = resolve(import.meta.dirname, '../src')
const graph = readImports(root)

describe('the house', () => {
  test('every part imports to its left only, and packages stay at home', () => {
    expect(forbiddenChains(graph)).toEqual([])
  })

  test('no file imports itself through others', () => {
    expect(cycles(graph)).toEqual([])
  })

  test('every file belongs to a part', () => {
    expect([...graph.keys()].filter((file) => layers[partOf(file)] === undefined)).toEqual([])
  })

  test('every package that has a home is used there', () => {
    const used = new Set([...graph.values()].flatMap(({ packages }) => packages))
    expect(Object.keys(homes).filter((name) => !used.has(name))).toEqual([])
  })
})

describe('the guard of the house', () => {
  const bad: ImportGraph = new Map([
    ['cli/run.ts', { files: ['oci/digest.ts'], packages: [] }],
    ['oci/digest.ts', { files: ['store/level.ts'], packages: [] }],
    ['store/level.ts', { files: [], packages: ['level', 'hono'] }],
    ['streams/a.ts', { files: ['streams/b.ts'], packages: [] }],
    ['streams/b.ts', { files: ['streams/a.ts'], packages: [] }],
  ])

  test('prints the whole chain of a forbidden import', () => {
    expect(forbiddenChains(bad)).toContain('cli/run.ts -> oci/digest.ts -> store/level.ts')
    expect(forbiddenChains(bad)).toContain('oci/digest.ts -> store/level.ts')
  })

  test('names a package away from home', () => {
    expect(forbiddenChains(bad)).toContain('store/level.ts -> hono')
  })

  test('finds a cycle', () => {
    expect(cycles(bad)).toEqual(['streams/a.ts, streams/b.ts'])
  })
})

test('package.json and the Dockerfile name the same Node', () => {
  const project = JSON.parse(readFileSync(join(root, '../package.json'), 'utf8')) as {
    devDependencies: { node: string }
  }
  const major = /\d+/.exec(project.devDependencies.node)?.[0]
  expect(readFileSync(join(root, '../Dockerfile'), 'utf8')).toContain(`FROM node:${major}-slim`)
})
