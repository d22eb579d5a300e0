import { expect } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { endless, gzipped, redirecting, refusingHead, truncated, withHeader } from '../support/fake-upstream-faults.ts'
import {
  answers,
  any,
  challenges,
  drips,
  endlessTagPages,
  htmlPage,
  large,
  listOfTags,
  neverAnswers,
  oneUseTokens,
  resetsAt,
  slowly,
  tooMany,
  withLogin,
} from '../support/hostile-answers.ts'
import { caseVariantManifest, deepManifest, duplicateKeyManifest } from '../support/hostile-documents.ts'
import { inSockets, login, type Place, soonLists, soonWhole } from './place.ts'
import { type Row, table } from './table.ts'
import { upstreamToken } from './unharmed.ts'

const manifests = / \/v2\/lib\/app\/manifests\//
const gets = /^GET \/v2\/lib\/app\/manifests\//
const heads = /^HEAD \/v2\/lib\/app\/manifests\//
const lists = /\/v2\/lib\/app\/tags\/list/
const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const wrongDigest = digestOf(Buffer.from('wrong'))
const asked = 'scheduled check'
const users = { [login.username]: login.password }

table('what registries do when the schedule asks', [
  {
    asked,
    registry: 'refuses HEAD with 405',
    script: ({ registry }) => registry.script({ on: heads, does: refusingHead }),
    weir: { moves: true },
    note: 'asks by GET',
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
    asked,
    registry: 'breaks off after 10 bytes, with the Content-Length of the whole, always',
    script: ({ registry }) => registry.script({ on: gets, does: truncated(any, 10) }),
    weir: { condition: 'Unreachable', says: /could not be reached/ },
  },
  {
    asked,
    registry: 'resets the connection at byte 100, always',
    script: ({ registry }) => registry.script({ on: gets, does: resetsAt(100) }),
    weir: { condition: 'Unreachable', says: /could not be reached/ },
  },
  {
    asked,
    registry: 'takes requests and never answers',
    script: ({ registry }) => registry.script({ on: manifests, does: neverAnswers }),
    weir: { condition: 'Unreachable', says: /could not be reached: Headers Timeout/ },
    mostRequests: 1,
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
    weir: { condition: 'NotFound', says: /has no manifest v1/ },
    note: 'and what the tag stood at is served',
  },
  {
    asked,
    registry: 'sends a manifest of 64 MB, with its Content-Length',
    script: ({ registry }) => registry.script({ on: gets, does: large(64e6, ociManifest) }),
    weir: { condition: 'Invalid', says: /more than the 4194304 bytes/ },
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
    registry: 'answers 429 with Retry-After: 120',
    script: ({ registry }) => registry.script({ on: manifests, does: tooMany('120') }),
    weir: { condition: 'TooManyRequests', says: /asks to wait until/ },
    mostRequests: 1,
  },
  {
    asked,
    registry: 'answers 401, always',
    script: ({ registry }) => registry.script({ on: manifests, does: answers(401) }),
    weir: { condition: 'Unauthorized', says: /denied "lib\/app"/ },
  },
  {
    asked,
    registry: 'gives tokens that are good for one request, and says 300 s',
    script: ({ registry }) => registry.script(...oneUseTokens(registry.origin, upstreamToken)),
    weir: { moves: true },
    mostRequests: 12,
  },
  {
    asked,
    registry: 'sends for tokens to a host that nobody named',
    script: ({ registry }) =>
      registry.script({ on: manifests, does: challenges('https://tokens.attacker.example/token') }),
    weir: { condition: 'NotAllowed', says: /sends for tokens to .*: not asked/ },
    mostRequests: 1,
  },
  {
    asked,
    registry: 'redirects to an address of its own machine that nobody named',
    script: redirects(({ stranger }) => `https://${stranger.host}/`),
    weir: { condition: 'NotAllowed', says: /not public/ },
  },
  {
    asked,
    registry: 'redirects to the link-local address of cloud metadata',
    script: redirects(() => 'https://169.254.169.254/latest/meta-data/'),
    weir: { condition: 'NotAllowed', says: /not public/ },
  },
  {
    asked,
    registry: 'redirects to itself, for ever',
    script: ({ registry }) => registry.script({ on: manifests, does: redirecting(any, (path) => path) }),
    weir: { condition: 'Invalid', says: /redirects more than 5 times/ },
    mostRequests: 6,
  },
  {
    asked,
    registry: 'redirects to another host, over two hops',
    script: (place) => {
      const { registry, other, next } = place
      registry.setAuth({ kind: 'basic', users })
      other.put('lib/app', next, { tag: 'v1' })
      registry.script(
        { on: / \/hop\?/, does: redirecting(any, (path) => `${other.origin}${path.slice('/hop?'.length)}`) },
        { on: withLogin(manifests), does: redirecting(any, (path) => `/hop?${path}`) },
      )
    },
    weir: { moves: true },
    mostRequests: 9,
    note: 'the login stays with the first',
    also: ({ other }) => {
      expect(other.requests.length).toBeGreaterThan(0)
      expect(other.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
    },
  },
] satisfies Row[])

const tracked = 'scheduled check of a tag that tracks versions'

table('what registries list when the schedule asks', [
  {
    asked: tracked,
    registry: 'lists names that are no tags, and paths',
    script: listing(() => ['../../secret/manifests/9.0.0', '9.0.0?x=y', '9.0.0\r\nx: y', '1.0.0', '1.1.0']),
    weir: { moves: true },
    note: 'leaves them out',
  },
  {
    asked: tracked,
    registry: 'lists a version that is not there',
    script: listing(() => ['1.0.0', '1.9.0']),
    weir: { condition: 'NotFound', says: /not found/ },
  },
  {
    asked: tracked,
    registry: 'lists no version any more',
    script: listing(() => []),
    weir: { condition: 'NotFound', says: /no tag of .* fits/ },
    note: 'and keeps what the tag stood at',
  },
  {
    asked: tracked,
    registry: 'has a next page at another host',
    script: listing(
      () => ['1.1.0'],
      ({ other }) => `<${other.origin}/v2/lib/app/tags/list?last=x>; rel="next"`,
    ),
    weir: { condition: 'Invalid', says: /goes on at another address at .*: not followed/ },
    also: ({ other }) => expect(other.requests).toEqual([]),
  },
  {
    asked: tracked,
    registry: 'has a next page that is the same one',
    script: listing(
      () => ['1.1.0'],
      () => '</v2/lib/app/tags/list?n=1000>; rel="next"',
    ),
    weir: { moves: true },
    note: 'a page that tells nothing new is the last',
  },
  {
    asked: tracked,
    registry: 'has a next page always, with new tags on each',
    script: ({ registry }) => registry.script({ on: lists, does: endlessTagPages(2000) }),
    weir: { condition: 'Invalid', says: /has more than 100000 tags/ },
    mostRequests: 52,
    mostBytes: 4e6,
    note: 'chooses among all of them or not at all',
  },
  {
    asked: tracked,
    registry: 'has a next page always, with one new tag on each',
    script: ({ registry }) => registry.script({ on: lists, does: endlessTagPages(1) }),
    weir: { condition: 'Invalid', says: /has more than 1000 pages/ },
    mostRequests: 1000,
    mostBytes: 1e6,
  },
  {
    asked: tracked,
    registry: 'sends a list of 64 MB',
    script: ({ registry }) => registry.script({ on: lists, does: large(64e6, 'application/json') }),
    weir: { condition: 'Invalid', says: /more than the 4194304 bytes/ },
    mostBytes: inSockets,
  },
  {
    asked: tracked,
    registry: 'sends a page for people, with 200',
    script: ({ registry }) => registry.script({ on: lists, does: htmlPage(200) }),
    weir: { condition: 'Invalid', says: /is no list of tags/ },
  },
  {
    asked: tracked,
    registry: 'sends a list of 1,000,000 arrays inside each other',
    script: ({ registry }) =>
      registry.script({ on: lists, does: answers(200, `{"tags":${'['.repeat(1e6)}${']'.repeat(1e6)}}`) }),
    weir: { condition: 'NotFound', says: /no tag of .* fits/ },
    mostBytes: 5e6,
  },
  {
    asked: tracked,
    registry: 'compresses lists, unasked',
    script: ({ registry }) => registry.script({ on: lists, does: gzipped(any) }),
    weir: { moves: true },
  },
  {
    asked: tracked,
    registry: 'breaks off in the list, always',
    script: ({ registry }) => registry.script({ on: lists, does: truncated(any, 5) }),
    weir: { condition: 'Unreachable', says: /could not be reached/ },
  },
  {
    asked: tracked,
    registry: 'answers 429 with Retry-After: 3600',
    script: ({ registry }) => registry.script({ on: lists, does: tooMany('3600') }),
    weir: { condition: 'TooManyRequests', says: /asks to wait until/ },
    mostRequests: 1,
  },
  {
    asked: tracked,
    registry: 'redirects the list to a private address',
    script: ({ registry, stranger }) =>
      registry.script({ on: lists, does: redirecting(any, `https://${stranger.host}/`) }),
    weir: { condition: 'NotAllowed', says: /not public/ },
  },
] satisfies Row[])

// What comes part by part is waited for as long as the whole may take.
table(
  'how slowly registries answer the schedule',
  [
    {
      asked,
      registry: 'sends a byte now and then, and never comes to the end',
      script: ({ registry }) => registry.script({ on: gets, does: drips }),
      weir: { condition: 'Unreachable', says: /gave no whole answer within 1.5 s/ },
    },
    {
      asked: tracked,
      registry: 'sends a list a byte at a time, and never comes to the end',
      script: ({ registry }) => registry.script({ on: lists, does: drips }),
      weir: { condition: 'Unreachable', says: /gave no whole answer within 1.5 s/ },
    },
  ] satisfies Row[],
  async () => ({ timeouts: soonWhole }),
)

table(
  'how many pages registries have in how long',
  [
    {
      asked: tracked,
      registry: 'sends page after page, each soon enough',
      script: ({ registry }) => registry.script({ on: lists, does: slowly(endlessTagPages(1)) }),
      weir: { condition: 'Unreachable', says: /did not list the tags of lib\/app within 1.5 s/ },
      mostRequests: 200,
    },
  ] satisfies Row[],
  async () => ({ timeouts: soonLists }),
)

/** Everything that is asked of manifests is sent on to `location`; the registry wants a login, so that one could leak. */
function redirects(location: (place: Place) => string): (place: Place) => void {
  return (place) => {
    place.registry.setAuth({ kind: 'basic', users })
    place.registry.script({ on: withLogin(manifests), does: redirecting(any, location(place)) })
  }
}

function listing(tags: () => string[], link?: (place: Place) => string): (place: Place) => void {
  return (place) => {
    place.registry.setAuth({ kind: 'basic', users })
    place.registry.script({ on: withLogin(lists), does: () => listOfTags(tags(), link?.(place)) })
  }
}
