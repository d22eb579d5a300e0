import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { AuditLine } from '../../src/audit/event.ts'
import { makeImage } from '../support/images.ts'
import { startWorld, type World } from '../support/world.ts'

const image = makeImage('one')

async function imported(config: Record<string, unknown> = {}): Promise<World & { ci: string }> {
  const world = await startWorld({ config })
  world.upstream.put('lib/app', image, { tag: 'v1' })
  const done = async (...argv: string[]): Promise<string> => {
    const ran = await world.cli(...argv)
    expect(ran, argv.join(' ')).toMatchObject({ exitCode: 0 })
    return ran.stdout
  }
  await done('new-project', 'demo')
  await done('import-image', 'demo/app:prod', '--from', `${world.upstream.host}/lib/app:v1`)
  const ci = (await done('token', 'ci', '-n', 'demo')).trim()
  await done('grant', 'pull', 'serviceaccount:ci', '-n', 'demo')
  return Object.assign(world, { ci })
}

async function textOf({ weir, dataDirectory }: World): Promise<string> {
  await weir.stop(0)
  return readFile(join(dataDirectory, 'audit', 'audit.log'), 'utf8')
}

function linesOf(text: string): AuditLine[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

describe('the audit log of a Weir', () => {
  test('tells the story: who made, imported, granted, logged in, pulled and was refused, and by which binding', async () => {
    const world = await imported()
    await world.pull('demo/app:prod', world.ci)
    await world.pull('demo/app:prod', world.ci)
    const refused = await world.pullToken('repository:demo/app:pull')
    await world.request('/v2/demo/app/manifests/prod', { token: refused })
    const lines = linesOf(await textOf(world))
    const told = lines.map(({ subject, verb, object, decision, grant }) =>
      [subject.name, verb, object.resource, object.name, decision, grant?.name ?? '-'].join(' '),
    )
    const robot = 'system:serviceaccount:demo:ci'
    const scope = 'repository:demo/app:pull'
    expect(told).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^weir:admin create (?:namespaces|projects|projectrequests) demo allowed system:masters$/,
        ),
        'weir:admin create imagestreamimports app allowed system:masters',
        'weir:admin create serviceaccounts ci allowed system:masters',
        'weir:admin create serviceaccounts/token ci allowed system:masters',
        expect.stringMatching(/^weir:admin create rolebindings \S+ allowed system:masters$/),
        `${robot} login tokens ${scope} allowed -`,
        expect.stringMatching(/^system:serviceaccount:demo:ci pull imagestreams\/layers app:prod allowed \S*pull\S*$/),
        'system:anonymous login tokens  allowed -',
        'system:anonymous pull imagestreams/layers app:prod denied -',
      ]),
    )
    expect(lines.filter(({ verb, decision }) => verb === 'pull' && decision === 'allowed')).toHaveLength(2)
    expect(lines.every(({ client }) => client.address === '127.0.0.1')).toBe(true)
  })

  test('names no secret: no token, password, query, body or value', async () => {
    const world = await imported()
    const { request, adminToken, ci } = world
    const basic = (login: string) => ({ authorization: `Basic ${Buffer.from(login).toString('base64')}` })
    const registryToken = await world.pullToken('repository:demo/app:pull', ci)
    await request('/v2/demo/app/manifests/prod', { token: registryToken })
    await request('/v2/demo/app/manifests/prod?leak=query-value', { token: 'forged-registry-token' })
    await request('/token', { headers: basic('ana:wrong-password') })
    await request('/token', { headers: basic(`${ci}:${ci}`) })
    await request(`/token?account=${ci}&client_id=query-value&scope=repository:demo/app:pull`, {
      headers: basic(`x:${ci}`),
    })
    const form = 'application/x-www-form-urlencoded'
    const post = (body: string) => request('/token', { method: 'POST', body, headers: { 'content-type': form } })
    await post(`grant_type=password&username=ana&password=wrong-password&service=x`)
    await post('grant_type=refresh_token&refresh_token=weir_refresh_stolen&service=x&client_id=x')
    const secret = { metadata: { name: 's' }, stringData: { key: 'secret-value' } }
    await world.api('POST', '/api/v1/namespaces/demo/secrets', secret)
    await world.api('GET', '/api/v1/namespaces/demo/secrets/s?leak=query-value')
    const stolen = { token: 'forged-api-token', secure: true }
    await request('/api/v1/namespaces/demo/secrets/s?leak=query-value', stolen)
    await request('/api/v1/namespaces/demo/secrets', { ...stolen, method: 'POST', body: secret })
    const text = await textOf(world)
    const encoded = Buffer.from('secret-value').toString('base64')
    const secrets = [adminToken, ci, registryToken, 'query-value', 'forged', 'wrong-password', 'stolen', 'secret-value']
    for (const word of [...secrets, encoded, 'Bearer', 'Basic']) expect(text).not.toContain(word)
    const decided = linesOf(text).map(({ surface, verb, decision }) => `${surface} ${verb} ${decision}`)
    expect(new Set(decided)).toEqual(
      new Set([
        'api create allowed',
        'api create denied',
        'api get allowed',
        'api get denied',
        'registry pull allowed',
        'registry pull denied',
        'token login allowed',
        'token login denied',
        ...decided.filter((each) => each.startsWith('token refresh')),
      ]),
    )
  })

  test('is listed by the API with all that was answered before', async () => {
    const world = await imported()
    await world.pull('demo/app:prod', world.ci)
    const { body } = await world.api('GET', '/apis/weir.dev/v1/auditevents?fieldSelector=verb%3Dpull,name%3Dapp')
    expect(body.items).toMatchObject([{ object: { name: 'app:prod' }, decision: 'allowed' }])
  })

  test('is not there when the config says none, and pulls go on', async () => {
    const world = await imported({ audit: { output: 'none' } })
    expect((await world.pull('demo/app:prod', world.ci)).status).toBe(200)
    await expect(textOf(world)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
