import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { CliError } from '../../src/cli/failures.ts'
import { findServer, type Server, type ServerFlags } from '../../src/cli/server.ts'
import { temporaryDirectory } from '../support/directory.ts'

const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'

interface Place {
  cwd: string
  home: string
}

async function makePlace(): Promise<Place> {
  const root = await temporaryDirectory()
  const place = { cwd: join(root, 'work'), home: join(root, 'home') }
  await mkdir(place.cwd)
  await mkdir(place.home)
  return place
}

async function write(path: string, content: object | string): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, typeof content === 'string' ? content : stringify(content))
  return path
}

function kubeconfig(
  server: string,
  user: object = { token: `token of ${server}`.replaceAll(' ', '-') },
  cluster: object = {},
) {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'weir',
    contexts: [
      { name: 'other', context: { cluster: 'other', user: 'other' } },
      { name: 'weir', context: { cluster: 'c', user: 'u' } },
    ],
    clusters: [
      { name: 'other', cluster: { server: 'https://other' } },
      { name: 'c', cluster: { server, ...cluster } },
    ],
    users: [
      { name: 'other', user: { token: 'other' } },
      { name: 'u', user },
    ],
  }
}

async function find(
  flags: ServerFlags,
  place: Place,
  env: Record<string, string> = {},
): Promise<Omit<Server, 'token'> & { token?: string }> {
  const { token, ...server } = await findServer(flags, { ...place, env })
  return token === undefined ? server : { ...server, token: token.value }
}

async function failing(flags: ServerFlags, place: Place, env: Record<string, string> = {}): Promise<CliError> {
  return find(flags, place, env).then(
    () => expect.unreachable('a server was found'),
    (error: unknown) => (error instanceof CliError ? error : expect.unreachable(String(error))),
  )
}

describe('where the server is found', () => {
  const sources = ['flag', 'environment', '--kubeconfig', 'KUBECONFIG', 'data', 'home'] as const

  test('the first of flag, environment, --kubeconfig, KUBECONFIG, ./data, ~/.kube wins, whatever follows it', async () => {
    const place = await makePlace()
    await fc.assert(
      fc.asyncProperty(fc.subarray([...sources], { minLength: 1 }), async (present) => {
        const has = (source: (typeof sources)[number]) => present.includes(source)
        const dataFile = join(place.cwd, 'data/admin.kubeconfig')
        const homeFile = join(place.home, '.kube/config')
        await rm(dataFile, { force: true })
        await rm(homeFile, { force: true })
        if (has('data')) await write(dataFile, kubeconfig('https://data'))
        if (has('home')) await write(homeFile, kubeconfig('https://home'))
        const flags: ServerFlags = {
          ...(has('flag') ? { server: 'https://flag', token: 'token-of-https://flag' } : {}),
          ...(has('--kubeconfig')
            ? { kubeconfig: await write(join(place.cwd, 'a'), kubeconfig('https://--kubeconfig')) }
            : {}),
        }
        const env: Record<string, string> = {
          ...(has('environment')
            ? { WEIR_SERVER: 'https://environment', WEIR_TOKEN: 'token-of-https://environment' }
            : {}),
          ...(has('KUBECONFIG')
            ? { KUBECONFIG: await write(join(place.cwd, 'b'), kubeconfig('https://kubeconfig')) }
            : {}),
        }
        const url = `https://${present[0]?.toLowerCase()}`
        const found = await find(flags, place, env)
        expect(found.url).toBe(url)
        expect(found.token?.toLowerCase()).toBe(`token-of-${url}`)
      }),
      { numRuns: 200 },
    )
  })

  test('KUBECONFIG is a list, of which the first file that exists counts', async () => {
    const place = await makePlace()
    await write(join(place.cwd, 'second'), kubeconfig('https://second'))
    await write(join(place.cwd, 'third'), kubeconfig('https://third'))
    expect(await find({}, place, { KUBECONFIG: 'first::second:third' })).toMatchObject({
      url: 'https://second',
      from: 'second',
    })
  })

  test('KUBECONFIG of files that are not there is an error, not another cluster', async () => {
    const place = await makePlace()
    await write(join(place.home, '.kube/config'), kubeconfig('https://home'))
    const error = await failing({}, place, { KUBECONFIG: 'data/admin.kubeconfig' })
    expect(error.message).toContain('KUBECONFIG names data/admin.kubeconfig')
    expect(error.exitCode).toBe(1)
  })

  test('--kubeconfig of a file that is not there is an error', async () => {
    const place = await makePlace()
    await write(join(place.home, '.kube/config'), kubeconfig('https://home'))
    expect((await failing({ kubeconfig: 'missing' }, place)).message).toBe(
      'can not read missing: there is no such file',
    )
  })

  test('nothing anywhere: says where it looked and how to start a server', async () => {
    const error = await failing({}, await makePlace())
    expect(error.message).toContain('data/admin.kubeconfig')
    expect(error.message).toContain('~/.kube/config')
    expect(error.hints.join(' ')).toContain('npm start')
  })
})

describe('whom a token is sent to', () => {
  test('a kubeconfig’s token goes to no server that was named beside it', async () => {
    const place = await makePlace()
    await write(join(place.cwd, 'data/admin.kubeconfig'), kubeconfig('https://data'))
    expect(await find({ server: 'https://elsewhere' }, place)).not.toHaveProperty('token')
  })

  test('WEIR_TOKEN goes to no server but WEIR_SERVER', async () => {
    const place = await makePlace()
    const env = { WEIR_SERVER: 'https://mine', WEIR_TOKEN: 'secret' }
    expect(await find({ server: 'https://elsewhere' }, place, env)).not.toHaveProperty('token')
    expect(await find({ server: 'https://mine/' }, place, env)).toMatchObject({ token: 'secret' })
  })

  test('WEIR_TOKEN alone is for the server that is found', async () => {
    const place = await makePlace()
    await write(join(place.cwd, 'data/admin.kubeconfig'), kubeconfig('https://data'))
    const env = { WEIR_TOKEN: 'secret' }
    expect(await find({ server: 'https://elsewhere' }, place, env)).toMatchObject({ token: 'secret' })
    expect(await find({}, place, env)).toMatchObject({ url: 'https://data', token: 'secret' })
  })

  test('--token goes before every other', async () => {
    const place = await makePlace()
    await write(join(place.cwd, 'data/admin.kubeconfig'), kubeconfig('https://data'))
    expect(await find({ token: 'flag' }, place, { WEIR_TOKEN: 'secret' })).toMatchObject({
      url: 'https://data',
      token: 'flag',
    })
  })

  test('an empty --token is refused, since a script’s unset variable must not become the administrator', async () => {
    const place = await makePlace()
    await write(join(place.cwd, 'data/admin.kubeconfig'), kubeconfig('https://data'))
    expect(await failing({ token: '' }, place)).toMatchObject({ exitCode: 2, message: '--token is empty' })
  })

  test('no token goes over plain HTTP, except to this machine', async () => {
    const place = await makePlace()
    for (const server of ['http://localhost:5000', 'http://127.0.0.1:5000', 'http://[::1]:5000']) {
      expect(await find({ server, token: 't' }, place)).toMatchObject({ url: server, token: 't' })
    }
    for (const server of ['http://weir.example.com', 'http://127.0.0.1.example.com', 'http://10.0.0.1:5000']) {
      const error = await failing({ server, token: 'secret' }, place)
      expect(error.message).toContain('plain HTTP')
      expect(error.message).not.toContain('secret')
      expect(await find({ server }, place)).toMatchObject({ url: server })
    }
  })

  test('a token that can be none is refused without being shown', async () => {
    const error = await failing({ server: 'https://a', token: 'sec\nret' }, await makePlace())
    expect(error.message).toBe('the token of --token has characters that no token has')
  })
})

describe('the address', () => {
  test.each([
    ['https://localhost:5443', 'https://localhost:5443'],
    ['https://localhost:5443/', 'https://localhost:5443'],
    ['localhost:5443', 'https://localhost:5443'],
    ['https://example.com/weir//', 'https://example.com/weir'],
  ])('%s is %s', async (server, url) => {
    expect(await find({ server }, await makePlace())).toMatchObject({ url })
  })

  test.each(['', 'ftp://a', 'https://', 'https://a/?b', 'https://a/#b', 'https://user:pass@a', 'a b'])(
    '"%s" is misuse',
    async (server) => {
      const error = await failing({ server }, await makePlace())
      expect(error).toMatchObject({ exitCode: 2 })
    },
  )
})

describe('a kubeconfig', () => {
  const load = async (content: object | string) => {
    const place = await makePlace()
    await write(join(place.cwd, 'dir/config'), content)
    await write(join(place.cwd, 'dir/token'), ' from-file\n')
    await write(join(place.cwd, 'dir/ca.crt'), pem)
    return { place, flags: { kubeconfig: 'dir/config' } }
  }

  test.each([
    ['a token', { token: 'plain' }, {}, { token: 'plain' }],
    [
      'a tokenFile beside it, which goes before the token',
      { token: 'plain', tokenFile: 'token' },
      {},
      { token: 'from-file' },
    ],
    [
      'an authority inside',
      {},
      { 'certificate-authority-data': Buffer.from(pem).toString('base64') },
      { certificateAuthority: pem },
    ],
    ['an authority in a file beside it', {}, { 'certificate-authority': 'ca.crt' }, { certificateAuthority: pem }],
    ['no verification', {}, { 'insecure-skip-tls-verify': true }, { insecureSkipTlsVerify: true }],
    [
      'verification, unless it says otherwise',
      {},
      { 'insecure-skip-tls-verify': 'true' },
      { insecureSkipTlsVerify: false },
    ],
    ['a name for the certificate', {}, { 'tls-server-name': 'weir' }, { tlsServerName: 'weir' }],
  ])('gives %s', async (_, user, cluster, expected) => {
    const { place, flags } = await load(kubeconfig('https://a', user, cluster))
    expect(await find(flags, place)).toMatchObject({ url: 'https://a', from: 'dir/config', ...expected })
  })

  test('in JSON is read as well', async () => {
    const { place, flags } = await load(JSON.stringify(kubeconfig('https://a')))
    expect(await find(flags, place)).toMatchObject({ url: 'https://a' })
  })

  test('flags go before its trust', async () => {
    const { place, flags } = await load(kubeconfig('https://a'))
    const found = await find({ ...flags, certificateAuthority: 'dir/ca.crt', insecureSkipTlsVerify: true }, place)
    expect(found).toMatchObject({ certificateAuthority: pem, insecureSkipTlsVerify: true })
  })

  const whole = kubeconfig('https://a')
  test.each<[string, object | string, string]>([
    ['that is no YAML', '{ a: [', 'dir/config is not YAML'],
    ['that is a list', '- a', 'dir/config is not a kubeconfig'],
    ['that is empty', '', 'dir/config is not a kubeconfig'],
    ['without current-context', { ...whole, 'current-context': '' }, 'no current-context'],
    ['whose context is missing', { ...whole, 'current-context': 'x' }, 'contexts has no "x"'],
    ['whose cluster is missing', { ...whole, clusters: [] }, 'clusters has no "c"'],
    ['whose clusters are no list', { ...whole, clusters: 'c' }, 'clusters has no "c"'],
    ['whose user is missing', { ...whole, users: null }, 'users has no "u"'],
    ['without a server', kubeconfig(''), 'has no server'],
    ['with a strange login', kubeconfig('https://a', { exec: { command: 'x' } }), 'user "u" logs in by exec'],
    [
      'with a client certificate',
      kubeconfig('https://a', { 'client-certificate-data': 'x' }),
      'client-certificate-data',
    ],
    ['with a missing tokenFile', kubeconfig('https://a', { tokenFile: 'none' }), 'can not read none'],
    [
      'with a garbled authority',
      kubeconfig('https://a', {}, { 'certificate-authority-data': 'x' }),
      'certificate-authority-data',
    ],
    ['with a missing authority', kubeconfig('https://a', {}, { 'certificate-authority': 'none' }), 'can not read none'],
  ])('%s is told by its name', async (_, content, message) => {
    const { place, flags } = await load(content)
    const error = await failing(flags, place)
    expect(error.message).toContain(message)
    expect(error.exitCode).toBe(1)
  })

  test('whatever is in it, it is read or refused in words', async () => {
    const place = await makePlace()
    const file = join(place.cwd, 'config')
    const value = fc.object({
      key: fc.constantFrom(
        'current-context',
        'contexts',
        'clusters',
        'users',
        'name',
        'context',
        'cluster',
        'user',
        'server',
      ),
      maxDepth: 3,
    })
    await fc.assert(
      fc.asyncProperty(value, async (content) => {
        await writeFile(file, JSON.stringify(content))
        const outcome = await find({ kubeconfig: file }, place).catch((error: unknown) => error)
        expect(
          outcome instanceof CliError || (typeof outcome === 'object' && outcome !== null && 'url' in outcome),
        ).toBe(true)
      }),
      { numRuns: 200 },
    )
  })
})
