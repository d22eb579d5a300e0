/** What the kill test of content looks at when all kills are done. */
import { setTimeout as delay } from 'node:timers/promises'
import type { BlobUpstream } from '../support/blob-upstream.ts'
import { type Connection, pullBlob, pullManifest, pullToken, requestApi } from './content-requests.ts'
import { pinnedStreams, pinnedTags, projects } from './content-session.ts'

const longestMs = 180_000

/** Left alone, Weir comes to hold all that its pins need; then they are pulled without the upstream. */
export async function checkWholeAtLast(running: Connection, upstream: BlobUpstream): Promise<string[]> {
  const faults: string[] = []
  const deadline = Date.now() + longestMs
  for (let unheld = await unheldTags(running); unheld.length > 0; unheld = await unheldTags(running)) {
    if (Date.now() > deadline) return [`not held three minutes after the last kill: ${unheld.join(', ')}`]
    await delay(200)
  }
  await upstream.close()
  let pulled = 0
  for (const stream of pinnedStreams) {
    const repository = `${projects.pinned}/${stream}`
    const token = await pullToken(running, repository)
    for (const reference of pinnedTags) {
      const manifest = await pullManifest(running, { repository, token, reference })
      if (manifest === undefined) continue
      for (const { digest } of [manifest.config, ...manifest.layers]) {
        const got = await pullBlob(running, { repository, token, digest })
        const isRight = got.status === 200 && got.digest === digest
        if (!isRight) faults.push(`at last ${repository}:${reference}: ${digest} gave ${got.status}`)
        pulled += 1
      }
    }
  }
  if (pulled === 0) faults.push('at last there was nothing to pull')
  return faults
}

/** The pinned tags that are not held, with what is told of each. */
export async function unheldTags(connection: Connection): Promise<string[]> {
  const path = `/apis/image.openshift.io/v1/namespaces/${projects.pinned}/imagestreamtags`
  const { body } = await requestApi(connection, 'GET', path)
  const tags = body.items as { metadata: { name: string; annotations?: Record<string, string> } }[]
  return tags.flatMap(({ metadata: { name, annotations } }) => {
    const state = annotations?.['weir.dev/content']
    return state === 'held' ? [] : [`${name} (${state})`]
  })
}
