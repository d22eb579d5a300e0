/** Programs that push what is no image: charts, signatures, attestations, attachments. Each with a home of its own. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { goBin } from '../install.ts'
import type { Login } from './clients.ts'
import { type Finished, must, run } from './process.ts'
import { dockerConfig } from './push-clients.ts'

/** Runs a program to its end, with what it keeps of its user below `directory`. */
export type Program = (...args: string[]) => Promise<Finished>

/** A Go program in a home of its own, with a login for `host`. */
export async function programOf(name: string, directory: string, host: string, login?: Login): Promise<Program> {
  const home = join(directory, `${name}-home`)
  await dockerConfig(home, `${host}/`, login)
  const env = {
    HOME: home,
    DOCKER_CONFIG: home,
    REGCTL_CONFIG: join(home, 'regctl.json'),
    // Of the key pair that a test makes.
    COSIGN_PASSWORD: 'password of the key',
  }
  return (...args) => run(join(goBin, name), args, { env, cwd: home })
}

/** Makes the source of a Helm chart of one template; answers its folder. */
export async function makeChart(directory: string, name: string, version: string): Promise<string> {
  const folder = join(directory, name)
  await mkdir(join(folder, 'templates'), { recursive: true })
  await writeFile(join(folder, 'Chart.yaml'), `apiVersion: v2\nname: ${name}\nversion: ${version}\n`)
  await writeFile(
    join(folder, 'templates/map.yaml'),
    'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: "{{ .Release.Name }}" }\n',
  )
  return folder
}

/** The version of each, as it says itself. */
export async function artifactClientVersions(): Promise<string[]> {
  const said = async (name: string, pattern: RegExp, ...args: string[]) =>
    `${name} ${pattern.exec(await must(join(goBin, name), args))?.[1]}`
  return [
    await said('cosign', /GitVersion:\s+(\S+)/, 'version'),
    await said('helm', /^(\S+)/, 'version', '--template', '{{.Version}}'),
    await said('oras', /Version:\s+(\S+)/, 'version'),
    await said('regctl', /VCSTag:\s+(\S+)/, 'version'),
    await said('crane', /^(\S+)/, 'version'),
  ]
}
