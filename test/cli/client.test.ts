import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../support/directory.ts'
import { makeCertificate } from './certificates.ts'
import { failure, startFakeApi } from './fake-api.ts'
import { run } from './run.ts'

const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
const admin = {
  body: { kind: 'SelfSubjectReview', status: { userInfo: { username: 'weir:admin', groups: ['system:masters'] } } },
}

async function whoami(url: string, ...more: string[]) {
  return run(['whoami', '--server', url, '--token', 'secret', ...more])
}

async function fileOf(content: string): Promise<string> {
  const path = join(await temporaryDirectory(), 'ca.crt')
  await writeFile(path, content)
  return path
}

/** A server that says `bytes` to whoever connects. */
async function startRawServer(bytes: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.end(bytes)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

describe('TLS', () => {
  test('a server is trusted by the authority that the command line names', async () => {
    const certificate = await makeCertificate()
    const api = await startFakeApi(certificate)
    api.answer('POST', review, admin)
    const result = await whoami(api.url, '--certificate-authority', await fileOf(certificate.authority))
    expect(result).toEqual({ code: 0, stdout: 'weir:admin\n', stderr: '' })
    expect(api.requests[0]?.headers.authorization).toBe('Bearer secret')
  })

  test('a certificate of an unknown authority is refused before any token is sent', async () => {
    const api = await startFakeApi(await makeCertificate())
    const result = await whoami(api.url)
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('a certificate that is not trusted here')
    expect(result.stderr).toContain('--certificate-authority FILE')
    expect(api.requests).toEqual([])
  })

  test('another authority is not taken for the one that signed', async () => {
    const api = await startFakeApi(await makeCertificate())
    const other = await makeCertificate()
    const result = await whoami(api.url, '--certificate-authority', await fileOf(other.authority))
    expect(result.stderr).toContain('not trusted here')
    expect(api.requests).toEqual([])
  })

  test('a certificate for another host is refused', async () => {
    const certificate = await makeCertificate({ host: 'weir.example.com' })
    const api = await startFakeApi(certificate)
    const result = await whoami(api.url, '--certificate-authority', await fileOf(certificate.authority))
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('a certificate that does not hold')
    expect(api.requests).toEqual([])
  })

  test('an expired certificate is refused', async () => {
    const certificate = await makeCertificate({ notAfter: new Date(Date.now() - 60_000) })
    const api = await startFakeApi(certificate)
    const result = await whoami(api.url, '--certificate-authority', await fileOf(certificate.authority))
    expect(result.stderr).toMatch(/does not hold: .*expired/)
    expect(api.requests).toEqual([])
  })

  test('--insecure-skip-tls-verify trusts any certificate', async () => {
    const api = await startFakeApi(await makeCertificate({ host: 'weir.example.com' }))
    api.answer('POST', review, admin)
    expect(await whoami(api.url, '--insecure-skip-tls-verify')).toMatchObject({ code: 0, stdout: 'weir:admin\n' })
  })

  test('a file that is no certificate is said to be none', async () => {
    const api = await startFakeApi(await makeCertificate())
    const garbled = '-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n'
    for (const content of ['not a certificate', garbled]) {
      const result = await whoami(api.url, '--certificate-authority', await fileOf(content))
      expect(result).toMatchObject({ code: 1, stdout: '' })
      expect(result.stderr).toMatch(/is not a certificate|not trusted here/)
    }
  })

  test('HTTPS asked of a server of plain HTTP is told apart from a dead one', async () => {
    const api = await startFakeApi()
    const result = await whoami(api.url.replace('http:', 'https:'))
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('does not speak HTTPS')
    expect(result.stderr).toContain('5443')
  })
})

describe('a server that does not answer as it should', () => {
  test('nothing there: says how to start it', async () => {
    const api = await startFakeApi()
    await api.stop()
    const result = await whoami(api.url)
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain(`error: nothing answers at ${api.url} (from --server): ECONNREFUSED\n`)
    expect(result.stderr).toContain('npm start')
    expect(result.stderr).not.toContain('without a port')
  })

  test('nothing at an address without a port: says which ports there are', async () => {
    const result = await whoami('https://127.1.2.3')
    expect(result.stderr).toContain('error: nothing answers at https://127.1.2.3')
    expect(result.stderr).toContain('without a port it is 443 (80 of http): Weir itself listens on 5443')
  })

  test('HTTP asked of a server of HTTPS: says so', async () => {
    const api = await startFakeApi(await makeCertificate())
    const result = await whoami(api.url.replace('https:', 'http:'))
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/then write https:|does not speak HTTP|is not Weir's API/)
    expect(api.requests).toEqual([])
  })

  test('a silent one: gives up after --request-timeout', async () => {
    const api = await startFakeApi()
    api.answer('POST', review, () => new Promise(() => {}))
    const result = await whoami(api.url, '--request-timeout', '100ms')
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('gave no whole answer within 0.1 s')
    expect(result.stderr).toContain('--request-timeout')
  })

  test('one that leaves in the middle of its answer is not taken at half its word', async () => {
    const port = await startRawServer(
      'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a":',
    )
    const result = await whoami(`http://127.0.0.1:${port}`)
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('broke the connection')
    expect(result.stdout).toBe('')
  })

  test('one that speaks another protocol', async () => {
    const port = await startRawServer('220 mail.example.com ESMTP\r\n')
    const result = await whoami(`http://127.0.0.1:${port}`)
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('does not speak HTTP')
  })

  test.each([
    ['a web page', { status: 200, body: '<html>hello</html>' }, '200 and text/html'],
    ['a page not found', { status: 404, body: '<html>no</html>' }, '404 and text/html'],
    ['a gateway error', { status: 502, body: 'bad gateway' }, '502 and text/html'],
    [
      'JSON that is no object',
      { status: 200, body: '[]', headers: { 'content-type': 'application/json' } },
      '200 and application/json',
    ],
    ['an error that is no Status', { status: 404, body: { errors: [] } }, '404 and other JSON'],
  ])('%s instead of the API', async (_, reply, shown) => {
    const api = await startFakeApi()
    api.answer('POST', review, reply)
    const result = await whoami(api.url)
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain("is not Weir's API")
    expect(result.stderr).toContain(shown)
  })

  test('a redirect is told and not followed: it could carry the token away', async () => {
    const elsewhere = await startFakeApi()
    const api = await startFakeApi()
    api.answer('POST', review, { status: 307, headers: { location: `${elsewhere.url}/x` }, body: {} })
    const result = await whoami(api.url)
    expect(result.code).toBe(1)
    expect(result.stderr).toContain(`sends its callers elsewhere: ${elsewhere.url}/x`)
    expect(elsewhere.requests).toEqual([])
  })

  test('what it says can not rewrite the terminal', async () => {
    const api = await startFakeApi()
    api.answer('POST', review, failure(400, 'BadRequest', 'bad \u001b[2J\rfake\nline \u202egnp'))
    const result = await whoami(api.url)
    expect(result.stderr).toBe('error: bad ?[2J?fake?line ?gnp\n')
  })
})

describe('what to do next', () => {
  test('401 with a token: the token is not good any more', async () => {
    const api = await startFakeApi()
    api.answer('POST', review, failure(401, 'Unauthorized', 'Unauthorized'))
    const result = await whoami(api.url)
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('the token of --token is not, or no longer, good')
    expect(result.stderr).not.toContain('secret')
  })

  test('401 without a token: not logged in', async () => {
    const api = await startFakeApi()
    api.answer('POST', review, failure(401, 'Unauthorized', 'Unauthorized'))
    const result = await run(['whoami', '--server', api.url])
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('not logged in: no token was given')
    expect(api.requests[0]?.headers.authorization).toBeUndefined()
  })

  const imports = '/apis/image.openshift.io/v1/namespaces/demo/imagestreamimports'
  const importing = ['import-image', 'demo/app:prod', '--from', 'quay.io/org/app:v1']

  test('403: which right is missing, and the grant that gives it to the caller', async () => {
    const api = await startFakeApi()
    api.answer('POST', imports, failure(403, 'Forbidden', 'User "x" cannot create resource "imagestreamimports"'))
    api.answer('POST', review, { body: { status: { userInfo: { username: 'system:serviceaccount:demo:ci' } } } })
    const result = await run([...importing, '--server', api.url, '--token', 'secret'])
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('missing right: create imagestreamimports in demo')
    expect(result.stderr).toContain('weir grant registry-editor serviceaccount:demo/ci -n demo')
  })

  test('403 of a caller who is not logged in says so', async () => {
    const api = await startFakeApi()
    api.answer('POST', imports, failure(403, 'Forbidden', 'forbidden'))
    api.answer('POST', review, { body: { status: { userInfo: { username: 'system:anonymous' } } } })
    const result = await run([...importing, '--server', api.url])
    expect(result.stderr).toContain('weir grant registry-editor anonymous -n demo')
    expect(result.stderr).toContain('you are not logged in')
  })

  test('403 of what only the administrator may, without a token: not logged in', async () => {
    const api = await startFakeApi()
    api.answer('GET', '/apis/weir.dev/v1/sessions', failure(403, 'Forbidden', 'forbidden'))
    const { code, stderr } = await run(['sessions', '--server', api.url])
    expect(code).toBe(1)
    expect(stderr).toContain(`not logged in: no token was given for ${api.url}; log in with weir login ${api.url}`)
    expect(stderr).not.toContain('missing right')
    const known = await run(['sessions', '--server', api.url, '--token', 'secret'])
    expect(known.stderr).toContain('missing right: list sessions')
  })

  test('403 when nobody can be asked who the caller is', async () => {
    const api = await startFakeApi()
    api.answer('POST', imports, failure(403, 'Forbidden', 'forbidden'))
    const result = await run([...importing, '--server', api.url, '--token', 'secret'])
    expect(result.stderr).toContain('weir grant registry-editor SUBJECT -n demo')
  })

  test('403 on a rollback names the right that it needs', async () => {
    const api = await startFakeApi()
    api.answer('POST', '/apis/weir.dev/v1/namespaces/demo/tagevents', failure(403, 'Forbidden', 'forbidden'))
    const result = await run(['rollback', 'demo/app:prod', '--server', api.url, '--token', 'secret'])
    expect(result.stderr).toContain('missing right: update imagestreamtags in demo')
  })

  test('403 on what only the administrator may', async () => {
    const api = await startFakeApi()
    api.answer('POST', '/api/v1/namespaces', failure(403, 'Forbidden', 'forbidden'))
    api.answer('POST', '/apis/project.openshift.io/v1/projectrequests', failure(403, 'Forbidden', 'forbidden'))
    api.answer('POST', review, { body: { status: { userInfo: { username: 'jane' } } } })
    const result = await run(['new-project', 'demo', '--server', api.url, '--token', 'secret'])
    expect(result.stderr).toContain('missing right: create projectrequests')
    expect(result.stderr).toContain('weir grant self-provisioner jane --all-projects')
    expect(result.stderr).toContain('data/admin.kubeconfig')
    expect(result.stderr).not.toContain('-n PROJECT')
  })

  test('403 on a list of all projects offers one project', async () => {
    const api = await startFakeApi()
    api.answer('GET', '/apis/image.openshift.io/v1/imagestreams', failure(403, 'Forbidden', 'forbidden'))
    const result = await run(['get', 'streams', '--server', api.url, '--token', 'secret'])
    expect(result.stderr).toContain('or name one project: -n PROJECT')
  })

  test('404 of the project: how to make it', async () => {
    const api = await startFakeApi()
    api.answer(
      'POST',
      imports,
      failure(404, 'NotFound', 'namespaces "demo" not found', { kind: 'namespaces', name: 'demo' }),
    )
    const result = await run([...importing, '--server', api.url])
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('weir new-project demo')
  })

  test('409: look again', async () => {
    const api = await startFakeApi()
    api.answer('POST', imports, failure(409, 'Conflict', 'the tag changed'))
    const result = await run([...importing, '--server', api.url])
    expect(result.stderr).toBe(
      'error: the tag changed\n  somebody changed it at the same time: look again, then repeat\n',
    )
  })

  test('422: each cause with its field, unless the message has it', async () => {
    const api = await startFakeApi()
    const causes = [
      {
        field: 'spec.images[0].from.name',
        reason: 'FieldValueForbidden',
        message: 'allowed registries are docker.io, quay.io',
      },
      { field: 'tag', reason: 'FieldValueForbidden', message: 'said already' },
    ]
    api.answer('POST', imports, failure(422, 'Invalid', 'invalid: said already', { causes }))
    const result = await run([...importing, '--server', api.url])
    expect(result.stderr).toBe(
      'error: invalid: said already\n  spec.images[0].from.name: allowed registries are docker.io, quay.io\n',
    )
  })

  test('429: when to come back', async () => {
    const api = await startFakeApi()
    api.answer('POST', imports, failure(429, 'TooManyRequests', 'slow down', { retryAfterSeconds: 7 }))
    const result = await run([...importing, '--server', api.url])
    expect(result.stderr).toContain('try again in 7 seconds')
  })

  test('500: the fault is not the caller’s, and the log has it under a number', async () => {
    const api = await startFakeApi()
    const reply = failure(500, 'InternalError', 'Internal error occurred')
    api.answer('POST', imports, { ...reply, headers: { 'x-request-id': 'abc123' } })
    const result = await run([...importing, '--server', api.url])
    expect(result.stderr).toContain('the fault is in the server: see its log, request abc123')
  })
})
