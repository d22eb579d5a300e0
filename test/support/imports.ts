import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

/** What each file imports: other files by path below `src`, and outside packages by name. */
export type ImportGraph = Map<string, { files: string[]; packages: string[] }>

/** Parts from left to right; a part may import those listed, itself always. */
export const layers: Record<string, readonly string[]> = {
  oci: [],
  store: ['oci'],
  upstream: ['oci'],
  content: ['oci'],
  access: ['oci', 'store'],
  streams: ['oci', 'store', 'upstream', 'content', 'access'],
  flows: ['oci', 'store', 'upstream', 'content', 'access', 'streams'],
  api: ['oci', 'store', 'upstream', 'content', 'access', 'streams', 'flows'],
  http: ['oci', 'store', 'upstream', 'content', 'access', 'streams', 'flows', 'api'],
  weir: ['oci', 'store', 'upstream', 'content', 'access', 'streams', 'flows', 'api', 'http'],
  cli: ['oci'],
  main: ['weir', 'cli'],
}

/** The parts that may import an outside package; a package not listed may be used by any. */
export const homes: Record<string, readonly string[]> = {
  hono: ['http', 'api'],
  '@hono/node-server': ['http'],
  level: ['store'],
  undici: ['upstream'],
  jose: ['access'],
  bcryptjs: ['access'],
  '@peculiar/x509': ['http'],
  commander: ['cli', 'main'],
  'prom-client': ['http', 'weir'],
}

/** Parts that are files of their own, side by side below `src`. */
const fileParts: Record<string, readonly string[]> = {
  flows: [
    'pull-through',
    'importer',
    'tag-events',
    'tagging',
    'projects',
    'audit',
    'pull-secrets',
    'push',
    'referrers',
    'deletions',
    'quotas',
    'triggers',
    'retention',
    'collector',
    'schedule',
    'following',
    'notifications',
  ],
  weir: [
    'weir',
    'config',
    'config-schema',
    'config-values',
    'config-files',
    'config-issuers',
    'config-logins',
    'config-proxies',
    'admin-kubeconfig',
    'listeners',
    'lifetime',
    'open-parts',
    'open-access',
    'open-content',
    'open-imports',
    'open-logins',
    'open-pushes',
    'open-upstream',
    'start-error',
    'log',
  ],
  main: ['main', 'serve', 'rotate-secret-key'],
}

/** The part of the house that a file below `src` belongs to; a file at home nowhere is a part of its own name. */
export function partOf(file: string): string {
  const [name = file] = file.split(/[/.]/)
  return Object.keys(fileParts).find((part) => fileParts[part]?.includes(name)) ?? name
}

/** Reads the imports of every TypeScript file below `root`, dynamic and type imports as well. */
export function readImports(root: string): ImportGraph {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => /\.[jt]s$/.test(file))
  return new Map(files.map((file) => [file, importsOf(root, file)]))
}

function importsOf(root: string, file: string): { files: string[]; packages: string[] } {
  const text = readFileSync(join(root, file), 'utf8')
  const names = [...text.matchAll(/(?:from|import|import\()\s*'([^']+)'/g)].map((match) => match[1] ?? '')
  const files = names
    .filter((name) => name.startsWith('.'))
    .map((name) => relative(root, resolve(root, dirname(file), name)))
  const packages = names.filter((name) => !name.startsWith('.') && !name.startsWith('node:')).map(packageName)
  return { files, packages }
}

function packageName(specifier: string): string {
  const parts = specifier.split('/')
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? specifier)
}

/** Every import against the layers or of a package away from home, as the chain that leads from a part's file to it. */
export function forbiddenChains(graph: ImportGraph): string[] {
  const chains: string[] = []
  for (const start of graph.keys()) {
    const allowed = [partOf(start), ...(layers[partOf(start)] ?? [])]
    for (const path of walk(graph, start)) {
      const end = path.at(-1) ?? start
      // The entry, which imports dynamically, may reach everything; others may reach, through whatever, only their left.
      if (!allowed.includes(partOf(end)) && partOf(start) !== 'main') chains.push(path.join(' -> '))
    }
    for (const name of graph.get(start)?.packages ?? []) {
      if (homes[name] !== undefined && !homes[name].includes(partOf(start))) chains.push(`${start} -> ${name}`)
    }
  }
  return chains
}

/** Import cycles between files, each once. */
export function cycles(graph: ImportGraph): string[] {
  const found = new Set<string>()
  for (const start of graph.keys()) {
    for (const path of walk(graph, start)) {
      const end = path.at(-1) ?? start
      if (graph.get(end)?.files.includes(start) === true) found.add([...path].sort().join(', '))
    }
  }
  return [...found]
}

/** Shortest import paths from `start` to each file that it reaches. */
function* walk(graph: ImportGraph, start: string): Generator<string[]> {
  const seen = new Set([start])
  const queue = [[start]]
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    for (const next of graph.get(path.at(-1) ?? '')?.files ?? []) {
      if (seen.has(next)) continue
      seen.add(next)
      const longer = [...path, next]
      yield longer
      queue.push(longer)
    }
  }
}
