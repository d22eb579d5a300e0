import { expect, test } from 'vitest'
import { routeOf } from '../../src/http/metrics.ts'

test.each([
  ['/v2/', 'ping'],
  ['/v2/_catalog', 'catalog'],
  ['/v2/demo/app/manifests/v1', 'manifest'],
  ['/v2/demo/app/blobs/sha256:0', 'blob'],
  ['/v2/demo/app/blobs/uploads', 'upload'],
  ['/v2/demo/app/blobs/uploads/', 'upload'],
  ['/v2/demo/app/blobs/uploads/some', 'upload'],
  ['/v2/blobs/uploads/manifests/v1', 'manifest'],
  ['/v2/blobs/uploads/blobs/sha256:0', 'blob'],
  ['/v2/demo/app/tags/list', 'tags'],
  ['/v2/demo/app/referrers/sha256:0', 'referrers'],
  ['/v2/demo/app', 'v2'],
  ['/token', 'token'],
  ['/apis/x', 'api'],
  ['/readyz', 'health'],
  ['/other', 'other'],
])('%s is counted as %s', (path, route) => {
  expect(routeOf(path)).toBe(route)
})
