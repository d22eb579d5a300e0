import { expect, test } from 'vitest'
import { fallbackTagOf } from '../../src/oci/fallback-tag.ts'
import { makeImage } from '../support/images.ts'
import { from, wantedTag } from '../tagging/world.ts'
import { app, artifact, image, referrersWorld } from './world.ts'

test('a promotion takes signatures along, and they can be pulled where the image went', async () => {
  const w = await referrersWorld()
  await w.imported()
  const signature = artifact(image.manifest, 'signature')
  const cosigned = makeImage('cosign')
  for (const each of [signature, cosigned]) await w.receive(each)
  const tag = `${fallbackTagOf(image.manifest.digest)}.sig`
  await w.pushByTag(tag, cosigned.manifest)
  const web = { project: 'demo', stream: 'web' }
  const wanted = wantedTag('prod', from('demo/app:prod'))
  await w.tagging.setTag({ ...web, tag: 'prod', wanted, by: 'ann', mayPull: () => true, seen: {}, field: 'tag' })
  expect(await w.digests(web)).toEqual([signature.manifest.digest])
  const pull = (reference: string) => w.pullThrough.manifest(web, reference, { head: false })
  expect((await pull(signature.manifest.digest)).bytes).toEqual(signature.manifest.bytes)
  expect((await pull(tag)).bytes).toEqual(cosigned.manifest.bytes)
  expect(await w.pullThrough.tags(app, {})).toEqual(['prod', tag])
})
