import { failing } from '../support/fake-upstream-faults.ts'
import { answers, any, tooMany } from '../support/hostile-answers.ts'
import { type Row, table } from './table.ts'

const manifests = / \/v2\/lib\/app\/manifests\//
const blobs = / \/v2\/lib\/app\/blobs\//
const asked = 'import by tag'
const thrice = [250, 500]

/** What a registry says in `Retry-After`, what is waited before each further try, and until when the condition says it asks to wait. */
const retryAfters: [string, string | undefined, { waits: number[]; says: RegExp; note: string }][] = [
  [
    'no Retry-After',
    undefined,
    { waits: thrice, says: /answered 429 when asked for manifest v1 of \S+$/, note: 'three times' },
  ],
  ['Retry-After: 0', '0', { waits: thrice, says: /asks to wait until/, note: 'three times' }],
  ['Retry-After: 2', '2', { waits: [2000, 2000], says: /asks to wait until/, note: 'three times, when it wants' }],
  ['Retry-After: 120', '120', { waits: [], says: /asks to wait until/, note: 'once: that is too long to wait' }],
  [
    'Retry-After: 99999999999999999999',
    '99999999999999999999',
    { waits: [], says: tomorrow(), note: 'once; no longer than a day is believed' },
  ],
  ['a negative Retry-After', '-5', { waits: thrice, says: /manifest v1 of \S+$/, note: 'as if there were none' }],
  [
    'a Retry-After that says nothing',
    'soon',
    { waits: thrice, says: /manifest v1 of \S+$/, note: 'as if there were none' },
  ],
  ['a Retry-After of 1e9', '1e9', { waits: thrice, says: /manifest v1 of \S+$/, note: 'as if there were none' }],
  [
    'a Retry-After with a date in the past',
    'Wed, 21 Oct 2015 07:28:00 GMT',
    { waits: thrice, says: /asks to wait until/, note: 'three times' },
  ],
  [
    'a Retry-After with a date of the year 2999',
    'Wed, 23 Oct 2999 07:28:00 GMT',
    { waits: [], says: tomorrow(), note: 'once; no longer than a day is believed' },
  ],
  [
    'a Retry-After with a date in an hour',
    new Date(Date.now() + 3_600_000).toUTCString(),
    { waits: [], says: /asks to wait until/, note: 'once: that is too long to wait' },
  ],
]

/** The message names the day after this one, or where the clock is about to strike the next. */
function tomorrow(): RegExp {
  const days = [24, 25].map((hours) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(0, 10))
  return new RegExp(`asks to wait until (?:${days.join('|')})T`)
}

table('registries that have enough, or break', [
  ...retryAfters.map(
    ([what, retryAfter, { waits, says, note }]): Row => ({
      asked,
      registry: `answers 429 with ${what}`,
      script: ({ registry }) => registry.script({ on: manifests, does: tooMany(retryAfter) }),
      weir: { condition: 'TooManyRequests', says },
      waits,
      mostRequests: 3,
      note,
    }),
  ),
  {
    asked,
    registry: 'answers 429 twice, and then with the manifest',
    script: ({ registry }) => registry.script({ on: manifests, does: tooMany('1'), times: 2 }),
    weir: { moves: true },
    waits: [1000, 1000],
  },
  {
    asked: 'pull of a manifest by digest',
    registry: 'answers 429 with Retry-After: 120',
    script: ({ registry }) => registry.script({ on: manifests, does: tooMany('120') }),
    weir: { status: 429, code: 'TOOMANYREQUESTS', retryAfter: '120' },
    waits: [],
    mostRequests: 1,
  },
  {
    asked: 'blob GET',
    registry: 'answers 429 with Retry-After: 120',
    script: ({ registry }) => registry.script({ on: blobs, does: tooMany('120') }),
    weir: { status: 429, code: 'TOOMANYREQUESTS', retryAfter: '120' },
    waits: [],
    mostRequests: 1,
  },
  {
    asked: 'pull by tag',
    registry: 'answers 429 to everything',
    script: ({ registry }) => registry.script({ on: any, does: tooMany('120') }),
    weir: { gives: 'the pinned manifest' },
    mostRequests: 0,
    note: 'asks nobody',
  },
  ...[500, 502, 503, 504].map(
    (status): Row => ({
      asked: 'pull of a manifest by digest',
      registry: `answers ${status}, always`,
      script: ({ registry }) => registry.script({ on: manifests, does: failing(any, status) }),
      weir: { status: 503, code: 'UNAVAILABLE', says: /Unreachable/ },
      waits: thrice,
      mostRequests: 3,
      note: 'three times',
    }),
  ),
  {
    asked,
    registry: 'answers 503 twice, and then with the manifest',
    script: ({ registry }) => registry.script({ on: manifests, does: failing(any, 503), times: 2 }),
    weir: { moves: true },
    waits: thrice,
  },
  {
    asked,
    registry: 'answers 403, always',
    script: ({ registry }) => registry.script({ on: manifests, does: answers(403) }),
    weir: { condition: 'Forbidden', says: /you may not have access/ },
    waits: [],
  },
  {
    asked,
    registry: 'answers 418',
    script: ({ registry }) => registry.script({ on: manifests, does: answers(418) }),
    weir: { condition: 'Invalid', says: /answered 418/ },
    waits: [],
    mostRequests: 1,
  },
  {
    asked,
    registry: 'answers 304 to who asked for no change',
    script: ({ registry }) => registry.script({ on: manifests, does: answers(304) }),
    weir: { condition: 'Invalid', says: /answered 304/ },
    mostRequests: 1,
  },
  {
    asked,
    registry: 'answers 206 to who asked for the whole',
    script: ({ registry, next }) => registry.script({ on: manifests, does: answers(206, next.manifest.bytes) }),
    weir: { condition: 'Invalid', says: /answered 206/ },
    mostRequests: 1,
  },
] satisfies Row[])
