import { readHarborData, readPlain } from './formats.ts'
import { isObject, optionalText, requireText, unlike, valueAt } from './json-fields.ts'
import { hostOfUrl, type ToldPush, toldPush } from './told-push.ts'

/** Reads a CloudEvent's attribute, or an HTTP header. */
type Attribute = (name: string) => unknown

/**
 * The pushes that an event in structured mode tells of: zot's, Harbor's, and those whose data is in a form of {@link readPlain}; none
 * for all others.
 *
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
 * @throws RegistryError BAD_REQUEST that names the attribute
 */
export function readStructured(event: Record<string, unknown>): ToldPush[] {
  return read((name) => valueAt(event, name), dataOf(event), '')
}

/**
 * As {@link readStructured}, with the attributes in headers.
 *
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#31-binary-content-mode
 */
export function readBinary(header: Attribute, data: unknown): ToldPush[] {
  return read((name) => header(`ce-${name}`), data, 'ce-')
}

function read(attribute: Attribute, data: unknown, prefix: string): ToldPush[] {
  if (attribute('specversion') !== '1.0') throw unlike(`${prefix}specversion`, '1.0')
  requireText(attribute('id'), `${prefix}id`)
  const source = requireText(attribute('source'), `${prefix}source`)
  const type = requireText(attribute('type'), `${prefix}type`)
  if (isZotPush.test(type)) return readZot(data, source)
  if (type === 'harbor.artifact.pushed') {
    const inner = valueAt(data, 'event_data')
    return inner === undefined ? readHarborData(data, 'data') : readHarborData(inner, 'data.event_data')
  }
  return readPlain(data) ?? []
}

/** What stands before it can be configured. @see https://zotregistry.dev/v2.1.21/articles/events/ */
const isZotPush = /(?:^|\.)image\.updated$/

/** `source` is zot's URL where somebody configured that. */
function readZot(data: unknown, source: string): ToldPush[] {
  return toldPush({
    repository: requireText(valueAt(data, 'name'), 'data.name'),
    tag: optionalText(valueAt(data, 'reference'), 'data.reference'),
    hosts: [hostOfUrl(source)],
    isReachedOtherwise: true,
  })
}

function dataOf(event: Record<string, unknown>): unknown {
  const base64 = optionalText(valueAt(event, 'data_base64'), 'data_base64')
  if (base64 === undefined) return event.data
  try {
    const data: unknown = JSON.parse(Buffer.from(base64, 'base64').toString('utf8'))
    return isObject(data) ? data : undefined
  } catch {
    return undefined
  }
}
