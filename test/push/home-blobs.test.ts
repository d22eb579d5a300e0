import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Location, UpstreamLocation } from '../../src/content/content.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import type { Homes } from '../../src/push/home.ts'
import { ann, app, begun, blobWorld, other, sent } from './blob-world.ts'

const bytes = randomBytes(1000)
const digest = digestOf(bytes)

/** A home of streams of `demo`, which takes what it is given unless it `fails`. */
function home() {
  const taken: { digest: Digest; through: readonly Location[] | undefined }[] = []
  const state = { fails: false, isRefused: false, taken }
  const homes: Homes = {
    async of({ project, stream }) {
      if (project !== 'demo') return undefined
      if (state.isRefused) throw new RegistryError('DENIED', { message: 'not allowed by config' })
      return {
        location: locationOf(stream),
        async pushBlob(blob, _size, through) {
          if (state.fails) throw new RegistryError('UNAVAILABLE', { message: 'the home does not answer' })
          taken.push({ digest: blob, through })
        },
        pushManifest: () => expect.fail(),
      }
    },
  }
  return { state, homes }
}

function locationOf(stream: string): UpstreamLocation {
  return { kind: 'upstream', host: 'home.test', repository: `team/${stream}`, project: 'demo', projectUid: 'uid' }
}

test('a blob is pushed on before it is the stream’s, which has it from there', async () => {
  const { state, homes } = home()
  const { push, links, reader } = await blobWorld({ homes })
  const id = await begun(push, app)
  state.fails = true
  const refused = push.finish(app, id, ann, digest, { body: sent(bytes) })
  await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(await reader.stream(app)).toBeUndefined()
  state.fails = false
  await push.finish(app, id, ann, digest)
  expect(state.taken).toEqual([{ digest, through: undefined }])
  expect((await links.get(app, digest))?.locations).toEqual([locationOf('app')])
})

test('a home that may not be used refuses a push before its bytes', async () => {
  const { state, homes } = home()
  const { push, uploads } = await blobWorld({ homes })
  const id = await begun(push, app)
  await push.append(app, id, ann, sent(bytes))
  state.isRefused = true
  await expect(push.begin(app, ann)).rejects.toMatchObject({ code: 'DENIED' })
  await expect(push.finish(app, id, ann, digest)).rejects.toMatchObject({ code: 'DENIED' })
  expect(await uploads()).toEqual({ records: [id], files: [id] })
})

test('what is here alone is pushed on when it is mounted; what has another place keeps it', async () => {
  const { state, homes } = home()
  const { push, pushWith, links, objects } = await blobWorld({ homes })
  await objects.create('namespaces', '', { metadata: { name: 'elsewhere' } })
  const from = { project: 'elsewhere', stream: 'app' }
  const id = await begun(push, from)
  await push.finish(from, id, ann, digest, { body: sent(bytes) })
  expect(state.taken).toEqual([])
  expect(await push.begin(app, ann, { mount: digest, from })).toEqual({ mounted: digest })
  expect(state.taken).toEqual([{ digest, through: [{ kind: 'here' }] }])
  expect((await links.get(app, digest))?.locations).toEqual([locationOf('app')])
  expect(await pushWith().begin(other, ann, { mount: digest, from: app })).toEqual({ mounted: digest })
  expect(state.taken).toHaveLength(1)
  expect((await links.get(other, digest))?.locations).toEqual([locationOf('app')])
})
