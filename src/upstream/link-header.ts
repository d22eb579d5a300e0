import type { IncomingHttpHeaders } from 'node:http'

const link = /<([^<>]*)>([^<]*)/g

/** The target of the first `Link` with the relation `next` (RFC 8288), as it is written; undefined when there is none. */
export function nextLink(headers: IncomingHttpHeaders): string | undefined {
  for (const value of [headers.link ?? []].flat()) {
    for (const [, target, parameters = ''] of value.matchAll(link)) {
      if (relations(parameters).includes('next')) return target
    }
  }
  return undefined
}

/** The relations of one link: those of its first `rel`. */
function relations(parameters: string): string[] {
  for (const parameter of parameters.split(/[;,]/)) {
    const [name = '', value = ''] = parameter.split('=')
    if (name.trim().toLowerCase() !== 'rel') continue
    return value.trim().replaceAll('"', '').toLowerCase().split(/\s+/)
  }
  return []
}
