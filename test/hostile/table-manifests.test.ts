import { gzipSync } from 'node:zlib'
import { digestOf } from '../../src/oci/digest.ts'
import { endless, gzipped, refusingHead, withBytes, withHeader } from '../support/fake-upstream-faults.ts'
import { answers, any, htmlPage, large, without } from '../support/hostile-answers.ts'
import {
  caseVariantManifest,
  deepManifest,
  duplicateKeyManifest,
  imageAndIndex,
  schema1Manifest,
} from '../support/hostile-documents.ts'
import { inSockets } from './place.ts'
import { type Row, table } from './table.ts'
import { expectNoLogin, expectNotHeld } from './unharmed.ts'

const manifests = / \/v2\/lib\/app\/manifests\//
const gets = /^GET \/v2\/lib\/app\/manifests\//
const heads = /^HEAD \/v2\/lib\/app\/manifests\//
const blobs = / \/v2\/lib\/app\/blobs\//
const wrongDigest = digestOf(Buffer.from('wrong'))
const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const ociIndex = 'application/vnd.oci.image.index.v1+json'

const asked = 'import by tag'

table('what registries say of manifests', [
  {
    asked,
    registry: 'refuses HEAD with 405',
    script: ({ registry }) => registry.script({ on: heads, does: refusingHead }),
    weir: { moves: true },
    note: 'asks by GET',
  },
  {
    asked,
    registry: 'answers HEAD with 404, and would answer GET',
    script: ({ registry }) => registry.script({ on: heads, does: answers(404) }),
    weir: { condition: 'NotFound', says: /not found/ },
    note: 'what is not there by HEAD is not there',
  },
  {
    asked,
    registry: 'answers HEAD with 401 and no challenge, and would answer GET',
    script: ({ registry }) => registry.script({ on: heads, does: answers(401) }),
    weir: { condition: 'Unauthorized', says: /denied "lib\/app"/ },
    note: 'no login is sent to who asks for none',
    also: ({ registry }) => expectNoLogin(registry),
  },
  {
    asked,
    registry: 'leaves out Docker-Content-Digest',
    script: ({ registry }) => registry.script({ on: manifests, does: without('docker-content-digest') }),
    weir: { moves: true },
    note: 'hashes the bytes',
  },
  {
    asked,
    registry: 'leaves out Content-Type',
    script: ({ registry }) => registry.script({ on: manifests, does: without('content-type') }),
    weir: { moves: true },
    note: 'reads it in the body',
  },
  {
    asked,
    registry: 'leaves out Content-Length',
    script: ({ registry }) => registry.script({ on: manifests, does: without('content-length') }),
    weir: { moves: true },
  },
  {
    asked,
    registry: 'calls manifests text/plain',
    script: ({ registry }) => registry.script({ on: manifests, does: withHeader(any, 'content-type', 'text/plain') }),
    weir: { moves: true },
  },
  {
    asked,
    registry: 'calls an image an index',
    script: ({ registry }) => registry.script({ on: manifests, does: withHeader(any, 'content-type', ociIndex) }),
    weir: { condition: 'Invalid', says: /CVE-2021-41190/ },
  },
  {
    asked,
    registry: 'tells another Docker-Content-Digest than that of the bytes',
    script: ({ registry }) =>
      registry.script({ on: manifests, does: withHeader(any, 'docker-content-digest', wrongDigest) }),
    weir: { moves: true },
    note: 'to the digest of the bytes',
  },
  {
    asked: 'import by digest',
    registry: 'tells another Docker-Content-Digest than it was asked for',
    script: ({ registry }) =>
      registry.script({ on: manifests, does: withHeader(any, 'docker-content-digest', wrongDigest) }),
    weir: { condition: 'BadDigest', says: /sent something else than/ },
  },
  {
    asked: 'import by digest',
    registry: 'sends another manifest than the one of the digest',
    script: (place) => {
      const { registry, good } = place
      registry.script({ on: gets, does: withBytes(any, good.manifest.bytes) })
    },
    weir: { condition: 'BadDigest', says: /sent something else than/ },
  },
  {
    asked: 'pull of a manifest by digest',
    registry: 'sends another manifest than the one of the digest',
    script: ({ registry, good }) => registry.script({ on: gets, does: withBytes(any, good.manifest.bytes) }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /BadDigest/ },
  },
  {
    asked: 'pull of a manifest by digest',
    registry: 'answers for a child of an index with the index: a cycle',
    script: ({ registry }) => {
      const index = registry.manifest('lib/app', 'multi')?.bytes ?? Buffer.of()
      registry.script({ on: gets, does: answers(200, index, { 'content-type': ociIndex }) })
    },
    weir: { status: 503, code: 'UNAVAILABLE', says: /BadDigest/ },
    mostRequests: 1,
  },
  {
    asked: 'GET of a blob that is in no manifest read so far',
    registry: 'has an index of an index of an index, 200 deep',
    weir: { status: 503, code: 'UNAVAILABLE', says: /try again/, retryAfter: '1' },
    mostRequests: 64,
    mostBytes: 1e6,
    note: 'after 64 of them',
  },
  {
    asked,
    registry: 'sends a page for people, with 200',
    script: ({ registry }) => registry.script({ on: manifests, does: htmlPage(200) }),
    weir: { condition: 'Invalid', says: /not a JSON object/ },
  },
  {
    asked,
    registry: 'sends a page for people, with 404',
    script: ({ registry }) => registry.script({ on: manifests, does: htmlPage(404) }),
    weir: { condition: 'NotFound', says: /not found/ },
  },
  {
    asked,
    registry: 'sends a page for people, with 500',
    script: ({ registry }) => registry.script({ on: manifests, does: htmlPage(500) }),
    weir: { condition: 'Unreachable', says: /answered 500/ },
    waits: [250, 500, 250, 500],
    note: 'three times by HEAD, three times by GET',
  },
  {
    asked,
    registry: 'sends a manifest of 64 MB, with its Content-Length',
    script: ({ registry }) => registry.script({ on: manifests, does: large(64e6, ociManifest) }),
    weir: { condition: 'Invalid', says: /more than the 4194304 bytes/ },
    mostBytes: inSockets,
  },
  {
    asked: 'pull of a manifest by digest',
    registry: 'sends a manifest of 64 MB, with its Content-Length',
    script: ({ registry }) => registry.script({ on: manifests, does: large(64e6, ociManifest) }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /not valid/ },
    mostBytes: inSockets,
  },
  {
    asked,
    registry: 'sends a manifest without end',
    script: ({ registry }) => registry.script({ on: gets, does: endless(any, { 'content-type': ociManifest }) }),
    weir: { condition: 'Invalid', says: /more than the 4194304 bytes/ },
    mostBytes: inSockets,
  },
  {
    asked,
    registry: 'compresses manifests, unasked',
    script: ({ registry }) => registry.script({ on: manifests, does: gzipped(any) }),
    weir: { moves: true },
    note: 'to the digest of what was compressed',
  },
  {
    asked,
    registry: 'compresses 64 MB into 64 KB',
    script: ({ registry }) => {
      const headers = { 'content-type': ociManifest, 'content-encoding': 'gzip' }
      registry.script({ on: manifests, does: answers(200, gzipSync(Buffer.alloc(64e6, ' ')), headers) })
    },
    weir: { condition: 'Invalid', says: /not a JSON object/ },
  },
  {
    asked,
    registry: 'has a manifest of 100,000 objects inside each other',
    plants: ({ next }) => deepManifest(next, 100_000),
    weir: { condition: 'Invalid', says: /nested deeper than 32 levels/ },
    mostBytes: 2e6,
  },
  {
    asked,
    registry: 'has a manifest that names its config twice',
    plants: ({ next }) => duplicateKeyManifest(next),
    weir: { condition: 'Invalid', says: /the key \\?"config\\?" twice/ },
  },
  {
    asked,
    registry: 'has a manifest with Layers beside layers',
    plants: ({ next }) => caseVariantManifest(next),
    weir: { condition: 'Invalid', says: /could be read as/ },
  },
  {
    asked,
    registry: 'has a manifest that is an image and an index',
    plants: ({ next }) => imageAndIndex(next),
    weir: { condition: 'Invalid', says: /ambiguous/ },
  },
  {
    asked,
    registry: 'has a manifest of schema 1',
    plants: () => schema1Manifest(),
    weir: { condition: 'Invalid', says: /schema 1/ },
  },
  {
    asked,
    registry: 'sends a page for people in place of the config',
    script: ({ registry }) => registry.script({ on: blobs, does: htmlPage(200) }),
    weir: { moves: true },
    note: 'and what the config says stays unknown',
    also: async (place) => expectNotHeld(place, place.next.config),
  },
  {
    asked: 'pull by tag',
    registry: 'answers everything with 500',
    script: ({ registry }) => registry.script({ on: any, does: answers(500) }),
    weir: { gives: 'the pinned manifest' },
    mostRequests: 0,
    note: 'asks nobody',
  },
] satisfies Row[])
