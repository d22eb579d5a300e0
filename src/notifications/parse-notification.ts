import { RegistryError } from '../oci/errors.ts'
import { readBinary, readStructured } from './cloud-events.ts'
import { readPlain } from './formats.ts'
import { isObject, requireList } from './json-fields.ts'
import { maxPushes, type ToldPush } from './told-push.ts'

/** A notification as it came. */
export interface Notification {
  /** The value of a header by its name in lower case. */
  header(name: string): string | undefined
  body: Uint8Array
}

/**
 * The pushes that a notification tells of, each once; none where it tells of something else. What it is in is seen by what it holds,
 * and no more of it is read than names the tags: its digests are nobody's.
 *
 * @throws RegistryError UNSUPPORTED_MEDIA_TYPE, and BAD_REQUEST for what is no notification
 */
export function parseNotification({ header, body }: Notification): ToldPush[] {
  checkMediaType(header('content-type'))
  const pushes = readBody(header, parseJson(body))
  if (pushes.length > maxPushes) throw new RegistryError('BAD_REQUEST', { message: tooMany })
  return [...new Map(pushes.map((push) => [JSON.stringify(push), push])).values()]
}

function readBody(header: Notification['header'], body: unknown): ToldPush[] {
  if (header('ce-specversion') !== undefined) return readBinary(header, body)
  if (isCloudEvent(body)) return readStructured(body)
  if (Array.isArray(body) && body.some(isCloudEvent)) {
    return requireList(body, 'the batch', maxPushes).flatMap((each) => (isCloudEvent(each) ? readStructured(each) : []))
  }
  const pushes = readPlain(body)
  if (pushes === undefined) throw new RegistryError('BAD_REQUEST', { message: unknown })
  return pushes
}

function isCloudEvent(body: unknown): body is Record<string, unknown> {
  return isObject(body) && Object.hasOwn(body, 'specversion')
}

function checkMediaType(contentType: string | undefined): void {
  const [mediaType = ''] = (contentType ?? '').split(';')
  if (/^\s*(?:$|application\/(?:[a-z0-9.+-]+\+)?json\s*$)/i.test(mediaType)) return
  throw new RegistryError('UNSUPPORTED_MEDIA_TYPE', {
    message: 'notifications are taken as JSON alone: let the sender say Content-Type: application/json',
  })
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new RegistryError('BAD_REQUEST', { message: 'the body is no JSON' })
  }
}

const tooMany = `a notification may tell of ${maxPushes} pushes at most`
const unknown =
  'the body is in no form that is known here: distribution (with Azure), Harbor, Quay, Docker Hub, ECR by EventBridge, GitHub packages and CloudEvents 1.0 are'
