import { expect } from 'vitest'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { artifact, indexOf, listed, page } from '../referrers/world.ts'
import { endless, gzipped, redirecting, truncated, withBytes } from '../support/fake-upstream-faults.ts'
import {
  answers,
  any,
  challenges,
  drips,
  htmlPage,
  large,
  neverAnswers,
  slowly,
  tooMany,
  withLogin,
} from '../support/hostile-answers.ts'
import type { HostileRule } from '../support/hostile-registry.ts'
import { inSockets, login, type Place, soonLists, soonWhole } from './place.ts'
import { type Row, table } from './table.ts'

const lists = / \/v2\/lib\/app\/referrers\//
const manifests = / \/v2\/lib\/app\/manifests\//
const asked = 'listing of referrers'
const users = { [login.username]: login.password }

/** The signature of what `prod` stands at. */
const signatureOf = ({ good }: Place) => artifact(good.manifest, 'signature')

/** The registry lists the signature, and goes on at `link`; it wants a login, so that one could leak. */
function goesOnAt(link: (place: Place) => string): (place: Place) => void {
  return (place) => {
    place.registry.setAuth({ kind: 'basic', users })
    const answer = page([listed(signatureOf(place))], `<${link(place)}>; rel="next"`)
    place.registry.script({ on: withLogin(lists), does: () => answer })
  }
}

function does(what: HostileRule['does']): (place: Place) => void {
  return ({ registry }) => registry.script({ on: lists, does: what })
}

/** Pages of one referrer each, another on each. */
const endlessPages: HostileRule['does'] = (req) => {
  const url = new URL(req.url ?? '', 'http://any')
  const n = Number(url.searchParams.get('page') ?? 0)
  const digest = `sha256:${String(n).padStart(64, '0')}`
  return page([{ mediaType: mediaTypes.ociManifest, digest, size: 100 }], `<${url.pathname}?page=${n + 1}>; rel="next"`)
}

table('how registries list what refers to images', [
  {
    asked,
    registry: 'has no such list, and no tag in its place',
    weir: { refers: 0 },
  },
  {
    asked,
    registry: 'sends a page for people, with 200',
    script: does(htmlPage(200)),
    weir: { refers: 0 },
    note: 'as if there were no list',
  },
  {
    asked,
    registry: 'has a next page at another host',
    script: goesOnAt(({ other }) => `${other.origin}/v2/lib/app/referrers/x?page=1`),
    weir: { refers: 1, warns: /there may be more/ },
    also: ({ other }) => expect(other.requests).toEqual([]),
  },
  {
    asked,
    registry: 'has a next page at a private address',
    script: goesOnAt(() => 'https://169.254.169.254/'),
    weir: { refers: 1, warns: /there may be more/ },
  },
  {
    asked,
    registry: 'has a next page that is the same one',
    script: (place) => goesOnAt(({ good }) => `/v2/lib/app/referrers/${good.manifest.digest}`)(place),
    weir: { refers: 1 },
    note: 'a page that tells nothing new is the last',
  },
  {
    asked,
    registry: 'has a next page always, with another referrer on each',
    script: does(endlessPages),
    weir: { refers: 32, warns: /there may be more/ },
    mostRequests: 32,
    note: 'reads 32 pages',
  },
  {
    asked,
    registry: 'sends a list of 64 MB',
    script: does(large(64e6, mediaTypes.ociIndex)),
    weir: { refers: 0, warns: /there may be more/ },
    mostBytes: inSockets,
  },
  {
    asked,
    registry: 'sends a list without end',
    script: does(endless(any, { 'content-type': mediaTypes.ociIndex })),
    weir: { refers: 0, warns: /there may be more/ },
    mostBytes: inSockets,
  },
  {
    asked,
    registry: 'sends a list of 1,000,000 arrays inside each other',
    script: does(
      answers(200, `{"manifests":[${'['.repeat(1e6)}${']'.repeat(1e6)}]}`, { 'content-type': mediaTypes.ociIndex }),
    ),
    weir: { refers: 0 },
    mostBytes: 3e6,
  },
  {
    asked,
    registry: 'lists what are no manifests, and the image itself',
    script: (place) => {
      const entries = [null, 1, 'x', {}, { digest: '../x' }, { digest: place.good.manifest.digest }, { size: -1 }]
      const self = { ...listed(place.good), size: 2 ** 60 }
      const list = page([...entries, self, listed(place.good), listed(signatureOf(place))])
      place.registry.script({ on: lists, does: () => list })
    },
    weir: { refers: 1 },
    note: 'leaves them out',
  },
  {
    asked,
    registry: 'compresses lists, unasked',
    script: (place) => {
      const answer = page([listed(signatureOf(place))])
      const compressed = gzipped(any)
      place.registry.script({ on: lists, does: (req, res) => compressed(req, res, async () => answer) })
    },
    weir: { refers: 1 },
  },
  {
    asked,
    registry: 'breaks off in the list, always',
    script: (place) => {
      const answer = page([listed(signatureOf(place))])
      const cut = truncated(any, 5)
      place.registry.script({ on: lists, does: (req, res) => cut(req, res, async () => answer) })
    },
    weir: { refers: 0, warns: /not available/ },
    waits: [250, 500],
  },
  {
    asked,
    registry: 'takes the request for a list and never answers',
    script: does(neverAnswers),
    weir: { refers: 0, warns: /not available/ },
    mostRequests: 1,
  },
  {
    asked,
    registry: 'redirects the list to an address of its own machine that nobody named',
    script: ({ registry, stranger }) => {
      registry.setAuth({ kind: 'basic', users })
      registry.script({ on: withLogin(lists), does: redirecting(any, `https://${stranger.host}/`) })
    },
    weir: { refers: 0, warns: /not allowed here/ },
  },
  {
    asked,
    registry: 'sends for tokens to a host that nobody named',
    script: does(challenges('https://tokens.attacker.example/token')),
    weir: { refers: 0, warns: /not allowed here/ },
    mostRequests: 1,
  },
  {
    asked,
    registry: 'answers 429 with Retry-After: 3600',
    script: does(tooMany('3600')),
    weir: { refers: 0, warns: /too many requests/ },
    mostRequests: 1,
  },
  {
    asked,
    registry: 'refuses the list with 401 for ever, and the tag in its place',
    script: ({ registry }) => registry.script({ on: any, does: answers(401) }),
    weir: { refers: 0, warns: /denied, or not there/ },
  },
  {
    asked,
    registry: 'has no list, and a tag in its place that is an image',
    script: ({ registry, good }) => {
      registry.script({ on: manifests, does: withBytes(any, good.manifest.bytes) })
      registry.put('lib/app', good, { tag: good.manifest.digest.replace(':', '-') })
    },
    weir: { refers: 0 },
  },
  {
    asked,
    registry: 'has no list, and a tag in its place that is an index of 64 MB',
    script: ({ registry }) => registry.script({ on: manifests, does: large(64e6, mediaTypes.ociIndex) }),
    weir: { refers: 0, warns: /there may be more/ },
    mostBytes: inSockets,
  },
  {
    asked,
    registry: 'has no list, and a tag in its place that lists 2,000 referrers',
    script: ({ registry, good }) => {
      const entries = Array.from({ length: 2000 }, (_, n) => ({
        mediaType: mediaTypes.ociManifest,
        digest: `sha256:${String(n).padStart(64, '0')}`,
        size: 100,
      }))
      registry.put('lib/app', indexOf(entries), { tag: good.manifest.digest.replace(':', '-') })
    },
    weir: { refers: 1000, warns: /there may be more/ },
    mostBytes: 1e6,
  },
] satisfies Row[])

// What comes part by part is waited for as long as the whole may take.
table(
  'how slowly registries list what refers to images',
  [
    {
      asked,
      registry: 'sends a list a byte at a time, and never comes to the end',
      script: (place) => {
        const answer = page([listed(signatureOf(place))])
        place.registry.script({ on: lists, does: (req, res) => drips(req, res, async () => answer) })
      },
      weir: { refers: 0, warns: /not available/ },
      mostRequests: 1,
    },
  ] satisfies Row[],
  async () => ({ timeouts: soonWhole }),
)

table(
  'how long registries take for a list of what refers to images',
  [
    {
      asked,
      registry: 'sends page after page, each soon enough',
      script: does(slowly(endlessPages, 100)),
      weir: { refers: 0, warns: /not available/ },
      mostRequests: 32,
    },
  ] satisfies Row[],
  async () => ({ timeouts: soonLists }),
)
