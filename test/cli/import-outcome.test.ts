import { describe, expect, test } from 'vitest'
import { type Reply, startFakeApi } from './fake-api.ts'
import { a, docker, imported, importedInto, importing, imports, stream, streamOf } from './import-api.ts'

describe('a failed import', () => {
  test.each([
    ['NotFound', 'check that localhost:5100/lib/app:v1 is there'],
    [
      'Unauthorized',
      'kubectl create secret docker-registry regcred --docker-server=localhost:5100 --docker-username=USER --docker-password=PASSWORD -n demo',
    ],
    ['Unauthorized', "check the login of localhost:5100 under upstreams in the server's configuration"],
    ['Unauthorized', 'or give it one, in the rule that it may have already'],
    ['CredentialsExpired', 'renew the login for localhost:5100 that the message names: a secret of demo'],
    ['Forbidden', 'credentialHelper in the place of the first two'],
    ['Forbidden', 'passwordFile, projects (to cover "demo") and repositories (to cover "lib/app")'],
    ['TooManyRequests', 'localhost:5100 asks to wait: try again in 30 seconds'],
    ['Unreachable', 'check that localhost:5100 runs'],
    ['Tls', 'certificateAuthorityFile; where it wants a certificate of Weir: certFile and keyFile'],
    ['NotAllowed', 'imports.allowedRegistries'],
    ['ContentIncomplete', 'it moves by itself; at once with: weir prefetch demo/app:prod'],
    ['BadDigest', 'nothing of it was kept'],
  ])('%s: the reason, where the tag stays, what to do', async (reason, next) => {
    const api = await startFakeApi()
    api.answer('GET', stream, streamOf([docker('prod', 'localhost:5100/lib/app:v1')], { prod: a }))
    api.answer('POST', imports, imported({ reason, message: 'what happened', details: { retryAfterSeconds: 30 } }))
    const result = await importing(api, 'demo/app:prod')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain(
      `demo/app:prod was not imported from localhost:5100/lib/app:v1: ${reason}: what happened\n`,
    )
    expect(result.stderr).toContain(`demo/app:prod stays at ${a}`)
    expect(result.stderr).toContain(next)
    expect(result.stderr).not.toContain('upstreams: [')
  })

  describe('of a held tag', () => {
    const held = 'is held at revision 10 since 2026-01-01T00:00:00Z by jane (tag "prod" is bad)'
    const text = `tag "prod" ${held}; to let it move again: weir resume demo/app:prod`
    const cause = { field: 'tag', reason: 'FieldValueForbidden', message: `Forbidden: ${text}` }
    const refused = {
      reason: 'Invalid',
      message: `ImageStreamTag.image.openshift.io "app:prod" is invalid: tag: ${cause.message}`,
      details: { name: 'app:prod', kind: 'imagestreamtags', causes: [cause] },
    }

    test('says the cause alone', async () => {
      const api = await startFakeApi()
      api.answer('GET', stream, streamOf([docker('prod', 'quay.io/a/b')], { prod: a }))
      api.answer('POST', imports, imported(refused))
      expect(await importing(api, 'demo/app:prod')).toEqual({
        code: 1,
        stdout: '',
        stderr: `error: demo/app:prod ${held}; to let it move again: weir resume demo/app:prod\n  demo/app:prod stays at ${a}\n`,
      })
    })

    test('is told apart from other invalid fields, of which the message is shown', async () => {
      const api = await startFakeApi()
      api.answer('GET', stream, streamOf([docker('prod', 'quay.io/a/b')]))
      const causes = [{ ...cause, field: 'from.name' }]
      api.answer('POST', imports, imported({ ...refused, message: 'bad field', details: { causes } }))
      const { stderr } = await importing(api, 'demo/app:prod')
      expect(stderr).toContain(
        'error: demo/app:prod was not imported from quay.io/a/b: Invalid: bad field\n  from.name: ',
      )
    })
  })

  describe('of a tag that is to follow another image', () => {
    const [v1, v2] = [docker('prod', 'quay.io/org/app:v1'), docker('prod', 'quay.io/org/app:v2')]
    const importV2 = async (answer: Reply) => {
      const api = await startFakeApi()
      api.answer('GET', stream, streamOf([v1], { prod: a }))
      api.answer('POST', imports, answer)
      const result = await importing(api, 'demo/app:prod', '--from', 'quay.io/org/app:v2')
      expect(result).toMatchObject({ code: 1, stdout: '' })
      return result.stderr
    }
    const gone = { reason: 'NotFound', message: 'gone' }

    test('leaves it following the one it followed, and says so', async () => {
      for (const answer of [importedInto(streamOf([v1], { prod: a }), gone), imported(gone)]) {
        const stderr = await importV2(answer)
        expect(stderr).toContain('demo/app:prod still follows quay.io/org/app:v1\n')
        expect(stderr).not.toContain('now follows')
      }
    })

    test('says that it follows the new one where the server stored that', async () => {
      const stderr = await importV2(importedInto(streamOf([v2], { prod: a }), gone))
      expect(stderr).toContain('note: demo/app:prod now follows quay.io/org/app:v2 instead of quay.io/org/app:v1\n')
      expect(stderr).not.toContain('still follows')
    })
  })

  test('an answer that leaves the image out is a failure', async () => {
    const api = await startFakeApi()
    api.answer('POST', imports, imported())
    const result = await importing(api, 'demo/app:prod', '--from', 'quay.io/a/b')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('the server says nothing about it')
  })
})
