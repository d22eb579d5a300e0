import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { UpstreamLogin } from '../src/config-logins.ts'
import { openLogins } from '../src/open-logins.ts'
import { testClock } from './support/clock.ts'
import { temporaryDirectory } from './support/directory.ts'
import { startFakeUpstream } from './support/fake-upstream.ts'
import { makeImage } from './support/images.ts'
import { at, failureOf, recordingLog, startClient } from './upstream/start-client.ts'

const image = makeImage('open logins')
const scope = { projects: ['demo'], repositories: ['**'] }

/** A directory to find programs in, besides the system's. */
async function programs(): Promise<{ directory: string; write(name: string, script: string): Promise<string> }> {
  const directory = await temporaryDirectory()
  return {
    directory,
    async write(name, script) {
      const file = join(directory, name)
      await writeFile(file, `#!/bin/sh\n${script}\n`)
      await chmod(file, 0o755)
      return file
    },
  }
}

async function world(logins: readonly (UpstreamLogin | undefined)[], path: string) {
  const registry = await startFakeUpstream({ auth: { kind: 'basic', users: { AWS: 'hush-of-cloud' } } })
  registry.put('lib/app', image, { tag: 'v1' })
  const clock = testClock()
  const stopping = new AbortController()
  onTestFinished(() => stopping.abort())
  const { log, logs } = recordingLog()
  const rules = openLogins(
    logins.map((login) => ({ host: registry.host, insecure: true, ...(login && { login }) })),
    { environment: { PATH: `${path}:${process.env.PATH}` }, now: clock.now, signal: stopping.signal, log },
  )
  const started = startClient(rules)
  return { registry, fileClock: clock, rules, ...started, logs: [logs, started.logs] }
}

describe('a login of the config', () => {
  test('is what its file holds now', async () => {
    const passwordFile = join(await temporaryDirectory(), 'password')
    await writeFile(passwordFile, 'hush-of-cloud\n')
    const { registry, client } = await world([{ ...scope, username: 'AWS', passwordFile, password: 'old' }], '')
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
  })

  test("is what docker's helper says of the registry", async () => {
    const { directory, write } = await programs()
    await write(
      'docker-credential-cloud',
      `[ "$1" = get ] && read -r host; printf '{"ServerURL":"%s","Username":"AWS","Secret":"hush-of-cloud"}' "$host"
       echo "$host" >> ${directory}/asked`,
    )
    const { registry, client, logs } = await world([{ ...scope, credentialHelper: 'cloud' }], directory)
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
    await client.manifest(at(registry.host), 'v1')
    expect(await readFile(join(directory, 'asked'), 'utf8')).toBe(`${registry.host}\n`)
    expect(JSON.stringify(logs)).not.toContain('hush')
  })

  test('is what a program prints, which runs once at a time for all rules', async () => {
    const { directory, write } = await programs()
    const program = await write(
      'login',
      `mkdir ${directory}/runs || { echo twice >&2; exit 1; }; cat > /dev/null; rmdir ${directory}/runs
       echo '{"username":"AWS","password":"hush-of-cloud"}'`,
    )
    const login = { ...scope, exec: { command: [program], timeoutMs: 60_000 } }
    const { rules } = await world([login, login, login], directory)
    const given = rules.map(({ login: opened }) => (opened && 'source' in opened ? opened.source.login() : undefined))
    expect(await Promise.all(given)).toEqual(Array(3).fill({ username: 'AWS', password: 'hush-of-cloud' }))
  })

  test('that no program gives is told, and not replaced by none', async () => {
    const { directory } = await programs()
    const { registry, client, logs } = await world([{ ...scope, credentialHelper: 'nowhere' }], directory)
    const error = await failureOf(client.resolve(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'CredentialsExpired' } })
    expect(error.message).toContain('upstreams[0].credentialHelper: docker-credential-nowhere is not there')
    expect(JSON.stringify(logs)).toContain('docker-credential-nowhere is not there')
  })
})
