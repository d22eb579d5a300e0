import { describe, expect, test } from 'vitest'
import type { Content } from '../../src/content/content.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { PutManifest } from '../../src/push/manifests.ts'
import type { StreamWriter } from '../../src/streams/streams.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { indexOf, nameOf, type PushWorld, pushWorld, refusalOf } from './manifest-world.ts'

const v1 = makeImage('v1')
const multi = makeIndex('multi')
const app = nameOf('demo/app')

describe('the stream', () => {
  const emptyIndex = indexOf([])

  test('is made by a manifest that needs nothing', async () => {
    const world = await pushWorld()
    await world.put('demo/new:prod', emptyIndex)
    expect(await world.pin('demo/new:prod')).toBe(emptyIndex.digest)
  })

  test('is not made by who may not', async () => {
    const world = await pushWorld()
    const refusal = await refusalOf(world.put('demo/new:prod', emptyIndex, { by: { mayCreate: false } }))
    expect(refusal).toMatchObject({ code: 'DENIED', message: expect.stringContaining('demo/new') })
    expect(await world.reader.stream(nameOf('demo/new'))).toBeUndefined()
  })

  test('is not made by what lacks something', async () => {
    const world = await pushWorld()
    const refusal = await refusalOf(world.put('demo/new:prod', v1.manifest))
    expect(refusal.digests).toEqual([v1.config, ...v1.layers].map(({ digest }) => digest))
    expect(await world.reader.stream(nameOf('demo/new'))).toBeUndefined()
  })

  test('has nothing of a push during which it was made anew', async () => {
    const world = await pushWorld()
    await world.push(`demo/app@${v1.manifest.digest}`, v1)
    const changeTag: StreamWriter['changeTag'] = async (name, tag, decide, options) => {
      if (options?.dryRun !== true) {
        await world.writer.delete(app)
        await world.writer.create(app)
      }
      return world.writer.changeTag(name, tag, decide, options)
    }
    const through = world.putManifestWith({ writer: { ...world.writer, changeTag } })
    expect((await refusalOf(world.put('demo/app:prod', v1.manifest, { through }))).code).toBe('NAME_UNKNOWN')
    expect(await world.pin('demo/app:prod')).toBeUndefined()
    expect(await world.links.list(app)).toEqual([])
  })

  test('that is deleted before its links are written is not found', async () => {
    const world = await pushWorld()
    await world.push(`demo/app@${v1.manifest.digest}`, v1)
    const putManifest: Content['putManifest'] = async (...kept) => {
      await world.content.putManifest(...kept)
      await world.writer.delete(app)
    }
    const through = world.putManifestWith({ content: { ...world.content, putManifest } })
    expect((await refusalOf(world.put('demo/app:prod', v1.manifest, { through }))).code).toBe('NAME_UNKNOWN')
  })
})

test('an image that is deleted just before its tag moves is given to the stream once more', async () => {
  const world = await pushWorld()
  await world.push(`demo/app@${v1.manifest.digest}`, v1)
  let deletions = 0
  const changeTag: StreamWriter['changeTag'] = async (name, tag, decide, options) => {
    if (options?.dryRun !== true && deletions++ === 0) {
      const key = `link/demo/app/${v1.manifest.digest}`
      await world.store.commit({ operations: [{ type: 'delete', key }] })
    }
    return world.writer.changeTag(name, tag, decide, options)
  }
  await world.put('demo/app:prod', v1.manifest, {
    through: world.putManifestWith({ writer: { ...world.writer, changeTag } }),
  })
  expect(await world.links.get(app, v1.manifest.digest)).toMatchObject({ received: true })
  expect(deletions).toBe(2)
})

test('two pushes of one tag both succeed, and the ledger tells both', async () => {
  const world = await pushWorld()
  await world.push(`demo/app@${v1.manifest.digest}`, v1)
  await world.push(`demo/app@${multi.manifest.digest}`, multi)
  const images = [v1.manifest, multi.manifest]
  await Promise.all(images.map((image) => world.put('demo/app:prod', image)))
  const entries = await world.reader.ledger(app, 'prod')
  expect(entries.map(({ image }) => image).sort()).toEqual(images.map(({ digest }) => digest).sort())
  expect(await world.pin('demo/app:prod')).toBe(entries[0]?.image)
})

test('whatever step fails, nothing is half there, and the same push again succeeds', async () => {
  const steps = ['putManifest', 'putImage', 'add', 'renew', 'changeTag', 'changeStream', 'reached'] as const
  for (const step of steps) {
    for (const isAfter of [false, true]) {
      const world = await pushWorld()
      const [image] = multi.children
      for (const child of multi.children) await world.push(`demo/app@${child.manifest.digest}`, child)
      const broken = breaking(world, step, isAfter)
      const tags = step === 'changeTag' ? ['a'] : ['a', 'b']
      const push = (through?: PutManifest) =>
        world.put(`demo/app@${multi.manifest.digest}`, multi.manifest, { tags, ...(through && { through }) })
      await expect(push(broken), step).rejects.toThrow('broken')
      for (const tag of tags) {
        if ((await world.pin(`demo/app:${tag}`)) === undefined) continue
        const served = await world.pullThrough.manifest(app, tag, { head: false })
        expect(served.bytes, step).toEqual(multi.manifest.bytes)
      }
      await push()
      for (const tag of tags) expect(await world.pin(`demo/app:${tag}`)).toBe(multi.manifest.digest)
      expect(await world.links.get(app, image?.config.digest as Digest)).toBeDefined()
    }
  }
})

/** What takes manifests and fails at a step, before it is done or after. */
function breaking(world: PushWorld, step: string, isAfter: boolean): PutManifest {
  const broken = <T extends object>(part: T): T =>
    step in part
      ? {
          ...part,
          [step]: async (...given: unknown[]) => {
            const isDry = (given.at(-1) as { dryRun?: boolean } | undefined)?.dryRun === true
            const work = part[step as keyof T] as (...given: unknown[]) => Promise<unknown>
            if (isDry) return work(...given)
            if (isAfter) await work(...given)
            throw new Error('broken')
          },
        }
      : part
  const { links, content, writer, pins } = world
  return world.putManifestWith({
    links: broken(links),
    content: broken(content),
    writer: broken(writer),
    pins: broken(pins),
  })
}
