import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { readManifestTarget } from '../../src/oci/manifest-target.ts'

const digest = digestOf('manifest')
const hundred = Array.from({ length: 100 }, (_, i) => `t${i}`)

describe('where a manifest is to stand', () => {
  test.each([
    ['v1', [], { digest: undefined, tags: ['v1'] }],
    [digest, [], { digest, tags: [] }],
    [digest, ['b', 'a', 'b'], { digest, tags: ['b', 'a'] }],
    [digestOf('manifest', 'sha512'), ['a'], { digest: digestOf('manifest', 'sha512'), tags: ['a'] }],
    [digest, [...hundred, 't0'], { digest, tags: hundred }],
  ])('%s with tags %j', (reference, tags, target) => {
    expect(readManifestTarget(reference, tags)).toEqual(target)
  })

  test.each([
    ['.v1', [], 'MANIFEST_INVALID', 400],
    ['', [], 'MANIFEST_INVALID', 400],
    ['sha256:abc', [], 'DIGEST_INVALID', 400],
    [`${digest}\n`, [], 'DIGEST_INVALID', 400],
    [digest, ['a', ''], 'MANIFEST_INVALID', 400],
    [digest, ['a,b'], 'MANIFEST_INVALID', 400],
    ['v1', ['v1'], 'BAD_REQUEST', 400],
    [digest, [...hundred, 't100'], 'URI_TOO_LONG', 414],
  ])('is not %j with tags %j', (reference, tags, code, status) => {
    expect(() => readManifestTarget(reference, tags)).toThrow(expect.objectContaining({ code, status }))
  })
})
