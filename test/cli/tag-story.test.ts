import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createImporter } from '../../src/importer.ts'
import type { StreamName } from '../../src/oci/reference.ts'
import { createAllowList } from '../../src/upstream/allow-list.ts'
import { makeIndex } from '../support/images.ts'
import { story } from './story-world.ts'

const short = (digest: string) => digest.slice(0, 19)

test('promoting: each step stands where it was put, whatever moves before it', async () => {
  const { weir, publish, from, clock } = await story()
  const first = publish('one')
  await weir(['new-project', 'live'])
  await weir(['import-image', 'demo/app:latest', '--from', from])
  expect(await weir(['tag', 'demo/app:latest', 'demo/app:prod', 'live/web:prod', '--reason', 'release 1'])).toEqual({
    code: 0,
    stdout: `demo/app:prod  none -> ${first}  revision 1\nlive/web:prod  none -> ${first}  revision 1\n`,
    stderr: '',
  })
  expect((await weir(['tag', 'demo/app:latest', 'demo/app:prod'])).stdout).toBe(`demo/app:prod  ${first}  unchanged\n`)

  clock.advance(3_600_000)
  const second = publish('two')
  await weir(['import-image', 'demo/app:latest'])
  const tags = await weir(['get', 'tags', '-n', 'live', '-o', 'wide'])
  expect(tags.stdout).toMatch(new RegExp(`^live/web:prod +${first} +1 +demo/app@${first} `, 'm'))
  expect((await weir(['tag', 'demo/app:latest', 'demo/app:prod', '--reason', 'release 2'])).stdout).toBe(
    `demo/app:prod  ${first} -> ${second}  revision 2\n`,
  )
  expect((await weir(['tag', `demo/app@${first.slice(7, 20)}`, 'demo/app:prod'])).stdout).toBe(
    `demo/app:prod  ${second} -> ${first}  revision 3\n`,
  )
  const history = await weir(['history', 'demo/app:prod'])
  expect(history.stdout).toMatch(/^2 .* tag +weir:admin +demo\/app@sha256:\S+ +release 2$/m)
  const described = await weir(['describe', 'live/web:prod'])
  expect(described.stdout).toContain(`revision 1: tag by weir:admin from demo/app@${short(first)} (release 1)\n`)
  expect(described.stdout).toMatch(/^Pull: +docker pull weir.test:5000\/live\/web:prod$/m)
})

test('an alias follows a later import, and a held one does not', async () => {
  const { weir, publish, from, clock } = await story()
  const first = publish('one')
  await weir(['import-image', 'demo/app:latest', '--from', from])
  expect((await weir(['tag', 'demo/app:latest', 'demo/app:stable', '--alias'])).stdout).toBe(
    `demo/app:stable  none -> ${first}  revision 1; set up to track demo/app:latest\n`,
  )
  await weir(['tag', 'demo/app:stable', 'demo/app:web', '--alias'])
  expect((await weir(['tag', 'demo/app:web', 'demo/app:stable', '--alias'])).stderr).toContain(
    'error: demo/app:stable can not track demo/app:web: demo/app:web tracks demo/app:stable',
  )
  clock.advance(60_000)
  const second = publish('two')
  await weir(['import-image', 'demo/app:latest'])
  expect((await weir(['describe', 'demo/app'])).stdout).toContain(
    `demo/app:latest  (tracked by stable, web)\n  stands at ${short(second)} since just now`,
  )

  await weir(['rollback', 'demo/app:web', '--reason', 'bad build'])
  clock.advance(60_000)
  const third = publish('three')
  await weir(['import-image', 'demo/app:latest'])
  await weir(['tag', 'demo/app:latest', 'demo/app:release'])
  await weir(['tag', 'demo/app:release', 'demo/app:next', '--alias'])
  await weir(['tag', 'demo/app:release', 'demo/app:late', '--alias'])
  await weir(['tag', `demo/app@${first}`, 'demo/app:release'])
  await weir(['rollback', 'demo/app:late'])
  expect(await weir(['tag', 'demo/app:stable', 'demo/app:release'])).toEqual({
    code: 0,
    stdout: `demo/app:release  ${first} -> ${third}  revision 3\n`,
    stderr: 'note: moved along: demo/app:next\n',
  })
  const { stdout } = await weir(['describe', 'demo/app'])
  expect(stdout).toContain('Attention:     held: late, web\n')
  expect(stdout).toContain(
    [
      '  tracks demo/app:stable: moves along with it when it is no longer held',
      '  ! held at revision 3 since 60 seconds ago (2026-01-01T00:01:00Z) by weir:admin (bad build)',
      `    demo/app:stable stands at ${short(third)} meanwhile`,
      '    to let it move again: weir resume demo/app:web',
      '',
    ].join('\n'),
  )
  const held = 'demo/app:web is held at revision 3 since 2026-01-01T00:01:00Z by weir:admin (bad build)'
  expect(await weir(['tag', 'demo/app:latest', 'demo/app:web'])).toEqual({
    code: 1,
    stdout: '',
    stderr: `error: ${held}; to let it move again: weir resume demo/app:web\n`,
  })
  await weir(['tag', `demo/app@${second}`, 'demo/app:release'])
  expect((await weir(['tag', `demo/app@${first}`, 'demo/app:release'])).stderr).toBe(
    'note: moved along: demo/app:next\nnote: held, and did not move along: demo/app:late\n',
  )
})

test('a tag is taken away, and had back', async () => {
  const { weir, publish, from } = await story()
  const first = publish('one')
  await weir(['import-image', 'demo/app:old', '--from', from])
  await weir(['tag', 'demo/app:old', 'demo/app:stable', '--alias'])
  expect(await weir(['tag', '-d', 'demo/app:old'])).toEqual({
    code: 0,
    stdout: `demo/app:old  ${first} -> none  revision 2  deleted\n`,
    stderr: [
      'note: its history stays; to have it back: weir rollback demo/app:old --to 1',
      'note: what follows it stays where it is: demo/app:stable',
      '',
    ].join('\n'),
  })
  expect((await weir(['describe', 'demo/app'])).stdout).toContain('tracks demo/app:old, which is not there\n')
  const again = await weir(['tag', '-d', 'demo/app:old'])
  expect(again).toMatchObject({ code: 1, stdout: '' })
  expect(again.stderr).toContain('error: demo/app has no tag "old"\n')
  expect(await weir(['rollback', 'demo/app:old', '--to', '1'])).toMatchObject({ code: 0 })
  expect((await weir(['get', 'tags', 'demo/app', '-o', 'name'])).stdout).toBe('demo/app:old\ndemo/app:stable\n')
})

describe('an image of a registry', () => {
  test('is imported in the background, and the outcome is told', async () => {
    const { weir, publish, from, registry, importPending } = await story()
    importPending()
    const first = publish('one')
    expect(await weir(['tag', from, 'demo/app:latest', 'demo/app:v1', '--reason', 'first'])).toEqual({
      code: 0,
      stdout: `demo/app:latest  none -> ${first}  revision 1\ndemo/app:v1  none -> ${first}  revision 1\n`,
      stderr: '',
    })
    expect((await weir(['tag', from, 'demo/app:latest'])).stdout).toBe(`demo/app:latest  ${first}  unchanged\n`)
    const second = publish('two')
    const json = JSON.parse((await weir(['tag', from, 'demo/app:latest', '-o', 'json'])).stdout)
    expect(json).toMatchObject({ kind: 'ImageStreamTag', image: { metadata: { name: second } } })
    expect((await weir(['history', 'demo/app:v1'])).stdout).toMatch(/^1\* .* import +weir:admin .* first$/m)

    const none = `${registry.host}/lib/none:v1`
    const failed = await weir(['tag', none, 'demo/app:latest'])
    expect(failed).toMatchObject({ code: 1, stdout: '' })
    expect(failed.stderr).toContain(`note: demo/app:latest now follows ${none} instead of ${from}\n`)
    expect(failed.stderr).toContain(`error: demo/app:latest was not imported from ${none}: NotFound: `)
    expect(failed.stderr).toContain(`  demo/app:latest stays at ${second}\n`)
    expect(failed.stderr).toContain(`  it stays set to import ${none}: weir import-image demo/app:latest tries again\n`)
    const { stdout } = await weir(['describe', 'demo/app:latest'])
    expect(stdout).toContain('! import fails since just now (2026-01-01T00:00:00Z): NotFound: ')
    expect(stdout).toContain('  pulls go on from revision 2\n')
    expect((await weir(['get', 'tags', '-n', 'demo'])).stdout).toMatch(/^demo\/app:latest .* failed \(NotFound\)$/m)
  })

  test('that nobody imports is pending, and is waited for no longer than was said', async () => {
    const { weir, publish, from, clock } = await story()
    publish('one')
    const waiting = weir(['tag', from, 'demo/app:latest', '--request-timeout', '90s'])
    clock.advance(1)
    await expect.poll(async () => (await weir(['get', 'tags', '-n', 'demo'])).stdout).toMatch(/pending$/m)
    clock.advance(100_000)
    expect(await waiting).toMatchObject({ code: 1, stdout: '' })
    expect((await weir(['describe', 'demo/app:latest'])).stdout).toContain(
      `~ ${from} is being imported, or waits for it\n`,
    )
    expect((await weir(['describe', 'demo/app'])).stdout).toContain('imports are pending: latest\n')
    expect((await weir(['tag', 'demo/app:latest', 'demo/app:prod'])).stderr).toContain(
      'error: demo/app:latest stands at no image: pending\n',
    )
    expect((await weir(['tag', 'demo/app:latest', 'demo/app:prod', '--alias'])).stdout).toBe(
      'demo/app:prod  set up to track demo/app:latest, which stands nowhere yet\n',
    )
  })

  test('can be a mere reference, and copied as one', async () => {
    const { weir, registry } = await story()
    const name = `${registry.host}/lib/big:v1`
    expect((await weir(['tag', name, 'demo/app:ptr', '--reference'])).stdout).toBe(
      `demo/app:ptr  set up as a reference to ${name}\n`,
    )
    expect((await weir(['describe', 'demo/app:ptr'])).stdout).toContain(`Stands:  points to ${name}\n`)
    expect((await weir(['get', 'tags', '-n', 'demo'])).stdout).toMatch(/^demo\/app:ptr .* reference$/m)
  })

  test('that may not be used is refused before anything is written', async () => {
    const { weir } = await story()
    const refused = await weir(['tag', 'evil.example.com/a/b:1', 'demo/app:x'])
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toContain('imports.allowedRegistries')
    expect((await weir(['get', 'streams', '-n', 'demo'])).stdout).toBe('NAME  TAGS  UPDATED\n')
  })
})

test('a tag follows one of another project, until it is set otherwise', async () => {
  const { weir, publish, from } = await story()
  const first = publish('one')
  await weir(['import-image', 'demo/app:latest', '--from', from])
  await weir(['new-project', 'live'])
  expect(await weir(['tag', 'demo/app:latest', 'live/app:prod', '--follow', '--reason', 'go along'])).toEqual({
    code: 0,
    stdout: `live/app:prod  none -> ${first}  revision 1; set up to follow demo/app:latest\n`,
    stderr: '',
  })
  const described = await weir(['describe', 'live/app:prod'])
  expect(described.stdout).toContain('follows demo/app:latest: moves along with it\n')
  expect((await weir(['get', 'tags', '-n', 'live'])).stdout).toMatch(/^live\/app:prod .* following$/m)
  expect((await weir(['tag', 'live/app:prod', 'demo/app:latest', '--follow'])).stderr).toBe(
    'error: demo/app:latest was not tagged: it would follow itself, through live/app:prod\n',
  )
  expect((await weir(['tag', 'demo/app:later', 'live/app:next', '--follow'])).stdout).toBe(
    'live/app:next  set up to follow demo/app:later, which stands nowhere yet\n',
  )
  const waits = await weir(['describe', 'live/app:next'])
  expect(waits.stdout).toContain(
    'NotFound: demo/app:later stands at no image: the tag follows it as soon as there is one',
  )
  expect(waits.stdout).not.toContain('import')
  const pinned = await weir(['tag', 'demo/app:latest', 'live/app:prod'])
  expect(pinned.stderr).toBe('note: live/app:prod no longer follows demo/app:latest\n')
  expect((await weir(['describe', 'live/app:prod'])).stdout).toContain('pinned to demo/app@')
})

test('a robot promotes between projects with the right to pull from the one and to write in the other', async () => {
  const { weir, publish, from } = await story()
  const first = publish('one')
  await weir(['import-image', 'demo/app:latest', '--from', from])
  await weir(['new-project', 'live'])
  const token = (await weir(['token', 'ci', '-n', 'live'])).stdout.trim()
  const promote = () => weir(['tag', 'demo/app:latest', 'live/app:prod'], token)
  expect((await promote()).stderr).toContain('weir grant registry-editor serviceaccount:live/ci -n live\n')
  await weir(['grant', 'registry-editor', 'serviceaccount:ci', '-n', 'live'])
  expect(await promote()).toEqual({
    code: 1,
    stdout: '',
    stderr: [
      'error: you may not pull from demo/app, or there is no such stream',
      '  who administers demo can give it: weir grant pull serviceaccount:live/ci -n demo',
      '  for this stream alone: weir grant pull serviceaccount:live/ci -n demo --stream app',
      '',
    ].join('\n'),
  })
  await weir(['grant', 'pull', 'serviceaccount:live/ci', '-n', 'demo'])
  expect(await promote()).toEqual({ code: 0, stdout: `live/app:prod  none -> ${first}  revision 1\n`, stderr: '' })
  expect((await weir(['describe', 'live/app'], token)).stdout).toContain(`pinned to demo/app@${short(first)}\n`)
  expect((await weir(['tag', 'demo/app:none', 'live/app:prod'], token)).stderr).toContain(
    'error: demo/app:none is not there, or stands at no image\n',
  )
})

test('an index is described with its platforms, and listed with them', async () => {
  const { weir, registry, importer: _bare, ...world } = await story()
  const index = makeIndex('multi')
  registry.put('lib/multi', index, { tag: 'v1' })
  const from = `${registry.host}/lib/multi:v1`
  await weir(['import-image', 'demo/multi:v1', '--from', from])
  const named = (await weir(['describe', 'demo/multi:v1'])).stdout
  expect(named).toContain('Index:       of 2 images\n')
  expect(named).toMatch(/^linux\/amd64 +sha256:[0-9a-f]{12} +\d+ B +- +-$/m)

  const allowed = createAllowList({ patterns: [], named: [registry.host], own: [] })
  const keepManifest = (name: StreamName, digest: string) => world.pullThrough.manifest(name, digest, { head: false })
  const importer = createImporter({ ...world, allowed, keepManifest, log: pino({ level: 'silent' }) })
  const images = [{ from, to: 'v1', importPolicy: { importMode: 'PreserveOriginal' as const } }]
  await importer.import({ project: 'demo', stream: 'multi', by: 'admin', images })
  await weir(['new-project', 'live'])
  await weir(['tag', 'demo/multi:v1', 'live/multi:v1'])
  for (const project of ['demo', 'live']) {
    const { stdout } = await weir(['describe', `${project}/multi:v1`])
    for (const [i, architecture] of ['amd64', 'arm64'].entries()) {
      const digest = index.children[i]?.manifest.digest ?? expect.unreachable()
      expect(stdout).toMatch(new RegExp(`^linux/${architecture} +${short(digest)} +\\d+ B +\\d+ B in 1 layer`, 'm'))
      expect(stdout).toContain(`Platform:  linux/${architecture}\n  Environment:  SEED=multi-${architecture}\n`)
    }
    const listed = await weir(['get', 'images', '-n', project])
    expect(listed.stdout).toMatch(new RegExp(`^${short(index.manifest.digest)} .* linux/amd64,linux/arm64 `, 'm'))
  }
  expect((await weir(['get', 'images', '-o', 'name'])).stdout.split('\n')).toContain(index.manifest.digest)
})

test('what people write of a tag survives its promotion', async () => {
  const { weir, publish, from, asAdmin } = await story()
  publish('one')
  await weir(['import-image', 'demo/app:latest', '--from', from])
  await weir(['tag', 'demo/app:latest', 'demo/app:prod', '--reference-policy', 'source'])
  const path = '/apis/image.openshift.io/v1/namespaces/demo/imagestreamtags/app:prod'
  const { body } = await asAdmin('GET', path)
  await asAdmin('PUT', path, {
    ...body,
    metadata: { ...(body.metadata as object), annotations: { description: 'Live.' } },
  })
  publish('two')
  await weir(['import-image', 'demo/app:latest'])
  await weir(['tag', 'demo/app:latest', 'demo/app:prod', '--reason', 'release'])
  const yaml = parse((await weir(['describe', 'demo/app:prod', '-o', 'yaml'])).stdout)
  expect(yaml.tag).toMatchObject({ annotations: { description: 'Live.' }, referencePolicy: { type: 'Source' } })
})
