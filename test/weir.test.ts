import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { parseConfig } from '../src/config.ts'
import { createLog } from '../src/log.ts'
import { parseChallenges } from '../src/oci/challenge.ts'
import { StartError } from '../src/start-error.ts'
import { startWeir } from '../src/weir.ts'
import { makeImage, makeIndex, piecesOf } from './support/images.ts'
import { startWorld, type World } from './support/world.ts'

const first = makeImage('first')
const second = makeImage('second')

/** The story up to the first import: `demo/app:prod` follows `lib/app:v1`, and `ci` may pull. */
async function imported(): Promise<World & { ci: string }> {
  const world = await startWorld()
  const { upstream } = world
  upstream.put('lib/app', first, { tag: 'v1' })
  await done(world, 'new-project', 'demo')
  await done(world, 'import-image', 'demo/app:prod', '--from', `${upstream.host}/lib/app:v1`)
  const ci = (await done(world, 'token', 'ci', '-n', 'demo')).trim()
  await done(world, 'grant', 'pull', 'serviceaccount:ci', '-n', 'demo')
  return Object.assign(world, { ci })
}

/** Runs a command line that has to succeed; answers its stdout. */
async function done({ cli }: World, ...argv: string[]): Promise<string> {
  const ran = await cli(...argv)
  expect(ran, argv.join(' ')).toMatchObject({ exitCode: 0 })
  return ran.stdout
}

async function digestAt(world: World, reference: string, login?: string): Promise<unknown> {
  const answer = await world.pull(reference, login)
  expect(answer.status, `${reference}: ${answer.body}`).toBe(200)
  return answer.headers['docker-content-digest']
}

test('the story: a pin stands while its upstream moves, moves when it is told to, and goes back', async () => {
  const world = await imported()
  const { upstream, ci } = world
  const byTag = await world.pull('demo/app:prod', ci)
  expect(byTag.body.equals(first.manifest.bytes)).toBe(true)
  expect(byTag.headers['weir-revision']).toBe('1')
  const byDigest = await world.pull(`demo/app@${first.manifest.digest}`, ci)
  expect(byDigest.body.equals(first.manifest.bytes)).toBe(true)

  upstream.put('lib/app', second, { tag: 'v1' })
  expect(await digestAt(world, 'demo/app:prod', ci)).toBe(first.manifest.digest)

  await done(world, 'import-image', 'demo/app:prod')
  const moved = await world.pull('demo/app:prod', ci)
  expect([moved.headers['docker-content-digest'], moved.headers['weir-revision']]).toEqual([
    second.manifest.digest,
    '2',
  ])

  const history = JSON.parse(await done(world, 'history', 'demo/app:prod', '-o', 'json')) as HistoryList
  expect(history.items.map(({ revision, image, cause }) => [revision, image, cause.kind.toLowerCase()])).toEqual([
    [2, second.manifest.digest, 'import'],
    [1, first.manifest.digest, 'import'],
  ])

  await done(world, 'rollback', 'demo/app:prod', '--reason', 'bad build')
  const back = await world.pull('demo/app:prod', ci)
  expect([back.body.equals(first.manifest.bytes), back.headers['weir-revision']]).toEqual([true, '3'])
  const held = await world.cli('import-image', 'demo/app:prod')
  expect(held.exitCode).toBe(1)
  expect(await digestAt(world, 'demo/app:prod', ci)).toBe(first.manifest.digest)

  await done(world, 'resume', 'demo/app:prod')
  expect(await digestAt(world, 'demo/app:prod', ci)).toBe(second.manifest.digest)
  const shown = await done(world, 'history', 'demo/app:prod')
  expect(shown).toContain('bad build')
})

interface HistoryList {
  items: { revision: number; image: string; cause: { kind: string } }[]
}

test('a client pulls a whole image, config and layers, by what the challenges tell it', async () => {
  const world = await imported()
  const ping = await world.request('/v2/')
  const [challenge] = parseChallenges(ping.headers['www-authenticate'])
  expect([ping.status, challenge?.parameters.get('realm')]).toEqual([401, `${world.weir.http.publicUrl}/token`])
  const refused = await world.request('/v2/demo/app/manifests/prod', { token: await world.pullToken('', world.ci) })
  const scope = parseChallenges(refused.headers['www-authenticate'])[0]?.parameters.get('scope') ?? ''
  const token = await world.pullToken(scope, world.ci)
  const manifest = await world.request('/v2/demo/app/manifests/prod', { token })
  expect(manifest.headers['content-type']).toBe(first.manifest.mediaType)
  for (const { digest, bytes } of [first.config, ...first.layers]) {
    const head = await world.request(`/v2/demo/app/blobs/${digest}`, { token, method: 'HEAD' })
    expect([head.status, head.headers['content-length']]).toEqual([200, String(bytes.length)])
    const blob = await world.request(`/v2/demo/app/blobs/${digest}`, { token })
    expect(blob.body.equals(bytes)).toBe(true)
    const part = await world.request(`/v2/demo/app/blobs/${digest}`, { token, headers: { range: 'bytes=2-5' } })
    expect([part.status, part.body.toString('hex')]).toEqual([206, bytes.subarray(2, 6).toString('hex')])
  }
  const tags = await world.request('/v2/demo/app/tags/list', { token })
  expect(JSON.parse(tags.body.toString())).toEqual({ name: 'demo/app', tags: ['prod'] })
})

test('an index is pulled whole, its children by digest', async () => {
  const world = await imported()
  const index = makeIndex('many')
  world.upstream.put('lib/multi', index, { tag: 'v1' })
  await done(world, 'import-image', 'demo/multi:v1', '--from', `${world.upstream.host}/lib/multi:v1`)
  const token = await world.pullToken('repository:demo/multi:pull', world.ci)
  for (const { digest, mediaType, bytes } of piecesOf(index)) {
    const kind = mediaType.includes('manifest') || mediaType.includes('index') ? 'manifests' : 'blobs'
    const answer = await world.request(`/v2/demo/multi/${kind}/${digest}`, { token })
    expect(answer.body.equals(bytes), `${kind} ${mediaType}`).toBe(true)
  }
})

test('anonymous pulls are granted, and only then', async () => {
  const world = await imported()
  expect((await world.pull('demo/app:prod')).status).toBe(401)
  await done(world, 'grant', 'pull', 'anonymous', '-n', 'demo')
  expect(await digestAt(world, 'demo/app:prod')).toBe(first.manifest.digest)
  expect((await world.request('/v2/')).status).toBe(401)
})

test('a robot without a binding, or of another project, pulls nothing', async () => {
  const world = await imported()
  await done(world, 'new-project', 'other')
  const stranger = (await done(world, 'token', 'ci', '-n', 'other')).trim()
  const answer = await world.pull('demo/app:prod', stranger)
  expect(answer.status).toBe(401)
  expect(answer.headers['www-authenticate']).toContain('insufficient_scope')
})

test('a revoked binding stops a token that still lives, also on the warm path', async () => {
  const world = await imported()
  const token = await world.pullToken('repository:demo/app:pull', world.ci)
  for (let i = 0; i < 3; i++) {
    expect((await world.request('/v2/demo/app/manifests/prod', { token })).status).toBe(200)
  }
  await done(world, 'revoke', 'pull', 'serviceaccount:ci', '-n', 'demo')
  expect((await world.request('/v2/demo/app/manifests/prod', { token })).status).toBe(401)
})

test('I1: no pull asks the upstream about a tag', async () => {
  const world = await imported()
  const asked = world.upstream.requests.length
  await world.pull('demo/app:prod', world.ci)
  await world.pull('demo/app:prod', world.ci, { method: 'HEAD' })
  await world.pull('demo/app:gone', world.ci)
  expect(world.upstream.requests.slice(asked)).toEqual([])
})

test('I7, I8: with the upstream gone pulls go on, a failed import moves nothing and can be seen', async () => {
  const world = await imported()
  await world.upstream.close()
  expect((await world.cli('import-image', 'demo/app:prod')).exitCode).toBe(1)
  const answer = await world.pull('demo/app:prod', world.ci)
  expect(answer.body.equals(first.manifest.bytes)).toBe(true)
  expect(answer.headers.warning).toMatch(/^299 - ".*Unreachable/)
  await world.restart()
  expect(await digestAt(world, 'demo/app:prod', world.ci)).toBe(first.manifest.digest)
})

test('I5: what one project may pull, another reaches neither by digest nor by naming it', async () => {
  const world = await imported()
  await done(world, 'new-project', 'evil')
  await done(world, 'import-image', 'evil/app:v1', '--from', `${world.upstream.host}/lib/app:v1`)
  const evil = (await done(world, 'token', 'mallory', '-n', 'evil')).trim()
  await done(world, 'grant', 'pull', 'serviceaccount:mallory', '-n', 'evil')
  world.upstream.put('secret/app', second, { tag: 'v1' })
  await done(world, 'import-image', 'demo/secret:v1', '--from', `${world.upstream.host}/secret/app:v1`)
  const token = await world.pullToken('repository:evil/app:pull repository:demo/secret:pull', evil)
  const [layer] = second.layers
  for (const path of [`manifests/${second.manifest.digest}`, `blobs/${layer?.digest}`]) {
    for (const method of ['GET', 'HEAD']) {
      expect((await world.request(`/v2/evil/app/${path}`, { token, method })).status).toBe(404)
      expect((await world.request(`/v2/demo/secret/${path}`, { token, method })).status).toBe(401)
    }
  }
})

describe('both listeners', () => {
  test('the HTTPS listener names its own realm, and the same service', async () => {
    const world = await startWorld()
    const parametersOf = async (secure: boolean) =>
      parseChallenges((await world.request('/v2/', { secure })).headers['www-authenticate'])[0]?.parameters
    const [plain, secure] = [await parametersOf(false), await parametersOf(true)]
    expect(plain?.get('realm')).toBe(`http://localhost:${world.weir.http.port}/token`)
    expect(secure?.get('realm')).toBe(`https://localhost:${world.weir.https.port}/token`)
    expect(secure?.get('service')).toBe(plain?.get('service'))
    expect(plain?.get('service')).toBe(`localhost:${world.weir.http.port}`)
  })

  test('public URLs of the config are what answers name', async () => {
    const publicUrl = 'https://registry.example.com'
    const world = await startWorld({ config: { publicUrl } })
    const { headers } = await world.request('/v2/', { headers: { host: 'evil.example' } })
    expect(headers['www-authenticate']).toBe(`Bearer realm="${publicUrl}/token",service="registry.example.com"`)
  })

  test('the OpenID documents name the issuer', async () => {
    const world = await startWorld()
    const answer = await world.request('/.well-known/openid-configuration', { secure: true })
    const document = JSON.parse(answer.body.toString())
    expect(document.issuer).toBe(world.weir.https.publicUrl)
    expect(document.jwks_uri).toBe(`${world.weir.https.publicUrl}/openid/v1/jwks`)
  })

  test('at the root are the paths that there are, for anybody and also for HEAD', async () => {
    const world = await startWorld()
    for (const secure of [true, false]) {
      const { status, body } = await world.request('/', { secure })
      const { paths } = JSON.parse(body.toString()) as { paths: string[] }
      expect(status).toBe(200)
      for (const path of paths) expect([path, (await world.request(path, { secure })).status]).not.toEqual([path, 404])
      expect((await world.request('/', { secure, method: 'HEAD' })).status).toBe(200)
    }
    expect((await world.request('/', { method: 'POST' })).status).toBe(404)
  })

  test('health, version and metrics are served to anybody', async () => {
    const world = await startWorld()
    const { body: metrics } = await world.request('/metrics')
    for (const name of ['weir_content_held_bytes', 'weir_scheduled_tags', 'weir_schedule_late_seconds'])
      expect(metrics.toString()).toMatch(new RegExp(`^${name} \\d`, 'm'))
    for (const path of ['/healthz', '/livez', '/readyz', '/version', '/metrics']) {
      expect((await world.request(path)).status, path).toBe(200)
    }
  })
})

describe('starting and stopping', () => {
  test('what was acknowledged is there after a restart, and tokens still hold', async () => {
    const world = await imported()
    const token = await world.pullToken('repository:demo/app:pull', world.ci)
    await world.restart()
    const answer = await world.request('/v2/demo/app/manifests/prod', { token })
    expect(answer.body.equals(first.manifest.bytes)).toBe(true)
  })

  test('a second Weir on the same data directory fails with one clear line', async () => {
    const world = await startWorld()
    const file = { name: 'f', text: JSON.stringify({ data: world.dataDirectory, listen: '127.0.0.1:0' }) }
    const log = createLog({ level: 'silent', format: 'json' })
    const starting = startWeir(parseConfig({ file }).config, { log })
    await expect(starting).rejects.toThrow(StartError)
    await expect(starting).rejects.toThrow(`another Weir is running on the data directory ${world.dataDirectory}`)
    expect((await world.request('/readyz')).status).toBe(200)
  })

  test('a port in use is told by its key, and what was opened is closed again', async () => {
    const world = await startWorld()
    await expect(world.restart({ listen: `127.0.0.1:${Number(new URL(world.upstream.origin).port)}` })).rejects.toThrow(
      /^listen: 127\.0\.0\.1:\d+ can not be listened on: the port is in use/,
    )
    await world.restart()
    expect((await world.request('/readyz')).status).toBe(200)
  })

  test('a certificate that can not be read is told by its file', async () => {
    const world = await startWorld()
    const tls = { listen: '127.0.0.1:0', certFile: '/nowhere/tls.crt', keyFile: '/dev/null' }
    await expect(world.restart({ tls })).rejects.toThrow(/^tls\.certFile: \/nowhere\/tls\.crt cannot be read/)
    await world.restart()
  })

  test('a file of users that can not be used is told by its key and line, and a dead issuer stops nothing', async () => {
    const world = await startWorld()
    const htpasswdFile = join(world.dataDirectory, 'users')
    await writeFile(htpasswdFile, 'jane:secret\n', { mode: 0o600 })
    await expect(world.restart({ auth: { htpasswdFile } })).rejects.toThrow(
      /^auth\.htpasswdFile: .*: line 1: the hash of jane is not bcrypt/,
    )
    const issuers = [{ name: 'dead', issuer: 'https://127.0.0.1:1', audiences: ['weir'] }]
    await world.restart({ auth: { issuers } })
    expect((await world.request('/readyz')).status).toBe(200)
  })

  test('I8: an index is pulled with all its children though its upstream is gone since the import', async () => {
    const world = await startWorld()
    const index = makeIndex('kept')
    world.upstream.put('lib/multi', index, { tag: 'v1' })
    await world.cli('new-project', 'demo')
    await world.cli('grant', 'pull', 'anonymous', '-n', 'demo')
    await world.cli('import-image', 'demo/multi:prod', '--from', `${world.upstream.host}/lib/multi:v1`)
    await world.upstream.close()
    for (const { manifest } of [index, ...index.children]) {
      const pulled = await world.pull(`demo/multi@${manifest.digest}`)
      expect([pulled.status, pulled.body.toString()]).toEqual([200, manifest.bytes.toString()])
    }
  })

  test('Weir is no upstream of itself, though the config names it', async () => {
    const world = await startWorld()
    const { port } = world.weir.http
    await world.restart({ listen: `127.0.0.1:${port}`, upstreams: [{ host: `localhost:${port}`, insecure: true }] })
    await world.cli('new-project', 'demo')
    const refused = await world.cli('import-image', 'demo/app:prod', '--from', `localhost:${port}/demo/other:prod`)
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toContain('this Weir itself')
  })

  test('I9: no token or secret is in the log of a whole story', async () => {
    const world = await imported()
    await world.pull('demo/app:prod', world.ci)
    const registryToken = await world.pullToken('repository:demo/app:pull', world.ci)
    const log = world.logged.join()
    expect(log).toContain('"path":"/token"')
    for (const secret of [world.adminToken, world.ci, registryToken]) expect(log).not.toContain(secret.slice(-40))
  })
})

describe('admin.kubeconfig', () => {
  test('is for its owner alone and names the HTTPS listener and its authority', async () => {
    const { weir, adminToken, api } = await startWorld()
    expect((await stat(weir.adminKubeconfig)).mode & 0o777).toBe(0o600)
    const config = parse(await readFile(weir.adminKubeconfig, 'utf8'))
    expect(config).toEqual({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'weir', cluster: { server: weir.https.publicUrl, 'certificate-authority-data': expect.any(String) } },
      ],
      users: [{ name: 'weir', user: { token: adminToken } }],
      contexts: [{ name: 'weir', context: { cluster: 'weir', user: 'weir' } }],
      'current-context': 'weir',
    })
    expect((await api('GET', '/api/v1/namespaces')).status).toBe(200)
  })

  test('keeps its token over restarts, and follows a changed address', async () => {
    const world = await startWorld()
    const { adminToken } = world
    await world.restart({ tls: { listen: '127.0.0.1:0', publicUrl: 'https://weir.example.com' } })
    expect(world.adminToken).toBe(adminToken)
    const config = parse(await readFile(world.weir.adminKubeconfig, 'utf8'))
    expect(config.clusters[0].cluster.server).toBe('https://weir.example.com')
  })

  test('deleted, it comes back with a new token, and the old one has ended', async () => {
    const world = await startWorld()
    const old = world.adminToken
    await rm(world.weir.adminKubeconfig)
    await world.restart()
    expect(world.adminToken).not.toBe(old)
    expect((await world.api('GET', '/api/v1/namespaces')).status).toBe(200)
    expect((await world.request('/api/v1/namespaces', { token: old, secure: true })).status).toBe(401)
  })
})
