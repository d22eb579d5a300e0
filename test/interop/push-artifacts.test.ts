/** Real clients sign, attest, attach, push charts, copy and delete in a Weir that has no upstream at all. */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestImage } from '../support/images.ts'
import { goBin } from './install.ts'
import { artifactClientVersions, makeChart, type Program, programOf } from './support/artifact-clients.ts'
import type { Login } from './support/clients.ts'
import { layOut } from './support/oci-layout.ts'
import { type Finished, must, run } from './support/process.ts'
import { cranePusher, withDigest } from './support/push-clients.ts'
import { openRepository } from './support/read-image.ts'
import { realImage } from './support/real-images.ts'
import { type RunningWeir, startWeir } from './support/weir.ts'

let directory: string
let weir: RunningWeir
let editor: Login
let authority: string
const plain: Record<'crane' | 'oras' | 'regctl' | 'cosign', Program> = {} as never

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-artifacts-'))
  weir = await startWeir(directory)
  authority = join(directory, 'data/tls/ca.crt')
  for (const version of await artifactClientVersions()) console.log(`client: ${version}`)
  await weir.weir('new-project', 'demo')
  editor = { username: 'editor', password: (await weir.weir('token', 'editor', '-n', 'demo')).trim() }
  await weir.weir('grant', 'registry-editor', 'serviceaccount:editor', '-n', 'demo')
  for (const name of ['crane', 'oras', 'regctl', 'cosign'] as const) {
    plain[name] = await programOf(name, directory, weir.host, editor)
  }
}, 300_000)

afterAll(async () => {
  await weir?.stop()
  if (directory !== undefined) await rm(directory, { recursive: true, force: true })
}, 60_000)

function succeeded(finished: Finished): Finished {
  expect(finished.code, `${finished.stdout}${finished.stderr}`).toBe(0)
  return finished
}

/** Pushes an image with crane; answers its name by digest. */
async function pushImage(stream: string, tag = 'prod', image: TestImage = realImage(stream)): Promise<string> {
  const laid = await layOut(join(directory, `laid-${stream}-${tag}-${image.manifest.digest.slice(7, 15)}`), image)
  succeeded(await cranePusher(directory).push(laid, `${weir.host}/demo/${stream}:${tag}`, editor))
  return `${weir.host}/demo/${stream}@${image.manifest.digest}`
}

const kubectl = (...args: string[]): Promise<string> =>
  must(join(goBin, 'kubectl'), args, { env: { KUBECONFIG: weir.kubeconfig } })

interface Listed {
  mediaType: string
  manifests: { digest: string; artifactType?: string; annotations?: Record<string, string> }[]
}

async function referrersOf(stream: string, subject: string, query = ''): Promise<Listed['manifests']> {
  const answer = await (await openRepository(weir, `demo/${stream}`, editor)).request(`referrers/${subject}${query}`)
  expect(answer.status).toBe(200)
  return ((await answer.json()) as Listed).manifests
}

async function tagsOf(stream: string): Promise<string[]> {
  const answer = await (await openRepository(weir, `demo/${stream}`, editor)).request('tags/list')
  return answer.status === 404 ? [] : ((await answer.json()) as { tags: string[] }).tags
}

const digestIn = (reference: string): string => reference.slice(reference.indexOf('@') + 1)

describe('cosign', () => {
  const formats = [
    { format: 'as tags of the image', flag: '--new-bundle-format=false', stream: 'signed-by-tag' },
    { format: 'as referrers of the image', flag: '--new-bundle-format=true', stream: 'signed-by-referrer' },
  ]
  const offline = ['--tlog-upload=false', '--use-signing-config=false', '--allow-http-registry', '--yes']
  const trusting = ['--insecure-ignore-tlog', '--allow-http-registry']
  let home: string

  beforeAll(async () => {
    home = join(directory, 'cosign-home')
    succeeded(await plain.cosign('generate-key-pair'))
    succeeded(await plain.cosign('generate-key-pair', '--output-key-prefix', 'other'))
    await writeFile(join(home, 'predicate.json'), '{"checked":"by hand"}')
  })

  test.each(formats)('signs and attests an image, $format, and verifies both', async ({ flag, stream }) => {
    const image = await pushImage(stream)
    succeeded(await plain.cosign('sign', '--key', 'cosign.key', flag, ...offline, image))
    const signed = succeeded(await plain.cosign('verify', '--key', 'cosign.pub', flag, ...trusting, image))
    expect(signed.stdout).toContain(digestIn(image))
    const attested = ['--predicate', 'predicate.json', '--type', 'custom']
    succeeded(await plain.cosign('attest', '--key', 'cosign.key', flag, ...offline, ...attested, image))
    const verifying = ['--key', 'cosign.pub', '--type', 'custom', flag, ...trusting]
    const verified = succeeded(await plain.cosign('verify-attestation', ...verifying, image))
    const { payload } = JSON.parse(verified.stdout.trim().split('\n')[0] ?? '') as { payload: string }
    expect(Buffer.from(payload, 'base64').toString()).toContain('by hand')
    const byTag = succeeded(
      await plain.cosign('verify', '--key', 'cosign.pub', flag, ...trusting, `${weir.host}/demo/${stream}:prod`),
    )
    expect(byTag.stdout).toContain(digestIn(image))
  })

  test.each(formats)('does not verify with another key, nor another image, $format', async ({ flag, stream }) => {
    const image = `${weir.host}/demo/${stream}@${realImage(stream).manifest.digest}`
    expect((await plain.cosign('verify', '--key', 'other.pub', flag, ...trusting, image)).code).not.toBe(0)
    const unsigned = await pushImage(stream, 'unsigned', realImage(`${stream} unsigned`))
    expect((await plain.cosign('verify', '--key', 'cosign.pub', flag, ...trusting, unsigned)).code).not.toBe(0)
  })

  test('signatures are no tags of the stream, and go with their image', async () => {
    const hex = realImage('signed-by-tag').manifest.digest.replace(':', '-')
    expect(await weir.weir('get', 'tags', '-n', 'demo', '-o', 'name')).not.toContain(hex)
    expect(await tagsOf('signed-by-tag')).toEqual(expect.arrayContaining([`${hex}.sig`, `${hex}.att`, 'prod']))
    const { digest } = realImage('signed-by-referrer').manifest
    expect(await referrersOf('signed-by-referrer', digest)).toHaveLength(2)
    succeeded(await plain.crane('delete', '--insecure', `${weir.host}/demo/signed-by-referrer@${digest}`))
    expect(await referrersOf('signed-by-referrer', digest)).toEqual([])
  })
})

describe('oras', () => {
  test('pushes files as an artifact and pulls them back', async () => {
    const home = join(directory, 'oras-home')
    const content = `made ${createHash('sha256').update('oras').digest('hex')}\n`
    await writeFile(join(home, 'report.txt'), content)
    const name = `${weir.host}/demo/report:v1`
    const type = ['--artifact-type', 'application/vnd.example.report']
    succeeded(await plain.oras('push', '--plain-http', ...type, name, 'report.txt:text/plain'))
    const target = join(home, 'pulled')
    succeeded(await plain.oras('pull', '--plain-http', '-o', target, name))
    expect(await readFile(join(target, 'report.txt'), 'utf8')).toBe(content)
    expect(succeeded(await plain.oras('repo', 'tags', '--plain-http', `${weir.host}/demo/report`)).stdout).toBe('v1\n')
  })

  test('attaches to an image, finds what is attached by its type, and pulls it', async () => {
    const home = join(directory, 'oras-home')
    const image = await pushImage('attached')
    for (const [file, type] of [
      ['sbom.json', 'application/vnd.example.sbom'],
      ['scan.json', 'application/vnd.example.scan'],
    ] as const) {
      await writeFile(join(home, file), JSON.stringify({ file }))
      succeeded(await plain.oras('attach', '--plain-http', '--artifact-type', type, image, file))
    }
    expect(await referrersOf('attached', digestIn(image))).toHaveLength(2)
    const [sbom, ...others] = await referrersOf(
      'attached',
      digestIn(image),
      '?artifactType=application/vnd.example.sbom',
    )
    expect([sbom?.artifactType, others]).toEqual(['application/vnd.example.sbom', []])
    const discovered = succeeded(await plain.oras('discover', '--plain-http', '--format', 'json', image))
    expect(discovered.stdout).toContain('application/vnd.example.scan')
    const target = join(home, 'attached')
    const attachment = `${weir.host}/demo/attached@${sbom?.digest}`
    succeeded(await plain.oras('pull', '--plain-http', '-o', target, attachment))
    expect(await readFile(join(target, 'sbom.json'), 'utf8')).toBe(JSON.stringify({ file: 'sbom.json' }))
  })
})

describe('regctl', () => {
  const host = () => ['--host', `reg=${weir.host},tls=disabled`]

  test('puts an artifact that refers to an image, and copies the image with what refers to it', async () => {
    const image = await pushImage('reg')
    const note = join(directory, 'note.txt')
    await writeFile(note, 'a note')
    const type = ['--artifact-type', 'application/vnd.example.note']
    succeeded(await plain.regctl(...host(), 'artifact', 'put', ...type, '--subject', image, '--file', note))
    const listed = succeeded(await plain.regctl(...host(), 'artifact', 'list', image, '--format', '{{json .}}'))
    expect(listed.stdout).toContain('application/vnd.example.note')
    const to = `${weir.host}/demo/reg-copy:prod`
    succeeded(await plain.regctl(...host(), 'image', 'copy', '--referrers', '--digest-tags', image, to))
    expect(withDigest(succeeded(await plain.regctl(...host(), 'image', 'digest', to))).digest).toBe(digestIn(image))
    expect(await referrersOf('reg-copy', digestIn(image))).toHaveLength(1)
  })

  test('removes a tag, and the other one stays', async () => {
    await pushImage('two-tags', 'one', realImage('two tags'))
    await pushImage('two-tags', 'two', realImage('two tags'))
    succeeded(await plain.regctl(...host(), 'tag', 'rm', `${weir.host}/demo/two-tags:one`))
    expect(succeeded(await plain.regctl(...host(), 'tag', 'ls', `${weir.host}/demo/two-tags`)).stdout).toBe('two\n')
    const [newest] = (
      JSON.parse(await weir.weir('history', 'demo/two-tags:one', '-o', 'json')) as {
        items: { cause: { kind: string; by: string } }[]
      }
    ).items
    expect(newest?.cause).toMatchObject({ kind: 'delete', by: 'system:serviceaccount:demo:editor' })
  })
})

describe('helm', () => {
  let host: string
  let helm: Program
  let archive: string

  beforeAll(async () => {
    host = new URL(weir.apiUrl).host
    const home = join(directory, 'helm-home')
    helm = await programOf('helm', directory, host)
    await mkdir(home, { recursive: true })
    succeeded(await helm('package', await makeChart(home, 'sample', '0.1.0'), '-d', home))
    archive = join(home, 'sample-0.1.0.tgz')
  })

  test('is refused where it does not trust the authority, and without a login', async () => {
    const untrusting = await helm('push', archive, `oci://${host}/demo/charts`)
    expect(untrusting.stderr).toContain('certificate')
    const unknown = await helm('push', '--ca-file', authority, archive, `oci://${host}/demo`)
    expect(unknown.code).not.toBe(0)
  })

  test('logs in, pushes a chart over HTTPS, shows and pulls it', async () => {
    const who = ['-u', editor.username, '-p', editor.password]
    succeeded(await helm('registry', 'login', '--ca-file', authority, ...who, host))
    const pushed = succeeded(await helm('push', '--ca-file', authority, archive, `oci://${host}/demo`))
    const digest = /sha256:[a-f0-9]{64}/.exec(`${pushed.stdout}${pushed.stderr}`)?.[0]
    const chart = ['--ca-file', authority, '--version', '0.1.0', `oci://${host}/demo/sample`]
    expect(succeeded(await helm('show', 'chart', ...chart)).stdout).toContain('name: sample')
    const target = join(directory, 'charts')
    await mkdir(target)
    succeeded(await helm('pull', '-d', target, ...chart))
    expect(await readFile(join(target, 'sample-0.1.0.tgz'))).toEqual(await readFile(archive))
    const { items } = JSON.parse(await weir.weir('history', 'demo/sample:0.1.0', '-o', 'json')) as {
      items: { image: string; cause: { client: string } }[]
    }
    expect(items).toMatchObject([{ image: digest, cause: { kind: 'push', client: expect.stringMatching(/^Helm/) } }])
  })
})

describe('crane and skopeo', () => {
  test('a copy from stream to stream is a mount, and needs no bytes', async () => {
    const image = await pushImage('copied-from')
    const to = `${weir.host}/demo/copied-to:prod`
    const copied = succeeded(await plain.crane('copy', '--insecure', image, to))
    expect(copied.stderr).toMatch(/mounted blob/)
    expect(withDigest(succeeded(await plain.crane('digest', '--insecure', to))).digest).toBe(digestIn(image))
    succeeded(await plain.crane('validate', '--insecure', '--remote', to))
  })

  test('a push moves what follows the tag, in the same revision', async () => {
    await pushImage('followed', 'latest', realImage('followed 1'))
    await weir.weir('tag', 'demo/followed:latest', 'demo/followed:stable', '--alias')
    const second = digestIn(await pushImage('followed', 'latest', realImage('followed 2')))
    for (const tag of ['latest', 'stable']) {
      const { stdout } = succeeded(await plain.crane('digest', '--insecure', `${weir.host}/demo/followed:${tag}`))
      expect(stdout.trim(), tag).toBe(second)
    }
  })

  test('skopeo deletes an image with its tags, and nobody gets it any more', async () => {
    const image = await pushImage('deleted')
    const creds = ['--creds', `${editor.username}:${editor.password}`]
    const at = `${weir.host}/demo/deleted:prod`
    succeeded(await run('skopeo', ['delete', '--tls-verify=false', ...creds, `docker://${at}`]))
    for (const gone of [at, image]) expect((await plain.crane('manifest', '--insecure', gone)).code, gone).not.toBe(0)
    expect(await tagsOf('deleted')).toEqual([])
  })

  test('an immutable tag takes the same image again, and no other; a client is told why', async () => {
    await pushImage('fixed', 'v1')
    await kubectl('annotate', 'imagestream', 'fixed', '-n', 'demo', 'weir.dev/immutable=v*')
    await pushImage('fixed', 'v1')
    await pushImage('fixed', 'latest', realImage('fixed 2'))
    const laid = await layOut(join(directory, 'laid-other'), realImage('fixed 3'))
    const refused = await cranePusher(directory).push(laid, `${weir.host}/demo/fixed:v1`, editor)
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toMatch(/DENIED.*immutable/s)
    const kept = await plain.crane('delete', '--insecure', `${weir.host}/demo/fixed:v1`)
    expect(kept.code).not.toBe(0)
    expect(await tagsOf('fixed')).toEqual(['latest', 'v1'])
  })

  test('a push beyond the quota of the project is refused with what is used and allowed', async () => {
    await weir.weir('new-project', 'small')
    await weir.weir('grant', 'registry-editor', 'serviceaccount:demo/editor', '-n', 'small')
    await kubectl('create', 'quota', 'bytes', '-n', 'small', '--hard=requests.storage=2Ki')
    const laid = await layOut(join(directory, 'laid-small'), realImage('small'))
    succeeded(await cranePusher(directory).push(laid, `${weir.host}/small/app:v1`, editor))
    const large = realImage('large', { padding: 20_000 })
    const refused = await cranePusher(directory).push(
      await layOut(join(directory, 'laid-large'), large),
      `${weir.host}/small/app:v2`,
      editor,
    )
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toMatch(/exceeded quota: bytes, requested: .*used: .*limited: /)
    expect(await kubectl('describe', 'quota', 'bytes', '-n', 'small')).toMatch(/requests\.storage +\d+ +2Ki/)
  })
})
