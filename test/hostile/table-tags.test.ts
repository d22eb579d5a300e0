import { expect } from 'vitest'
import { endless, gzipped, redirecting, truncated, withHeader } from '../support/fake-upstream-faults.ts'
import {
  answers,
  any,
  drips,
  endlessTagPages,
  htmlPage,
  large,
  listOfTags,
  neverAnswers,
  tooMany,
  withLogin,
} from '../support/hostile-answers.ts'
import { inSockets, login, type Place, soonWhole } from './place.ts'
import { type Row, table } from './table.ts'

const lists = /\/v2\/lib\/app\/tags\/list/
const asked = 'import of a whole repository'
const nothing = (says: RegExp) => ({ imports: [], says })

/** The first page leads on to `target`; the registry wants a login, so that one could leak. */
function leadsTo(target: (place: Place) => string): (place: Place) => void {
  return (place) => {
    const { registry } = place
    registry.setAuth({ kind: 'basic', users: { [login.username]: login.password } })
    const link = `<${target(place)}>; rel="next"`
    registry.script({
      on: withLogin(lists),
      does: () => listOfTags(['v1'], link),
    })
  }
}

table('how registries list tags', [
  {
    asked,
    registry: 'has a next page at another host',
    script: leadsTo(({ other }) => `${other.origin}/v2/lib/app/tags/list?last=v1`),
    weir: nothing(/goes on at another address at .*: not followed/),
    mostRequests: 3,
    also: ({ other }) => expect(other.requests).toEqual([]),
  },
  {
    asked,
    registry: 'has a next page at another repository',
    script: leadsTo(() => '/v2/secret/app/tags/list?last=v1'),
    weir: nothing(/goes on at another address/),
    mostRequests: 3,
  },
  {
    asked,
    registry: 'has a next page at a private address',
    script: leadsTo(() => 'https://169.254.169.254/v2/lib/app/tags/list'),
    weir: nothing(/goes on at another address at 169.254.169.254: not followed/),
  },
  {
    asked,
    registry: 'has a next page at what is no address',
    script: leadsTo(() => 'https://[/'),
    weir: nothing(/goes on at what is no address/),
  },
  {
    asked,
    registry: 'has a next page that is the same one',
    script: leadsTo(() => '/v2/lib/app/tags/list?n=1000'),
    weir: { imports: ['v1'] },
    note: 'a page that tells nothing new is the last',
  },
  {
    asked,
    registry: 'has a next page always, with new tags on each',
    script: ({ registry }) => registry.script({ on: lists, does: endlessTagPages(2000) }),
    weir: nothing(/not found/),
    mostRequests: 25 + 50,
    mostBytes: 2e6,
    note: 'reads 50,000 tags, asks for 50',
  },
  {
    asked,
    registry: 'has a next page always, with one new tag on each',
    script: ({ registry }) => registry.script({ on: lists, does: endlessTagPages(1) }),
    weir: nothing(/has more than 1000 pages/),
    mostRequests: 1000,
    mostBytes: 1e6,
  },
  {
    asked,
    registry: 'lists names that are no tags, and paths',
    script: ({ registry }) =>
      registry.script({
        on: lists,
        does: () =>
          listOfTags(['../../secret/manifests/v1', 'v1?x=y', 'v1#x', '', 'v1\r\nx: y', `${'a'.repeat(129)}`, 'v1']),
      }),
    weir: { imports: ['v1'], says: /^ *$/ },
    note: 'leaves them out',
  },
  {
    asked,
    registry: 'lists what are no names',
    script: ({ registry }) =>
      registry.script({ on: lists, does: answers(200, '{"tags":[1,null,{"a":1},["v1"],"v1"]}') }),
    weir: { imports: ['v1'], says: /^ *$/ },
    note: 'leaves them out',
  },
  {
    asked,
    registry: 'sends a list that is an object',
    script: ({ registry }) => registry.script({ on: lists, does: answers(200, '{"tags":{"v1":1}}') }),
    weir: nothing(/is no list of tags/),
  },
  {
    asked,
    registry: 'sends a page for people, with 200',
    script: ({ registry }) => registry.script({ on: lists, does: htmlPage(200) }),
    weir: nothing(/is no list of tags/),
  },
  {
    asked,
    registry: 'sends a list of 64 MB',
    script: ({ registry }) => registry.script({ on: lists, does: large(64e6, 'application/json') }),
    weir: nothing(/more than the 4194304 bytes/),
    mostBytes: inSockets,
  },
  {
    asked,
    registry: 'sends a list without end',
    script: ({ registry }) => registry.script({ on: lists, does: endless(any) }),
    weir: nothing(/more than the 4194304 bytes/),
    mostBytes: inSockets,
  },
  {
    asked,
    registry: 'sends a list of 1,000,000 arrays inside each other',
    script: ({ registry }) =>
      registry.script({ on: lists, does: answers(200, `{"tags":${'['.repeat(1e6)}${']'.repeat(1e6)}}`) }),
    weir: nothing(/^$/),
    mostBytes: 3e6,
  },
  {
    asked,
    registry: 'compresses lists, unasked',
    script: ({ registry }) => registry.script({ on: lists, does: gzipped(any) }),
    weir: { imports: ['v1'] },
  },
  {
    asked,
    registry: 'breaks off in the list, always',
    script: ({ registry }) => registry.script({ on: lists, does: truncated(any, 5) }),
    weir: nothing(/could not be reached/),
    waits: [250, 500],
  },
  {
    asked,
    registry: 'takes the request for a list and never answers',
    script: ({ registry }) => registry.script({ on: lists, does: neverAnswers }),
    weir: nothing(/could not be reached: Headers Timeout/),
    mostRequests: 1,
  },
  {
    asked,
    registry: 'redirects the list to a private address',
    script: ({ registry, stranger }) =>
      registry.script({ on: lists, does: redirecting(any, `https://${stranger.host}/`) }),
    weir: nothing(/not public/),
  },
  {
    asked,
    registry: 'answers 429 with Retry-After: 3600',
    script: ({ registry }) => registry.script({ on: lists, does: tooMany('3600') }),
    weir: nothing(/answered 429 .* asks to wait until/),
    mostRequests: 1,
  },
  {
    asked,
    registry: 'has a Link that is 10,000 brackets',
    script: ({ registry }) => registry.script({ on: lists, does: withHeader(any, 'link', '<'.repeat(10_000)) }),
    weir: { imports: ['v1'] },
  },
] satisfies Row[])

// What comes part by part is waited for as long as the whole may take.
table(
  'how slowly registries list tags',
  [
    {
      asked,
      registry: 'sends a list a byte at a time, and never comes to the end',
      script: ({ registry }) => registry.script({ on: lists, does: drips }),
      weir: nothing(/gave no whole answer within 1.5 s/),
      mostRequests: 1,
    },
  ] satisfies Row[],
  async () => ({ timeouts: soonWhole }),
)
