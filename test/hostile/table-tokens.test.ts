import { expect } from 'vitest'
import { redirecting } from '../support/fake-upstream-faults.ts'
import {
  answers,
  any,
  challenges,
  drips,
  htmlPage,
  large,
  neverAnswers,
  oneUseTokens,
  tooMany,
} from '../support/hostile-answers.ts'
import { inSockets, login, type Place, soonWhole } from './place.ts'
import { type Row, table } from './table.ts'
import { upstreamToken } from './unharmed.ts'

const manifests = / \/v2\/lib\/app\/manifests\//
const tokens = /^(?:GET|POST) \/token/
const asked = 'import by tag'
const users = { [login.username]: login.password }

/** A token endpoint of its own, which answers honestly but for what `does` to it. */
function tokenEndpoint(does: Parameters<Place['registry']['script']>[0]['does']): (place: Place) => void {
  return ({ registry }) => {
    registry.setAuth({ kind: 'bearer', users, anonymous: false })
    registry.script({ on: tokens, does })
  }
}

/** Asks for tokens from `realm`. */
function realm(of: (place: Place) => string): (place: Place) => void {
  return (place) => place.registry.script({ on: manifests, does: challenges(of(place)) })
}

const notAsked = { condition: 'NotAllowed', says: /sends for tokens to .*: not asked/ }

/** Where no registry may send Weir for tokens, with its login. */
const forbidden: [string, (place: Place) => string][] = [
  ['a host that nobody named', () => 'https://tokens.attacker.example/token'],
  ['the link-local address of cloud metadata', () => 'http://169.254.169.254/latest/meta-data/'],
  ['its own name with a login in it', ({ registry }) => `http://a:b@${registry.host}/token`],
  ['what is no URL', () => '/token'],
  ['a file', () => 'file:///etc/passwd'],
  ['its own name as the login of another', ({ registry, stranger }) => `http://${registry.host}@${stranger.host}/`],
  [
    'a name that begins with its own',
    ({ registry }) => `http://127.0.0.1.attacker.example:${registry.host.split(':')[1]}/`,
  ],
]

/** What no token can be had of. */
const broken: [string, Parameters<typeof tokenEndpoint>[0], string, RegExp][] = [
  ['a page for people, with 200', htmlPage(200), 'Invalid', /answered no JSON object/],
  ['a page for people, with 404', htmlPage(404), 'Unauthorized', /denied "lib\/app"/],
  ['a page for people, with 500', htmlPage(500), 'Unreachable', /token endpoint .* answered 500/],
  ['401, always', answers(401), 'Unauthorized', /denied "lib\/app".*tried/],
  ['429 with Retry-After: 600', tooMany('600'), 'TooManyRequests', /token endpoint .* answered 429/],
  ['an empty object', answers(200, '{}'), 'Invalid', /answered no token/],
  ['a token with a line break', answers(200, '{"token":"a\\r\\nx-evil: 1"}'), 'Invalid', /no header can carry/],
  ['a token of 100 KB', answers(200, JSON.stringify({ token: 'x'.repeat(1e5) })), 'Invalid', /no header can carry/],
  ['a token that is a number', answers(200, '{"token":1,"access_token":[]}'), 'Invalid', /answered no token/],
  ['64 MB', large(64e6, 'application/json'), 'Invalid', /more than the 1048576 bytes/],
  ['nothing', neverAnswers, 'Unreachable', /Headers Timeout/],
]

table('how registries give tokens', [
  ...forbidden.map(
    ([where, of]): Row => ({
      asked,
      registry: `sends for tokens to ${where}`,
      script: realm(of),
      weir: notAsked,
      mostRequests: 1,
    }),
  ),
  {
    asked: 'pull of a manifest by digest',
    registry: 'sends for tokens to a host that nobody named',
    script: realm(() => 'https://tokens.attacker.example/token'),
    weir: { status: 403, code: 'DENIED', says: /NotAllowed/ },
    mostRequests: 1,
  },
  ...broken.map(
    ([what, does, condition, says]): Row => ({
      asked,
      registry: `has a token endpoint that answers ${what}`,
      script: tokenEndpoint(does),
      weir: { condition, says },
      mostBytes: inSockets,
    }),
  ),
  {
    asked,
    registry: 'has a token endpoint that redirects to another host',
    script: (place) => tokenEndpoint(redirecting(any, `${place.other.origin}/token`))(place),
    weir: { condition: 'Invalid', says: /token endpoint .* answered 307/ },
    note: 'a login is not carried on',
    also: ({ other }) => expect(other.requests).toEqual([]),
  },
  {
    asked,
    registry: 'gives tokens that it refuses, always',
    script: ({ registry }) =>
      registry.script(
        { on: tokens, does: answers(200, JSON.stringify({ token: upstreamToken, expires_in: 300 })) },
        { on: manifests, does: challenges(`${registry.origin}/token`) },
      ),
    weir: { condition: 'Unauthorized', says: /denied "lib\/app".*tried/ },
    mostRequests: 6,
    note: 'after one token for each login, and one for nobody',
  },
  {
    asked,
    registry: 'gives tokens that are good for one request, and says 300 s',
    script: ({ registry }) => registry.script(...oneUseTokens(registry.origin, upstreamToken)),
    weir: { moves: true },
    mostRequests: 9,
    note: 'fetches another each time',
  },
  {
    asked,
    registry: 'gives tokens that are good for -1 s',
    script: tokenEndpoint(async (_req, _res, next) => {
      const answer = await next()
      const told = JSON.parse(answer.body.toString()) as object
      return { ...answer, body: Buffer.from(JSON.stringify({ ...told, expires_in: -1 })) }
    }),
    weir: { moves: true },
  },
  {
    asked,
    registry: 'refuses every login with 401 and Basic',
    script: ({ registry }) => registry.setAuth({ kind: 'basic', users: {} }),
    weir: { condition: 'Unauthorized', says: /denied "lib\/app".*tried/ },
    mostRequests: 3,
  },
  {
    asked,
    registry: 'asks for a scope of another repository, with the right to push',
    script: ({ registry }) =>
      registry.setAuth({ kind: 'bearer', users, anonymous: false, scope: 'repository:secret/app:pull,push' }),
    weir: { moves: true },
    note: 'asks for the right to pull what it wants, and for nothing more',
    also: ({ registry }) =>
      expect(new Set(registry.tokenRequests.flatMap(({ scopes }) => scopes))).toEqual(
        new Set(['repository:lib/app:pull']),
      ),
  },
  {
    asked,
    registry: 'challenges with 10,000 commas and quotes',
    script: ({ registry }) =>
      registry.script({ on: manifests, does: answers(401, '', { 'www-authenticate': `Bearer ${',"'.repeat(5000)}` }) }),
    weir: { condition: 'Unauthorized', says: /denied "lib\/app"/ },
  },
] satisfies Row[])

table(
  'how slowly registries give tokens',
  [
    {
      asked,
      registry: 'has a token endpoint that answers a byte now and then',
      script: tokenEndpoint(drips),
      weir: { condition: 'Unreachable', says: /gave no whole answer within 1.5 s/ },
    },
  ] satisfies Row[],
  async () => ({ timeouts: soonWhole }),
)
