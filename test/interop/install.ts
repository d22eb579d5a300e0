/** Installs what the interop tests need and is not there yet: Debian packages by apt-get, Go tools by the Go toolchain. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { must, run } from './support/process.ts'

/** Debian package by the program that it brings. */
const debian = {
  'docker-registry': 'docker-registry',
  skopeo: 'skopeo',
  podman: 'podman',
  dockerd: 'docker.io',
  docker: 'docker.io',
  containerd: 'containerd',
  ctr: 'containerd',
  strace: 'strace',
  wrk: 'wrk',
} as const

/** Go module by the program that it brings. */
const go = { crane: 'github.com/google/go-containerregistry/cmd/crane@v0.20.6' } as const

/** Where the Go tools go: outside git's sight, within the project. */
export const goBin = resolve(import.meta.dirname, '../../node_modules/.cache/interop-bin')

/** The path with which the tools are found. */
export const toolPath = `${goBin}:${process.env.PATH ?? ''}`

async function has(program: string): Promise<boolean> {
  return (await run('which', [program])).code === 0
}

async function installDebian(): Promise<void> {
  const missing = new Set<string>()
  for (const [program, name] of Object.entries(debian)) if (!(await has(program))) missing.add(name)
  if (missing.size === 0) return
  console.log(`installing Debian packages: ${[...missing].join(' ')}`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  await must('apt-get', ['update'], { env, timeoutMs: 300_000 })
  await must('apt-get', ['install', '-y', '--no-install-recommends', ...missing], { env, timeoutMs: 600_000 })
}

async function installGo(): Promise<void> {
  for (const [program, module] of Object.entries(go)) {
    if (existsSync(join(goBin, program))) continue
    console.log(`installing ${module}`)
    await must('go', ['install', module], { env: { GOBIN: goBin }, timeoutMs: 600_000 })
  }
}

if (import.meta.main) {
  await installDebian()
  await installGo()
}
