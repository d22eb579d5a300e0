import type { WantedTag } from '../../tagging.ts'
import { withoutComputed } from '../own-annotations.ts'
import type { TagReferenceBody } from '../schemas/image-streams.ts'
import { changeCauseAnnotation } from './change-cause.ts'

/**
 * What a sent tag wants, in Weir's words. What the server shows of its own in annotations (the hold, what is held), and the reason of this
 * one write, are not kept as the tag's.
 */
export function wantedTag(name: string, sent: TagReferenceBody): WantedTag {
  const { annotations, from, reference, generation, importPolicy, referencePolicy } = sent
  const { insecure, scheduled, importMode } = importPolicy ?? {}
  const source = from && {
    kind: (from.kind ?? '') as NonNullable<WantedTag['from']>['kind'],
    name: from.name ?? '',
    ...(from.namespace ? { namespace: from.namespace } : {}),
  }
  return {
    name,
    annotations: keptAnnotations(annotations),
    ...(source && { from: source }),
    ...(reference && { reference }),
    ...(generation === undefined || generation === null ? {} : { generation }),
    importPolicy: {
      ...(insecure && { insecure }),
      ...(scheduled && { scheduled }),
      ...(importMode ? { importMode: importMode as NonNullable<WantedTag['importPolicy']['importMode']> } : {}),
    },
    referencePolicy: { type: (referencePolicy?.type || 'Local') as WantedTag['referencePolicy']['type'] },
  }
}

/** Annotations as they are kept of a tag; null when there are none. */
export function keptAnnotations(
  sent: Readonly<Record<string, string>> | null | undefined,
): Record<string, string> | null {
  const { [changeCauseAnnotation]: _cause, ...kept } = withoutComputed(sent ?? {})
  return Object.keys(kept).length === 0 ? null : kept
}
