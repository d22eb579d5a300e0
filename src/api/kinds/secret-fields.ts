import { isDeepStrictEqual } from 'node:util'
import { isNotificationToken, notificationKeyType, tokenField, tokenRule } from '../../notifications/key-secret.ts'
import type { FieldCause } from '../../oci/errors.ts'
import { dockerConfigKeys, parseDockerConfig } from '../../pull-secrets/docker-config.ts'
import type { StoredObject } from '../../store/objects.ts'
import { forbiddenField, invalid, required } from '../fields.ts'
import { secretSchema } from '../schemas/core.ts'

/**
 * What a secret holds, and what is wrong with it, as Kubernetes says it. No message has a value of it.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/v1.33.0/pkg/apis/core/validation/validation.go ValidateSecret
 */

/** The fields as they are kept: all bytes in `data`, in base64 as Kubernetes writes it. */
export const secretFields = secretSchema.omit({ metadata: true }).transform(({ type, data, stringData, immutable }) => {
  const bytes = Object.entries(data ?? {}).map(([key, base64]) => [key, canonical(base64)] as const)
  const texts = Object.entries(stringData ?? {}).map(([key, text]) => [key, toBase64(text)] as const)
  return {
    ...(bytes.length + texts.length > 0 && { data: Object.fromEntries([...bytes, ...texts]) }),
    type: type || 'Opaque',
    ...(typeof immutable === 'boolean' && { immutable }),
  }
})

export type SecretFields = ReturnType<(typeof secretFields)['parse']>

const keyPattern = /^[-._a-zA-Z0-9]{1,253}$/
const keyRule = "must be at most 253 letters, digits, '-', '_' or '.', and not '.', '__proto__' or begin with '..'"
const maxCauses = 50
const maxBytes = 1024 * 1024
const redacted = '<secret contents redacted>'

const tokenType = 'kubernetes.io/service-account-token'

/** The keys of `data` that a type must have. */
const keysOfTypes: ReadonlyMap<string, readonly string[]> = new Map([
  ...[...dockerConfigKeys].map(([type, key]): [string, string[]] => [type, [key]]),
  ['kubernetes.io/tls', ['tls.crt', 'tls.key']],
  ['kubernetes.io/ssh-auth', ['ssh-privatekey']],
  [notificationKeyType, [tokenField]],
])

/** What is wrong with the keys as they were sent. What the schema would drop in silence, as `__proto__`, is looked at too. */
export function checkSecretKeys(body: Record<string, unknown>): FieldCause[] {
  return ['data', 'stringData'].flatMap((field) =>
    keysOf(body[field])
      .filter((key) => !keyPattern.test(key) || key === '.' || key.startsWith('..') || key === '__proto__')
      .slice(0, maxCauses)
      .map((key) => invalid(`${field}[${shown(key)}]`, key, keyRule)),
  )
}

export function checkSecret({ type, data = {} }: SecretFields): FieldCause[] {
  if (type === tokenType) {
    const detail = 'tokens are not kept as secrets: `kubectl create token NAME` makes one that ends by itself'
    return [invalid('type', type, detail)]
  }
  const causes = Object.entries(data)
    .filter(([, value]) => !isCanonical(value))
    .slice(0, maxCauses)
    .map(([key]) => invalid(`data[${shown(key)}]`, redacted, 'must be base64'))
  if (causes.length > 0) return causes
  const bytes = Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value, 'base64'), 0)
  if (bytes > maxBytes) {
    const message = `Too long: may not be more than ${maxBytes} bytes`
    return [{ field: 'data', reason: 'FieldValueTooLong', message }]
  }
  return checkType(type, new Map(Object.entries(data)))
}

/** The type of a secret stays, and of an immutable one all but its metadata. */
export function checkSecretChange(before: StoredObject, after: SecretFields): FieldCause[] {
  // What was sent may be what a patch moved there.
  const message = `Invalid value: the type is ${String(before.type)}: field is immutable`
  const causes = before.type === after.type ? [] : [{ field: 'type', reason: 'FieldValueInvalid', message }]
  if (before.immutable !== true) return causes
  const changed = (['immutable', 'data'] as const).filter((field) => !isDeepStrictEqual(before[field], after[field]))
  return [...causes, ...changed.map((field) => forbiddenField(field, 'field is immutable when `immutable` is set'))]
}

function checkType(type: string, data: ReadonlyMap<string, string>): FieldCause[] {
  if (type === 'kubernetes.io/basic-auth') {
    const names = ['username', 'password']
    return names.some((name) => data.has(name)) ? [] : names.map((name) => required(`data[${name}]`, ''))
  }
  const missing = (keysOfTypes.get(type) ?? []).filter((key) => !data.has(key))
  if (missing.length > 0) return missing.map((key) => required(`data[${key}]`, ''))
  if (type === 'kubernetes.io/ssh-auth' && data.get('ssh-privatekey') === '') {
    return [required('data[ssh-privatekey]', '')]
  }
  if (type === notificationKeyType) {
    const token = Buffer.from(data.get(tokenField) ?? '', 'base64').toString('utf8')
    return isNotificationToken(token) ? [] : [invalid(`data[${tokenField}]`, redacted, tokenRule)]
  }
  const configKey = dockerConfigKeys.get(type)
  if (configKey === undefined) return []
  const config = parseDockerConfig(type, Buffer.from(data.get(configKey) ?? '', 'base64').toString('utf8'))
  return 'problem' in config ? [invalid(`data[${configKey}]`, redacted, config.problem)] : []
}

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/** Base64 as Kubernetes writes it again, where it reads it: with line breaks, and bits behind its end. */
function canonical(base64: string): string {
  const text = base64.replace(/[\r\n]/g, '')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const isBase64 = text.length % 4 === 0 && !/[^A-Za-z0-9+/]/.test(text.slice(0, text.length - padding))
  return isBase64 ? Buffer.from(text, 'base64').toString('base64') : base64
}

function isCanonical(base64: string): boolean {
  return Buffer.from(base64, 'base64').toString('base64') === base64
}

function keysOf(map: unknown): string[] {
  return typeof map === 'object' && map !== null ? Object.keys(map) : []
}

function shown(key: string): string {
  return key.length > 63 ? `${key.slice(0, 60)}...` : key
}
