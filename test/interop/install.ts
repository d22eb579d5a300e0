/** Installs what the interop tests need and is not there yet: Debian packages by apt-get, Go tools by the Go toolchain. */
import { existsSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
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
  curl: 'curl',
  mke2fs: 'e2fsprogs',
  wrk: 'wrk',
} as const

/** Go module by the program that it brings. */
const go = { crane: 'github.com/google/go-containerregistry/cmd/crane@v0.20.6' } as const

/** Programs that are built from sources of ours here, by folder. */
const builds = ['kubectl'] as const

/**
 * Debian packages that collide with what is installed, or start a server of their own: unpacked aside, with the program that is
 * wanted of each.
 */
const aside = { 'kubernetes-client': 'usr/bin/kubectl', nginx: 'usr/sbin/nginx' } as const

/** Where the Go tools go: outside git's sight, within the project. */
export const goBin = resolve(import.meta.dirname, '../../node_modules/.cache/interop-bin')

/** Debian's kubectl, many releases older than the current one. */
export const oldKubectl = join(goBin, 'kubernetes-client', aside['kubernetes-client'])

/** Debian's nginx. */
export const nginx = join(goBin, 'nginx', aside.nginx)

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

async function buildGo(): Promise<void> {
  for (const name of builds) {
    if (existsSync(join(goBin, name))) continue
    console.log(`building ${name}`)
    const cwd = join(import.meta.dirname, name)
    const ldflags = '-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2'
    await must('go', ['build', '-trimpath', ldflags, '-o', join(goBin, name), '.'], { cwd, timeoutMs: 900_000 })
  }
}

async function unpackAside(): Promise<void> {
  for (const [name, program] of Object.entries(aside)) {
    const directory = join(goBin, name)
    if (existsSync(join(directory, program))) continue
    console.log(`unpacking the Debian package ${name}`)
    await mkdir(directory, { recursive: true })
    await must('apt-get', ['update'], { timeoutMs: 300_000 })
    await must('apt-get', ['download', name], { cwd: directory, timeoutMs: 300_000 })
    const [archive] = (await readdir(directory)).filter((file) => file.endsWith('.deb'))
    await must('dpkg', ['-x', join(directory, archive ?? ''), directory])
  }
}

if (import.meta.main) {
  await installDebian()
  await installGo()
  await buildGo()
  await unpackAside()
}
