/** How much of what a tag needs is held, and what is wanted of it, as sentences. */

import { type ApiObject, type ImageStreamTag, type ObjectMeta, resources } from './api.ts'
import type { Client } from './client.ts'
import { unlessForbidden } from './failures.ts'
import { shorten } from './fields.ts'
import { shortDigests } from './output.ts'
import { formatStreamReference, type TagName } from './references.ts'
import { tagTarget } from './tag-write.ts'

/** Read-only annotation: `held`, perhaps `: what was left out`, `fetching: 3 of 7 parts, ...`, `failed: why; tried again after 2026-11-23T18:12Z` or `pulled: 3 of 7 parts held, ...`; then perhaps `; moves to ... when all is held`. */
export const contentAnnotation = 'weir.dev/content'

/** What is kept and where, and when a tag moves, if at all. Of project, stream and tag the most specific one counts. */
const policyAnnotations = [
  'weir.dev/retain',
  'weir.dev/platforms',
  'weir.dev/history-keep',
  'weir.dev/history-keep-days',
  'weir.dev/move',
  'weir.dev/immutable',
  'weir.dev/deletes',
  'weir.dev/home',
]

type Annotations = ObjectMeta['annotations']

/** Whose annotations hold where there are no own ones. */
export interface Level {
  /** `project demo`. */
  called: string
  annotations: Annotations | undefined
}

/** What the server says of the content of a tag; undefined where it keeps nothing for it, or does not tell. */
export async function readContent(client: Client, name: TagName): Promise<string | undefined> {
  const found = client.find<ImageStreamTag>(tagTarget(resources.imageStreamTags, name))
  return (await unlessForbidden(found, undefined))?.metadata?.annotations?.[contentAnnotation]
}

/** A project as a level; without annotations where it may not be read. */
export async function readProjectLevel(client: Client, project: string): Promise<Level> {
  const found = client.find<ApiObject>({ resource: resources.namespaces, name: project })
  const { metadata } = (await unlessForbidden(found, undefined)) ?? {}
  return { called: `project ${project}`, annotations: metadata?.annotations }
}

/** The policy annotations that hold by what is above `own`, the nearest first in `above`: `weir.dev/retain=pulled (project demo)`. */
export function inheritedLines(own: Annotations | undefined, above: readonly Level[]): string[] {
  return policyAnnotations.flatMap((name) => {
    // A home counts on a project alone, which is the last.
    const isOfProject = name === 'weir.dev/home'
    if (!isOfProject && own?.[name] !== undefined) return []
    const level = (isOfProject ? above.slice(-1) : above).find(({ annotations }) => annotations?.[name] !== undefined)
    return level === undefined ? [] : [`${name}=${shorten(level.annotations?.[name] ?? '', 200)} (${level.called})`]
  })
}

/** What is held of a tag, where nothing is the matter with it. */
export function heldLine(content: string | undefined): string | undefined {
  if (content === 'held') return 'all that it needs is held'
  const { state, detail = '' } = parseContent(content) ?? {}
  return state === 'pulled' ? `what pulls bring is kept as long as there is room: ${detail}` : undefined
}

/** Whether what a tag needs could not be fetched. */
export function hasFailed(content: string | undefined): boolean {
  return parseContent(content)?.state === 'failed'
}

/** What is the matter with the content of a tag, as `describe` shows troubles. */
export function contentTroubles(name: TagName, content: string | undefined, wide: boolean): string[] {
  const { state, detail: whole = '' } = parseContent(content) ?? {}
  const detail = wide ? whole : shortDigests(whole)
  const more = detail === '' ? '' : `: ${detail}`
  if (state === 'fetching') return [`~ content is being fetched${more}`]
  // What was left out, or that it is of an image that the tag does not stand at yet.
  if (state === 'held' && detail !== '') return [`~ ${detail}`]
  if (state !== 'failed') return []
  const retry = /; tried again after (\S+Z)(?=; moves to |$)/.exec(detail)
  const why = retry === null ? more : more.replace(retry[0], '')
  return [
    `! content can not be fetched${why}`,
    '  pulls of what is not held yet go to the upstream',
    `  it is tried again by itself${retry === null ? '' : `, after ${retry[1]}`}; at once with: weir prefetch ${formatStreamReference(name)}`,
  ]
}

function parseContent(text = ''): { state: string; detail: string } | undefined {
  const [, state, detail = ''] = /^(held|fetching|failed|pulled)(?:[:;] (.*))?$/s.exec(text) ?? []
  return state === undefined ? undefined : { state, detail }
}
