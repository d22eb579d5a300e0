/** The recipe for clusters in config/: the program by which a kubelet logs in, and its configuration. */
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'

const file = (name: string) => fileURLToPath(new URL(`../config/${name}`, import.meta.url))
const apiVersion = 'credentialprovider.kubelet.k8s.io/v1'
const token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln-_A'

interface Ran {
  code: number | null
  stdout: string
  stderr: string
}

function ask(input: string, env: Record<string, string> = {}): Ran {
  const { PATH = '' } = process.env
  const { status, stdout, stderr } = spawnSync('sh', [file('kubelet-credential-provider.sh')], {
    input,
    encoding: 'utf8',
    env: { PATH, ...env },
  })
  return { code: status, stdout, stderr }
}

/** A request as kubelets write it; keys that are undefined are left out. */
function request(fields: Record<string, unknown> = {}): string {
  return JSON.stringify({
    kind: 'CredentialProviderRequest',
    apiVersion,
    image: 'weir.example.com/demo/app:prod',
    serviceAccountToken: token,
    serviceAccountAnnotations: null,
    ...fields,
  })
}

function answer(host: string, cacheDuration = '5m0s'): object {
  return {
    kind: 'CredentialProviderResponse',
    apiVersion,
    cacheKeyType: 'Registry',
    cacheDuration,
    auth: { [host]: { username: 'weir', password: token } },
  }
}

test.each([
  ['weir.example.com/demo/app:prod', 'weir.example.com'],
  ['weir.example.com:5443/demo/app', 'weir.example.com:5443'],
  [`localhost/demo/app@sha256:${'a'.repeat(64)}`, 'localhost'],
  ['10.0.0.7:5000/demo/app:v1', '10.0.0.7:5000'],
])('the token of the pod is the password for the registry of %s', (image, host) => {
  const { code, stdout, stderr } = ask(request({ image }))
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(JSON.parse(stdout)).toEqual(answer(host))
})

test('a request in many lines is read too', () => {
  const pretty = JSON.stringify(JSON.parse(request({ serviceAccountAnnotations: { a: '1' } })), null, 2)
  expect(JSON.parse(ask(`\n${pretty}\r\n`).stdout)).toEqual(answer('weir.example.com'))
})

test('how long the kubelet keeps it can be said', () => {
  expect(JSON.parse(ask(request(), { WEIR_CACHE_DURATION: '1h30m' }).stdout)).toEqual(
    answer('weir.example.com', '1h30m'),
  )
  for (const duration of ['5', 'm', '5m"', '1d', '-5m', '5m 0s']) {
    expect(ask(request(), { WEIR_CACHE_DURATION: duration })).toMatchObject({ code: 1, stdout: '' })
  }
})

describe('what people can write into a service account', () => {
  test.each([
    [{ serviceAccountToken: 'evil.evil.evil', image: 'evil.example/x', kind: 'x' }],
    [{ x: `","serviceAccountToken":"evil.evil.evil","y":"` }],
    [{ x: '"}, "serviceAccountToken": "evil.evil.evil", "image": "evil.example/x" }' }],
    [{ 'a\\': '\\' }],
    [{ '{': '[', '}': ']' }],
    [{ 'a/b': '$(touch /tmp/evil) `id` %s %n' }],
  ])('%j changes nothing of the answer', (serviceAccountAnnotations) => {
    // Before the token and after it.
    const before = {
      serviceAccountAnnotations,
      kind: 'CredentialProviderRequest',
      apiVersion,
      image: 'w.example/a/b',
      serviceAccountToken: token,
    }
    for (const input of [JSON.stringify(before), request({ image: 'w.example/a/b', serviceAccountAnnotations })]) {
      expect(JSON.parse(ask(input).stdout)).toEqual(answer('w.example'))
    }
  })

  test('is any text at all', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.constantFrom('serviceAccountToken', 'image', '"', '\\', '}'),
    )
    fc.assert(
      fc.property(fc.dictionary(text, text, { maxKeys: 3 }), (serviceAccountAnnotations) => {
        const { code, stdout } = ask(request({ serviceAccountAnnotations }))
        expect(code).toBe(0)
        expect(JSON.parse(stdout)).toEqual(answer('weir.example.com'))
      }),
      { numRuns: 200 },
    )
  })
})

describe('is refused, without a word of the token', () => {
  test.each([
    ['no token', request({ serviceAccountToken: undefined }), 'Kubernetes 1.34'],
    ['an empty token', request({ serviceAccountToken: '' }), 'Kubernetes 1.34'],
    ['a token that is an object', request({ serviceAccountToken: { a: token } }), 'not JSON'],
    ['a token that is null', request({ serviceAccountToken: null }), 'not JSON'],
    ['a token that is no JWT', request({ serviceAccountToken: 'secret-opaque' }), 'not a JWT'],
    ['a token of four parts', request({ serviceAccountToken: `${token}.x` }), 'not a JWT'],
    ['a token with a quote', request({ serviceAccountToken: `${token}"` }), 'has characters'],
    ['a token of two lines', request({ serviceAccountToken: `${token}\nx` }), 'has characters'],
    ['an image without a registry', request({ image: 'nginx' }), 'names no registry'],
    ['an image of Docker Hub', request({ image: 'library/nginx' }), 'names no registry'],
    ['an image with a quote', request({ image: 'w.example","x":{/a' }), 'has characters'],
    ['an image with a space', request({ image: 'w.example x/a' }), 'names no registry'],
    ['an image with a glob for a host', request({ image: '*.example/a' }), 'names no registry'],
    ['no image', request({ image: undefined }), 'names no registry'],
    ['another version', request({ apiVersion: 'credentialprovider.kubelet.k8s.io/v2' }), 'apiVersion'],
    ['another kind', request({ kind: 'Pod' }), 'no CredentialProviderRequest'],
    ['two tokens', request().replace('{', `{"serviceAccountToken":"${token}",`), 'serviceAccountToken twice'],
    ['a list', `[${request()}]`, 'not a JSON object'],
    ['two requests', request() + request(), 'something follows'],
    ['the half of one', request().slice(0, -10), 'not JSON'],
    ['nothing', '', 'not a JSON object'],
    ['an endless one', request({ image: `w.example/${'a'.repeat(300_000)}` }), 'too long'],
  ])('%s', (_, input, why) => {
    const { code, stdout, stderr } = ask(input)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(why)
    expect(stderr).not.toContain(token.slice(0, 12))
    expect(stderr).not.toContain('secret-opaque')
  })
})

test('an image of any text is refused, or answered with its own registry', () => {
  const part = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom('w.example', ':', '/', '"', 'localhost', '..', '*'),
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
      const image = parts.join('')
      const { code, stdout } = ask(request({ image }))
      const keys = code === 0 ? Object.keys((JSON.parse(stdout) as { auth: object }).auth) : stdout
      expect(keys).toEqual(code === 0 ? [image.slice(0, image.indexOf('/'))] : '')
    }),
    { numRuns: 200 },
  )
})

test('the configuration names the audience, keeps tokens apart, and kubelets may ask for it', async () => {
  const config = parse(await readFile(file('kubelet-credential-provider.yaml'), 'utf8'))
  expect(config).toMatchObject({ apiVersion: 'kubelet.config.k8s.io/v1', kind: 'CredentialProviderConfig' })
  const [provider] = config.providers
  expect(provider).toEqual({
    name: 'weir',
    apiVersion,
    matchImages: ['weir.example.com'],
    defaultCacheDuration: '5m0s',
    tokenAttributes: {
      serviceAccountTokenAudience: 'weir.example.com',
      cacheType: 'Token',
      requireServiceAccount: true,
    },
  })
  const [role, binding] = parseAllDocuments(await readFile(file('kubelet-credential-provider-rbac.yaml'), 'utf8')).map(
    (document) => document.toJS(),
  )
  expect(role.rules).toEqual([
    {
      apiGroups: [''],
      resources: [provider.tokenAttributes.serviceAccountTokenAudience],
      verbs: ['request-serviceaccounts-token-audience'],
    },
  ])
  expect(binding).toMatchObject({ roleRef: { name: role.metadata.name }, subjects: [{ name: 'system:nodes' }] })
})
