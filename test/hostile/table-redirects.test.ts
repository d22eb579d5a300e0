import { expect } from 'vitest'
import { redirecting } from '../support/fake-upstream-faults.ts'
import { answers, any, challenges, withLogin } from '../support/hostile-answers.ts'
import { layerOf, login, type Place } from './place.ts'
import { type Row, table } from './table.ts'

const gets = /^GET \/v2\/lib\/app\/manifests\//
const manifests = / \/v2\/lib\/app\/manifests\//
const blobs = /^GET \/v2\/lib\/app\/blobs\//
const asked = 'import by tag'

/** The registry wants a login, and gets it: there is one that could leak. */
function wantsLogin({ registry }: Place): void {
  registry.setAuth({ kind: 'basic', users: { [login.username]: login.password } })
}

/** Everything that is asked of manifests is sent on to `location`. */
function sendsTo(location: (place: Place) => string) {
  return (place: Place): void => {
    wantsLogin(place)
    place.registry.script({ on: withLogin(manifests), does: redirecting(any, location(place)) })
  }
}

const refused = { condition: 'NotAllowed', says: /not followed|not public/ }

/** Where no registry may send Weir: each a row. */
const forbidden: [string, (place: Place) => string][] = [
  ['the link-local address of cloud metadata, over HTTP', () => 'http://169.254.169.254/latest/meta-data/'],
  ['the link-local address of cloud metadata, over HTTPS', () => 'https://169.254.169.254/latest/meta-data/'],
  ['a private address', () => 'https://10.0.0.1/'],
  ['an address of its own machine that nobody named', ({ stranger }) => `https://${stranger.host}/`],
  ['the same one, over HTTP', ({ stranger }) => `http://${stranger.host}/`],
  ['the same one, by a name', ({ stranger }) => `https://localhost:${stranger.port}/`],
  ['the same one, as a number', ({ stranger }) => `https://2130706433:${stranger.port}/`],
  ['the same one, mapped into IPv6', ({ stranger }) => `https://[::ffff:127.0.0.1]:${stranger.port}/`],
  ['a file', () => 'file:///etc/passwd'],
  ['a URL with a login in it', ({ other }) => `http://${login.username}:x@${other.host}/v2/lib/app/manifests/v1`],
]

table('where registries send on to', [
  ...forbidden.map(
    ([where, location]): Row => ({
      asked,
      registry: `redirects to ${where}`,
      script: sendsTo(location),
      weir: refused,
      also: ({ registry, other }) => {
        expect(registry.requests.some(({ headers }) => headers.authorization !== undefined)).toBe(true)
        expect(other.requests).toEqual([])
      },
    }),
  ),
  {
    asked: 'blob GET',
    registry: 'redirects to a private address',
    script: ({ registry, stranger }) =>
      registry.script({ on: blobs, does: redirecting(any, `https://${stranger.host}/`) }),
    weir: { status: 403, code: 'DENIED', says: /NotAllowed/ },
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
    registry: 'redirects to another, which redirects back, for ever',
    script: ({ registry, other }) => {
      registry.script({ on: manifests, does: redirecting(any, (path) => `${other.origin}${path}`) })
      other.script({ on: any, does: redirecting(any, (path) => `${registry.origin}${path}`) })
    },
    weir: { condition: 'Invalid', says: /redirects more than 5 times/ },
    mostRequests: 3,
  },
  {
    asked: 'blob GET',
    registry: 'redirects to itself, for ever',
    script: ({ registry }) => registry.script({ on: blobs, does: redirecting(any, (path) => path) }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /Invalid/ },
    mostRequests: 6,
  },
  {
    asked,
    registry: 'redirects without saying where to',
    script: ({ registry }) => registry.script({ on: manifests, does: answers(307) }),
    weir: { condition: 'Invalid', says: /without saying where to/ },
  },
  {
    asked,
    registry: 'redirects over two hops, the second at another host',
    script: (place) => {
      const { registry, other, next } = place
      wantsLogin(place)
      other.put('lib/app', next, { tag: 'v1' })
      registry.script(
        { on: / \/hop$/, does: redirecting(any, `${other.origin}/v2/lib/app/manifests/v1`) },
        { on: withLogin(gets), does: redirecting(any, '/hop') },
      )
    },
    weir: { moves: true },
    note: 'the login stays with the first host',
    also: ({ registry, other }) => {
      expect(registry.matching(/ \/hop$/).every(({ headers }) => headers.authorization !== undefined)).toBe(true)
      expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined])
    },
  },
  {
    asked: 'blob GET',
    registry: 'redirects to a storage',
    script: (place) => {
      const { registry, other, good } = place
      wantsLogin(place)
      other.put('storage', layerOf(good))
      const signed = `${other.origin}/v2/storage/blobs/${layerOf(good).digest}?signature=secret`
      registry.script({ on: withLogin(blobs), does: redirecting(any, signed) })
    },
    weir: { gives: 'the layer' },
    note: 'without a login, and no log has the signed URL',
    also: ({ world, other }) => {
      expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined])
      expect(world.logged.filter((line) => line.includes('signature'))).toEqual([])
    },
  },
  {
    asked: 'blob GET',
    registry: 'redirects to a storage that finds its signed URL expired, once',
    script: ({ registry, other, good }) => {
      other.put('storage', layerOf(good))
      other.script({ on: any, does: answers(403), times: 1 })
      const location = `${other.origin}/v2/storage/blobs/${layerOf(good).digest}`
      registry.script({ on: blobs, does: redirecting(any, location) })
    },
    weir: { gives: 'the layer' },
    note: 'has the registry sign another',
    also: ({ other }) => expect(other.requests.length).toBe(2),
  },
  {
    asked: 'blob GET',
    registry: 'redirects to another, which asks for a login at its own realm',
    script: (place) => {
      const { registry, other } = place
      wantsLogin(place)
      other.script({ on: any, does: challenges(`${other.origin}/token`) })
      registry.script({ on: withLogin(blobs), does: redirecting(any, `${other.origin}/blob`) })
    },
    weir: { status: 403, code: 'DENIED', says: /Unauthorized/ },
    also: ({ other }) => expect(other.matching(/\/token/)).toEqual([]),
  },
] satisfies Row[])
