/** Secrets as kubectl makes, shows, applies, edits and deletes them. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeCertificateAuthority } from '../../src/http/make-certificate.ts'
import type { Kubectl } from './support/kubectl.ts'
import { type KubectlWorld, startKubectlWorld } from './support/kubectl-world.ts'

let world: KubectlWorld

beforeAll(async () => {
  world = await startKubectlWorld()
})

afterAll(() => world?.stop())

const base64 = (text: string) => Buffer.from(text).toString('base64')
const text = (encoded: string) => Buffer.from(encoded, 'base64').toString()
const secretYaml = (fields: string) => `apiVersion: v1\nkind: Secret\nmetadata: {name: app}\n${fields}\n`

describe.each(['1.37', '1.20'] as const)('kubectl %s', (release) => {
  let kubectl: Kubectl
  const project = `p${release.replace('.', '-')}`
  beforeAll(async () => {
    kubectl = await world.inProject(project, { release })
  })

  test('creates a login to a registry, and refuses it twice', async () => {
    const login = ['--docker-server=registry.test', '--docker-username=robot', '--docker-password=s3cret']
    const create = ['create', 'secret', 'docker-registry', 'pull', ...login, '--docker-email=a@b.test']
    expect(await kubectl(...create)).toBe('secret/pull created\n')
    expect(await kubectl.fails(...create)).toContain('already exists')
    const { type, data } = await kubectl.json('get', 'secret', 'pull')
    expect(type).toBe('kubernetes.io/dockerconfigjson')
    expect(JSON.parse(text(data['.dockerconfigjson']))).toMatchObject({
      auths: { 'registry.test': { username: 'robot', password: 's3cret', auth: base64('robot:s3cret') } },
    })
    expect(await kubectl('get', 'secret', '--field-selector=type=kubernetes.io/dockerconfigjson', '-o', 'name')).toBe(
      'secret/pull\n',
    )
    const raw = `/apis/image.openshift.io/v1/namespaces/${project}/imagestreams/any/secrets`
    expect(JSON.parse(await kubectl('get', '--raw', raw))).toMatchObject({
      kind: 'SecretList',
      items: [{ metadata: { name: 'pull' } }],
    })
  })

  test('creates generic ones of literals, files and bytes', async () => {
    const file = join(world.directory, `bytes-${release}`)
    await writeFile(file, Buffer.from([0, 255, 128, 10]))
    await kubectl(
      'create',
      'secret',
      'generic',
      'any',
      '--from-literal=a=b',
      '--from-literal=empty=',
      `--from-file=raw=${file}`,
    )
    const { type, data } = await kubectl.json('get', 'secret', 'any')
    expect([type, data]).toEqual(['Opaque', { a: base64('b'), empty: '', raw: 'AP+ACg==' }])
    await kubectl(
      'create',
      'secret',
      'generic',
      'basic',
      '--type=kubernetes.io/basic-auth',
      '--from-literal=username=ann',
    )
    expect(
      await kubectl.fails(
        'create',
        'secret',
        'generic',
        'bad',
        '--type=kubernetes.io/basic-auth',
        '--from-literal=a=b',
      ),
    ).toContain('data[username]')
    expect(
      await kubectl.fails('create', 'secret', 'generic', 'sa', '--type=kubernetes.io/service-account-token'),
    ).toContain('kubectl create token')
    // Older ones look for dry runs in a document that Weir does not have.
    if (release === '1.20') return
    expect(await kubectl('create', 'secret', 'generic', 'dry', '--from-literal=a=b', '--dry-run=server')).toContain(
      'secret/dry created (server dry run)',
    )
    expect(await kubectl.fails('get', 'secret', 'dry')).toContain('not found')
  })

  test('creates one of a certificate', async () => {
    const { cert, key } = await certificate(release)
    await kubectl('create', 'secret', 'tls', 'site', `--cert=${cert}`, `--key=${key}`)
    const { type, data } = await kubectl.json('get', 'secret', 'site')
    expect([type, Object.keys(data)]).toEqual(['kubernetes.io/tls', ['tls.crt', 'tls.key']])
  })

  test('shows them without their values', async () => {
    await kubectl('create', 'secret', 'generic', 'shown', '--from-literal=password=hunter2')
    expect(await kubectl('get', 'secret', 'shown')).toMatch(/^NAME +TYPE +DATA +AGE *\nshown +Opaque +1 +\S+\n$/)
    const described = await kubectl('describe', 'secret', 'shown')
    expect(described).toMatch(/^Type: +Opaque$/m)
    expect(described).toMatch(/^password: +7 bytes$/m)
    expect(described).not.toContain('hunter2')
  })

  test('applies, changes and edits one, and gets its last value alone', async () => {
    expect(await kubectl.send(secretYaml('stringData: {a: one, b: two}'), 'apply')).toBe('secret/app created\n')
    expect(await kubectl.send(secretYaml('stringData: {a: one, b: two}'), 'apply')).toMatch(/configured|unchanged/)
    await kubectl.send(secretYaml(`data: {a: ${base64('three')}}`), 'apply')
    expect((await kubectl.json('get', 'secret', 'app')).data.a).toBe(base64('three'))
    const edited = await kubectl.edit(`s/${base64('three')}/${base64('four!')}/g`, 'secret', 'app')
    expect(edited).toMatchObject({ code: 0, stdout: 'secret/app edited\n' })
    expect((await kubectl.json('get', 'secret', 'app')).data.a).toBe(base64('four!'))
    const refused = await kubectl.refuses(
      secretYaml('type: kubernetes.io/tls\nstringData: {tls.crt: "", tls.key: ""}'),
      'apply',
    )
    expect(refused).toContain('field is immutable')
    await kubectl('label', 'secret', 'app', 'a=b')
    await kubectl('patch', 'secret', 'app', '-p', '{"immutable":true}')
    expect(await kubectl.fails('patch', 'secret', 'app', '-p', '{"stringData":{"a":"five"}}')).toContain('immutable')
    expect(await kubectl('delete', 'secret', 'app')).toContain('secret "app" deleted')
    await kubectl('delete', 'secret', '--all')
    expect(await kubectl('get', 'secret', '-o', 'name')).toBe('')
  })

  test('applies one on the server, where two own their own keys', async () => {
    const yaml = (fields: string) => secretYaml(fields).replace('name: app', 'name: owned')
    await kubectl.send(yaml(`data: {a: ${base64('1')}}`), 'apply', '--server-side')
    await kubectl.send(yaml(`data: {b: ${base64('2')}}`), 'apply', '--server-side', '--field-manager=other')
    const { data, metadata } = await kubectl.json(
      'get',
      'secret',
      'owned',
      ...(release === '1.20' ? [] : ['--show-managed-fields']),
    )
    expect(data).toEqual({ a: base64('1'), b: base64('2') })
    expect(JSON.stringify(metadata.managedFields)).not.toContain(base64('2'))
    expect(
      await kubectl.refuses(yaml(`data: {a: ${base64('3')}}`), 'apply', '--server-side', '--field-manager=other'),
    ).toContain('.data.a')
  })
})

test('who may look cannot read secrets, and an editor can', async () => {
  const admin = await world.inProject('rights')
  await admin('create', 'secret', 'generic', 's', '--from-literal=password=hunter2')
  for (const role of ['view', 'edit']) {
    await admin('create', 'sa', role)
    await admin('create', 'rolebinding', role, `--clusterrole=${role}`, `--serviceaccount=rights:${role}`)
  }
  const as = async (name: string) => world.as((await admin('create', 'token', name)).trim(), 'rights')
  const [viewer, editor] = [await as('view'), await as('edit')]
  for (const args of [
    ['get', 'secret', 's', '-o', 'yaml'],
    ['get', 'secrets'],
    ['describe', 'secret', 's'],
  ]) {
    const refused = await viewer.fails(...args)
    expect(refused).toContain('forbidden')
    expect(refused).not.toContain(base64('hunter2'))
  }
  expect((await editor.json('get', 'secret', 's')).data).toEqual({ password: base64('hunter2') })
})

async function certificate(release: string): Promise<{ cert: string; key: string }> {
  const made = await makeCertificateAuthority({ notBefore: new Date(), notAfter: new Date(Date.now() + 3_600_000) })
  const [cert, key] = [join(world.directory, `${release}.crt`), join(world.directory, `${release}.key`)]
  await writeFile(cert, made.cert)
  await writeFile(key, made.key)
  return { cert, key }
}
