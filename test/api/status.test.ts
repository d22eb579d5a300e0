import { describe, expect, test } from 'vitest'
import { failureStatus, internalErrorStatus, itemStatus, successStatus } from '../../src/api/status.ts'
import { RegistryError } from '../../src/oci/errors.ts'

const app = { name: 'app', kind: 'imagestreams', group: 'image.openshift.io' }

describe('failureStatus()', () => {
  test('has every field of metav1.Status', () => {
    const causes = [{ field: 'spec.x', reason: 'FieldValueInvalid', message: 'Invalid value: 1: no' }]
    expect(failureStatus(new RegistryError('INVALID', { causes, subject: app, retryAfterSeconds: 3 }))).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'imagestreams.image.openshift.io "app" is invalid: spec.x: Invalid value: 1: no',
      reason: 'Invalid',
      details: { ...app, causes, retryAfterSeconds: 3 },
      code: 422,
    })
  })

  test.each([
    ['NOT_FOUND', 404, 'NotFound', 'imagestreams.image.openshift.io "app" not found'],
    ['NAME_UNKNOWN', 404, 'NotFound', 'imagestreams.image.openshift.io "app" not found'],
    ['ALREADY_EXISTS', 409, 'AlreadyExists', 'imagestreams.image.openshift.io "app" already exists'],
    ['CONFLICT', 409, 'Conflict', expect.stringContaining('Operation cannot be fulfilled on imagestreams')],
    ['TOOMANYREQUESTS', 429, 'TooManyRequests', 'too many requests'],
    ['UNAVAILABLE', 503, 'ServiceUnavailable', 'service unavailable'],
  ] as const)('words %s as Kubernetes does', (code, status, reason, message) => {
    expect(failureStatus(new RegistryError(code), app)).toMatchObject({ code: status, reason, message })
  })

  test('leaves a message of its own as it is, and the error’s own subject', () => {
    const subject = { name: 'demo', kind: 'namespaces', group: '' }
    const error = new RegistryError('NOT_FOUND', { message: 'make the project first', subject })
    expect(failureStatus(error, app)).toMatchObject({
      message: 'make the project first',
      details: { name: 'demo', kind: 'namespaces' },
    })
  })

  test('makes of a refusal by policy 422 with its cause, and leaves an upstream’s refusal 403', () => {
    const causes = [{ field: 'tag', reason: 'FieldValueForbidden', message: 'held' }]
    expect(failureStatus(new RegistryError('DENIED', { causes }))).toMatchObject({ code: 422, reason: 'Invalid' })
    const upstream = { host: 'quay.io', reason: 'Forbidden' } as const
    expect(failureStatus(new RegistryError('DENIED', { causes, upstream }))).toMatchObject({ code: 403 })
  })

  test('has no details where there is nothing to tell', () => {
    expect(failureStatus(new RegistryError('UNAUTHORIZED'))).not.toHaveProperty('details')
  })

  test('tells nothing of its cause or detail', () => {
    const error = new RegistryError('UNAVAILABLE', { detail: 's3cr3t', cause: new Error('s3cr3t') })
    expect(JSON.stringify(failureStatus(error, app))).not.toContain('s3cr3t')
  })
})

test('itemStatus() says the reason that the condition says', () => {
  const upstream = { host: 'quay.io', reason: 'Unreachable' } as const
  expect(itemStatus(new RegistryError('UNAVAILABLE', { upstream }))).toMatchObject({ reason: 'Unreachable', code: 503 })
})

test('internalErrorStatus() tells nothing but the request id', () => {
  expect(internalErrorStatus('r-1')).toMatchObject({
    code: 500,
    reason: 'InternalError',
    message: 'Internal error occurred; the log has it under request id r-1',
  })
})

test('successStatus() is a Success', () => {
  expect(successStatus({ name: 'app', kind: 'imagestreams' })).toEqual({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name: 'app', kind: 'imagestreams' },
  })
})

test('a failure is told in short, however much was wrong', () => {
  const long = 'x'.repeat(1_000_000)
  const causes = Array.from({ length: 1_000 }, () => ({ field: long, reason: 'FieldValueInvalid', message: long }))
  const subject = { name: long, kind: 'imagestreams', group: 'image.openshift.io' }
  for (const message of [undefined, long]) {
    const status = failureStatus(new RegistryError('INVALID', { causes, subject, ...(message && { message }) }))
    expect(status.details?.causes).toHaveLength(50)
    expect(JSON.stringify(status).length).toBeLessThan(150_000)
    expect(status.message?.length).toBeLessThan(10_000)
  }
})
