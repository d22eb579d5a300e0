/** A stream that gets the tags of a whole repository from now on. */

import type { StreamName } from '../oci/reference.ts'
import { apiVersion, type ImageStream, resources } from './api.ts'
import { type CheckWish, checkAnnotations } from './check-options.ts'
import type { Client } from './client.ts'
import { isNotFound, misuse } from './failures.ts'
import { type Format, printObject } from './output.ts'
import { formatStreamReference } from './references.ts'
import { followAnnotation } from './stream-tags.ts'
import type { VerbContext } from './verbs.ts'

/** What the command line says of it. */
export interface FollowWish extends CheckWish {
  from?: string
  /** Most tags. */
  newest?: number
  output?: Format
}

const maxTagsAnnotation = 'weir.dev/max-tags'
/** Options of other imports, which say nothing of it. */
const others = ['include', 'exclude', 'dryRun', 'minAge', 'insecure', 'reason'] as const

/** @throws CliError misuse */
export function checkFollow(
  wish: FollowWish & { all?: boolean } & Partial<Record<(typeof others)[number], unknown>>,
): void {
  if (wish.all !== true || wish.from === undefined) {
    throw misuse('--follow follows a whole repository: write --all --from REPOSITORY too')
  }
  for (const key of others) {
    const flag = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    if (wish[key] === undefined) continue
    const meant = key === 'include' || key === 'exclude'
    throw misuse(
      `${flag} says nothing of a repository that is followed: leave it out`,
      ...(meant ? ['which tags: --track semver:RANGE, or --track regex:PATTERN'] : []),
    )
  }
  if (wish.scheduled === false) throw misuse('--follow looks by itself: leave it out, or --no-scheduled')
}

/** Has the stream, which is made when it is absent, follow the repository. What is not said of it stays as the stream has it. */
export async function followRepository(
  { stdout, note }: VerbContext,
  client: Client,
  { project, stream }: StreamName,
  { from = '', newest, output, ...wish }: FollowWish,
): Promise<void> {
  const resource = resources.imageStreams
  const annotations = {
    [followAnnotation]: 'true',
    ...checkAnnotations(wish),
    ...(newest !== undefined && { [maxTagsAnnotation]: String(newest) }),
  }
  const body = { metadata: { annotations }, spec: { dockerImageRepository: from } }
  const options = { body, contentType: 'application/merge-patch+json' }
  const made = (): Promise<ImageStream> => {
    const metadata = { name: stream, namespace: project, annotations }
    const whole = { kind: 'ImageStream', apiVersion: apiVersion(resource), metadata, spec: body.spec }
    return client.request<ImageStream>('POST', { resource, project }, { body: whole })
  }
  const followed = await client
    .request<ImageStream>('PATCH', { resource, project, name: stream }, options)
    .catch((error: unknown) => {
      if (isNotFound(error)) return made()
      throw error
    })
  const name = formatStreamReference({ project, stream })
  printObject(stdout, output, followed, { name, text: `${name}  follows ${from}` })
  note(`note: its tags come in the background: weir describe ${name}`)
  note(`  to end it: kubectl annotate is ${stream} -n ${project} --overwrite ${followAnnotation}=false`)
}
