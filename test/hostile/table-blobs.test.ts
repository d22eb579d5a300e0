import { digestOf } from '../../src/oci/digest.ts'
import {
  changing,
  endless,
  gzipped,
  ignoringRange,
  refusingHead,
  truncated,
  withBytes,
  withHeader,
} from '../support/fake-upstream-faults.ts'
import {
  answers,
  any,
  challenges,
  dripsHeaders,
  earlyHints,
  htmlPage,
  neverAnswers,
  resetsAt,
  stallsAt,
  without,
} from '../support/hostile-answers.ts'
import { inSockets, layerBytes, layerOf, login } from './place.ts'
import { type Row, table } from './table.ts'
import { expectHeld, expectNotHeld } from './unharmed.ts'

const blobs = / \/v2\/lib\/app\/blobs\//
const asked = 'blob GET'
const wrong = Buffer.alloc(layerBytes, 'wrong')

/** As many as were to be sent. */
const otherBytes = changing(any, (answer) => ({ ...answer, body: Buffer.alloc(answer.body.length, 'wrong') }))

table('how registries send blobs', [
  {
    asked,
    registry: 'breaks off in the middle, with the Content-Length of the whole, once',
    script: ({ registry }) => registry.script({ on: blobs, does: truncated(any, 2 ** 20), times: 1 }),
    weir: { gives: 'the layer' },
    note: 'asks for the rest by a range',
    also: async (place) => expectHeld(place, layerOf(place.good)),
  },
  {
    asked,
    registry: 'breaks off at the same byte, always',
    script: ({ registry }) => registry.script({ on: blobs, does: truncated(any, 0), times: 100 }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /Unreachable/ },
    mostRequests: 30,
  },
  {
    asked,
    registry: 'breaks off after a MiB of what it still had to send, always',
    script: ({ registry }) => registry.script({ on: blobs, does: truncated(any, 2 ** 20) }),
    weir: { gives: 'the layer' },
    note: 'asks for the rest, and for the rest of that',
  },
  {
    asked,
    registry: 'resets the connection at byte 2,000,000, once',
    script: ({ registry }) => registry.script({ on: blobs, does: resetsAt(2_000_000), times: 1 }),
    weir: { gives: 'the layer' },
    note: 'asks for the rest by a range',
  },
  {
    asked,
    registry: 'ends properly after a MiB, and says that this is all',
    script: ({ registry }) => registry.script({ on: blobs, does: withBytes(any, wrong.subarray(0, 2 ** 20)) }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /BadDigest/ },
    mostBytes: 2e6,
    note: 'another size than the manifest says',
  },
  {
    asked,
    registry: 'sends other bytes of the same length',
    script: ({ registry }) => registry.script({ on: blobs, does: withBytes(any, wrong) }),
    weir: { cut: true },
    mostBytes: layerBytes * 3,
    note: 'before the last byte',
  },
  {
    asked,
    registry: 'sends all but the last byte, and without Content-Length',
    script: ({ registry }) => registry.script({ on: blobs, does: without('content-length') }),
    weir: { gives: 'the layer' },
    mostBytes: layerBytes * 3,
  },
  {
    asked,
    registry: 'sends bytes without end',
    script: ({ registry }) => registry.script({ on: blobs, does: endless(any) }),
    weir: { cut: true },
    mostBytes: inSockets,
    note: 'reads no further than the size',
  },
  {
    asked,
    registry: 'compresses blobs, unasked',
    script: ({ registry }) => registry.script({ on: blobs, does: gzipped(any) }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /Invalid/ },
  },
  {
    asked,
    registry: 'sends a page for people, with 200',
    script: ({ registry }) => registry.script({ on: blobs, does: htmlPage(200) }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /BadDigest/ },
  },
  {
    asked,
    registry: 'sends a page for people, with 404',
    script: ({ registry }) => registry.script({ on: blobs, does: htmlPage(404) }),
    weir: { status: 404, code: 'BLOB_UNKNOWN' },
  },
  {
    asked,
    registry: 'sends a page for people, with 500',
    script: ({ registry }) => registry.script({ on: blobs, does: htmlPage(500) }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /Unreachable/ },
    waits: [250, 500],
  },
  {
    asked,
    registry: 'takes requests and never answers',
    script: ({ registry }) => registry.script({ on: blobs, does: neverAnswers }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /Unreachable/ },
    mostRequests: 1,
  },
  {
    asked,
    registry: 'sends a header a byte at a time, and never comes to its end',
    script: ({ registry }) => registry.script({ on: blobs, does: dripsHeaders }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /Unreachable/ },
    mostRequests: 1,
  },
  {
    asked,
    registry: 'says again and again that its answer is under way',
    script: ({ registry }) => registry.script({ on: blobs, does: earlyHints }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /Unreachable/ },
    mostRequests: 1,
  },
  {
    asked,
    registry: 'sends headers and a MiB, and nothing more, once',
    script: ({ registry }) => registry.script({ on: blobs, does: stallsAt(2 ** 20), times: 1 }),
    weir: { gives: 'the layer' },
    note: 'asks for the rest by a range',
  },
  {
    asked,
    registry: 'sends headers, and nothing more, always',
    script: ({ registry }) => registry.script({ on: blobs, does: stallsAt(0) }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /Unreachable/ },
    mostRequests: 30,
  },
  {
    asked,
    registry: 'tells another Docker-Content-Digest',
    script: ({ registry }) =>
      registry.script({ on: blobs, does: withHeader(any, 'docker-content-digest', digestOf(wrong)) }),
    weir: { gives: 'the layer' },
    note: 'hashes the bytes',
  },
  {
    asked,
    registry: 'refuses HEAD of blobs with 405',
    script: ({ registry }) => registry.script({ on: /^HEAD .*blobs/, does: refusingHead }),
    weir: { gives: 'the layer' },
  },
  {
    asked: 'blob HEAD',
    registry: 'refuses HEAD of blobs with 405',
    script: ({ registry }) => registry.script({ on: /^HEAD .*blobs/, does: refusingHead }),
    weir: { gives: 'its size' },
    note: 'asks for one byte by GET',
  },
  {
    asked: 'blob GET with Range',
    registry: 'answers a Range with 200 and the whole',
    script: ({ registry }) => registry.script({ on: blobs, does: ignoringRange }),
    weir: { gives: 'the range' },
    mostBytes: layerBytes * 3,
  },
  {
    asked: 'blob GET with Range',
    registry: 'answers a Range with 206 and other bytes of that length',
    script: ({ registry }) => registry.script({ on: blobs, does: otherBytes }),
    weir: { gives: 'the range, of other bytes' },
    note: 'a part has no digest that could be compared, and is not kept',
    also: async (place) => expectNotHeld(place, layerOf(place.good)),
  },
  {
    asked: 'blob HEAD',
    registry: 'answers HEAD of blobs with 401, and GET with the blob',
    script: ({ registry }) => {
      registry.setAuth({ kind: 'bearer', users: { [login.username]: login.password }, anonymous: false })
      registry.script({ on: /^HEAD .*blobs/, does: challenges(`${registry.origin}/token`) })
    },
    weir: { gives: 'its size' },
    note: 'asks for one byte by GET',
  },
  {
    asked: 'blob HEAD',
    registry: 'answers HEAD and GET of blobs with 401',
    script: ({ registry }) => registry.script({ on: blobs, does: answers(401) }),
    weir: { status: 403, code: '' },
  },
  {
    asked: 'blob GET with Range',
    registry: 'answers a Range with 206 and a Content-Range of another',
    script: ({ registry }) =>
      registry.script({
        on: blobs,
        does: answers(206, wrong.subarray(0, 100), { 'content-range': `bytes 0-99/${layerBytes}` }),
      }),
    weir: { status: 503, code: 'UNAVAILABLE' },
  },
  {
    asked: 'blob GET with Range',
    registry: 'answers a Range with 416',
    script: ({ registry }) => registry.script({ on: blobs, does: answers(416, '', { 'content-range': 'bytes */5' }) }),
    weir: { status: 503, code: 'UNAVAILABLE' },
  },
] satisfies Row[])
