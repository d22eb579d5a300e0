import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { a, b, namespace, review, stream, streams, streamWith, weir } from './content-api.ts'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { run } from './run.ts'

const deletions = '/apis/weir.dev/v1/namespaces/demo/imagedeletions'

async function deleting(status: object): Promise<FakeApi> {
  const api = await startFakeApi()
  api.answer('POST', deletions, ({ body }) => ({ status: 201, body: { ...(body as object), status } }))
  return api
}

describe('delete', () => {
  test('of an image lists its tags, itself, and what refers to it', async () => {
    const api = await deleting({ tags: ['prod', 'stable'], manifests: [a, b] })
    const { code, stdout, stderr } = await weir(api, ['delete', `demo/app@${a}`, '--reason', 'a leaked key'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n')).toEqual([
      'demo/app:prod  deleted',
      'demo/app:stable  deleted',
      `demo/app@${a}  deleted`,
      `demo/app@${b}  deleted, it refers to what goes`,
      '',
    ])
    expect(api.sent('POST', deletions)).toEqual([
      {
        kind: 'ImageDeletion',
        apiVersion: 'weir.dev/v1',
        metadata: { annotations: { 'kubernetes.io/change-cause': 'a leaked key' } },
        spec: { stream: 'app', image: a, dryRun: false },
      },
    ])
  })

  test('of a tag says that its history stays', async () => {
    const api = await deleting({ tags: ['prod'], manifests: [] })
    const { code, stdout, stderr } = await weir(api, ['delete', 'demo/app:prod'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'demo/app:prod  deleted\n' })
    expect(stderr).toContain('weir history demo/app:prod')
    expect(api.sent('POST', deletions)).toMatchObject([{ spec: { stream: 'app', tag: 'prod', dryRun: false } }])
  })

  test('--dry-run deletes nothing, and says so', async () => {
    const api = await deleting({ tags: ['prod'], manifests: [a] })
    const { stdout, stderr } = await weir(api, ['delete', `demo/app@${a}`, '--dry-run'])
    expect(stdout).toBe(`demo/app:prod  would be deleted\ndemo/app@${a}  would be deleted\n`)
    expect(stderr).toContain('nothing was deleted')
    expect(api.sent('POST', deletions)).toMatchObject([{ spec: { dryRun: true } }])
  })

  test('-o json and yaml print the object, -o name the names alone', async () => {
    const status = { tags: ['prod'], manifests: [a] }
    const api = await deleting(status)
    const argv = ['delete', `demo/app@${a}`, '-o']
    expect(JSON.parse((await weir(api, [...argv, 'json'])).stdout)).toMatchObject({ kind: 'ImageDeletion', status })
    expect(parse((await weir(api, [...argv, 'yaml'])).stdout)).toMatchObject({ kind: 'ImageDeletion', status })
    expect((await weir(api, [...argv, 'name'])).stdout).toBe(`demo/app:prod\ndemo/app@${a}\n`)
  })

  test('shows names that would rewrite the terminal as harmless text', async () => {
    const api = await deleting({ tags: ['pro\u001b[2Jd'], manifests: [] })
    for (const format of [[], ['-o', 'name']])
      expect((await weir(api, ['delete', 'demo/app:prod', ...format])).stdout).not.toContain('\u001b')
  })

  test('that is refused says why, and fails', async () => {
    const api = await startFakeApi()
    const message = 'nothing was deleted: tag "prod" is held; to let it move again: weir resume demo/app:prod'
    api.answer('POST', deletions, failure(422, 'Invalid', message))
    const { code, stdout, stderr } = await weir(api, ['delete', `demo/app@${a}`])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(message)
  })

  test('that is refused with causes says each once, without the words of the API', async () => {
    const api = await startFakeApi()
    const why = 'tag "prod" is immutable (weir.dev/immutable: true, on project demo)'
    const causes = [{ field: 'spec', reason: 'FieldValueForbidden', message: `Forbidden: ${why}` }]
    const refused = { ...failure(422, 'Invalid', `nothing was deleted: ${why}`) }
    api.answer('POST', deletions, { ...refused, body: { ...(refused.body as object), details: { causes } } })
    const { code, stderr } = await weir(api, ['delete', 'demo/app:prod'])
    expect({ code, stderr }).toEqual({ code: 1, stderr: `error: nothing was deleted: ${why}\n` })
  })

  test('--dry-run tells what follows a tag, and that a rollback to the image needs it pushed again', async () => {
    const api = await deleting({ tags: ['prod', 'alias'], manifests: [a] })
    const following = (name: string, tag: string) => ({ name, from: { kind: 'ImageStreamTag', name: tag } })
    const tags = [following('alias', 'prod'), following('live', 'prod'), following('east', 'live')]
    api.answer('GET', stream, {
      body: { kind: 'ImageStream', metadata: { name: 'app', namespace: 'demo' }, spec: { tags } },
    })
    const told = await weir(api, ['delete', `demo/app@${a}`, '--dry-run'])
    expect(told.stderr.split('\n')).toEqual([
      'note: would stay where they are, without what they follow: demo/app:live, demo/app:east',
      'note: to roll back to the image, somebody would have to push or import it again',
      'note: a dry run: nothing was deleted',
      '',
    ])
    const done = await weir(api, ['delete', `demo/app@${a}`])
    expect(done.stderr).toBe('note: stay where they are, without what they follow: demo/app:live, demo/app:east\n')
    await api.answer('POST', deletions, ({ body }) => ({
      status: 201,
      body: { ...(body as object), status: { tags: ['prod'] } },
    }))
    const tag = await weir(api, ['delete', 'demo/app:prod', '--dry-run'])
    expect(tag.stderr).toContain('without what they follow: demo/app:alias, demo/app:live, demo/app:east\n')
    expect(tag.stderr).not.toContain('push or import')
  })

  test('goes well also where what follows can not be read', async () => {
    const api = await deleting({ tags: ['prod'], manifests: [] })
    api.answer('GET', stream, failure(500, 'InternalError', 'it broke'))
    const { code, stdout, stderr } = await weir(api, ['delete', 'demo/app:prod'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'demo/app:prod  deleted\n' })
    expect(stderr).toContain('could not be read')
  })

  test('without the right says which it takes, and who gives it', async () => {
    const api = await startFakeApi()
    api.answer('POST', deletions, failure(403, 'Forbidden', 'imagestreams is forbidden'))
    api.answer('POST', review, { status: 201, body: { status: { userInfo: { username: 'ann' } } } })
    const { code, stderr } = await weir(api, ['delete', 'demo/app:prod'])
    expect(code).toBe(1)
    expect(stderr).toContain('missing right: delete imagestreams/layers in demo')
    expect(stderr).toContain('weir grant registry-editor ann -n demo')
  })

  test('of what is not there tells what is', async () => {
    const api = await startFakeApi()
    const message = `image stream demo/app has no image ${a}`
    api.answer('POST', deletions, failure(404, 'NotFound', message))
    api.answer('GET', stream, streamWith({ prod: a }))
    const tag = await weir(api, ['delete', 'demo/app:prob'])
    expect(tag).toMatchObject({ code: 1 })
    expect(tag.stderr).toContain('did you mean demo/app:prod?')
    expect((await weir(api, ['delete', `demo/app@${a}`])).stderr).toContain(message)
  })

  test('of a stream that is not there says so', async () => {
    const api = await startFakeApi()
    api.answer('POST', deletions, failure(404, 'NotFound', 'not found'))
    api.answer('GET', stream, failure(404, 'NotFound', 'not found'))
    api.answer('GET', namespace, { body: { kind: 'Namespace', metadata: { name: 'demo' } } })
    api.answer('GET', streams, { body: { kind: 'ImageStreamList', items: [] } })
    for (const target of ['demo/app:prod', `demo/app@${a}`])
      expect((await weir(api, ['delete', target])).stderr).toContain('there is no stream demo/app')
  })

  test.each([
    ['demo/app', 'demo/app:TAG or demo/app@DIGEST'],
    ['demo/app@sha256:1234', 'not a whole digest'],
    [`demo/app:prod@${a}`, 'names a tag and a digest'],
    [`demo/app@${a}@${a}`, 'not a whole digest'],
    ['app:prod', 'project/stream'],
    [`demo@${a}`, 'project/stream'],
  ])('of %s is misuse', async (target, words) => {
    const { code, stderr } = await run(['delete', target])
    expect(code).toBe(2)
    expect(stderr).toContain(words)
  })
})
