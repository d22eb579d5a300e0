/** Installs what the interop tests need and is not there yet: Debian packages by apt-get, Go programs by the Go toolchain. */
import { existsSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { must, run } from './support/process.ts'

/** Debian package by the program that it brings. */
const debian = {
  'docker-registry': 'docker-registry',
  skopeo: 'skopeo',
  podman: 'podman',
  buildah: 'buildah',
  dockerd: 'docker.io',
  docker: 'docker.io',
  containerd: 'containerd',
  ctr: 'containerd',
  strace: 'strace',
  curl: 'curl',
  mke2fs: 'e2fsprogs',
  wrk: 'wrk',
} as const

/**
 * Programs that the Go module in `tools` builds: those that its `go.mod` names as tools, at its versions, and kubectl. They share
 * one module so that what they have in common, Kubernetes' libraries above all, is compiled once.
 */
const goPrograms = ['kubectl', 'conformance', 'cosign', 'crane', 'helm', 'oras', 'regctl'] as const

/**
 * Debian packages that collide with what is installed, or start a server of their own: unpacked aside, with the program that is
 * wanted of each.
 */
const aside = { 'kubernetes-client': 'usr/bin/kubectl', nginx: 'usr/sbin/nginx' } as const

/** Where the Go programs go: outside git's sight, within the project. */
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

/** All at once, the same way: what one has compiled the others find, and the next run on this machine. */
async function buildGo(): Promise<void> {
  const missing = goPrograms.filter((program) => !existsSync(join(goBin, program)))
  if (missing.length === 0) return
  console.log(`building with Go: ${missing.join(' ')}`)
  const began = performance.now()
  // kubectl takes its version from the linker.
  const ldflags = '-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2'
  const env = { CGO_ENABLED: '0', GOGC: '400' }
  const cwd = join(import.meta.dirname, 'tools')
  await mkdir(goBin, { recursive: true })
  await must('go', ['build', '-trimpath', ldflags, '-o', `${goBin}/`, 'tool', './kubectl'], {
    cwd,
    env,
    timeoutMs: 1_500_000,
  })
  console.log(`built in ${Math.round((performance.now() - began) / 1000)} s`)
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
  await buildGo()
  await unpackAside()
}
