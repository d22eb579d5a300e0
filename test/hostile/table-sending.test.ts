import { resetting, truncated } from '../support/fake-upstream-faults.ts'
import { any, drips, dripsHeaders, earlyHints, neverAnswers, resetsAt, stallsAt } from '../support/hostile-answers.ts'
import { soonWhole } from './place.ts'
import { type Row, table } from './table.ts'

const gets = /^GET \/v2\/lib\/app\/manifests\//
const manifests = / \/v2\/lib\/app\/manifests\//
const asked = 'import by tag'
const pulled = 'pull of a manifest by digest'

table('how registries send manifests', [
  {
    asked,
    registry: 'breaks off after 10 bytes, with the Content-Length of the whole, always',
    script: ({ registry }) => registry.script({ on: gets, does: truncated(any, 10) }),
    weir: { condition: 'Unreachable', says: /could not be reached/ },
    waits: [250, 500],
  },
  {
    asked,
    registry: 'breaks off after 10 bytes, once',
    script: ({ registry }) => registry.script({ on: gets, does: truncated(any, 10), times: 1 }),
    weir: { moves: true },
    waits: [250],
    note: 'asks again',
  },
  {
    asked,
    registry: 'resets the connection without an answer, twice',
    script: ({ registry }) => registry.script({ on: manifests, does: resetting(any), times: 2 }),
    weir: { moves: true },
    waits: [250, 500],
    note: 'asks again, each time later',
  },
  {
    asked,
    registry: 'resets the connection without an answer, always',
    script: ({ registry }) => registry.script({ on: manifests, does: resetting(any) }),
    weir: { condition: 'Unreachable', says: /could not be reached/ },
    waits: [250, 500],
    mostRequests: 3,
  },
  {
    asked,
    registry: 'resets the connection at byte 100, always',
    script: ({ registry }) => registry.script({ on: gets, does: resetsAt(100) }),
    weir: { condition: 'Unreachable', says: /could not be reached/ },
    waits: [250, 500],
  },
  {
    asked: pulled,
    registry: 'resets the connection at byte 100, always',
    script: ({ registry }) => registry.script({ on: gets, does: resetsAt(100) }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /Unreachable/ },
    mostRequests: 3,
  },
  {
    asked: pulled,
    registry: 'resets the connection at byte 100, once',
    script: ({ registry }) => registry.script({ on: gets, does: resetsAt(100), times: 1 }),
    weir: { gives: 'the manifest' },
    waits: [250],
    mostRequests: 3,
    note: 'asks again',
  },
  {
    asked,
    registry: 'takes requests and never answers',
    script: ({ registry }) => registry.script({ on: manifests, does: neverAnswers }),
    weir: { condition: 'Unreachable', says: /could not be reached: Headers Timeout/ },
    mostRequests: 1,
    note: 'after the time for headers, once',
  },
  {
    asked: pulled,
    registry: 'takes requests and never answers',
    script: ({ registry }) => registry.script({ on: manifests, does: neverAnswers }),
    weir: { status: 503, code: 'UNAVAILABLE', says: /Unreachable/ },
    mostRequests: 1,
    note: 'after the time for headers, once',
  },
  {
    asked,
    registry: 'sends a header a byte at a time, and never comes to its end',
    script: ({ registry }) => registry.script({ on: manifests, does: dripsHeaders }),
    weir: { condition: 'Unreachable', says: /could not be reached: Headers Timeout/ },
    mostRequests: 1,
  },
  {
    asked,
    registry: 'sends headers and 10 bytes, and nothing more',
    script: ({ registry }) => registry.script({ on: gets, does: stallsAt(10) }),
    weir: { condition: 'Unreachable', says: /could not be reached: Body Timeout/ },
    mostRequests: 2,
  },
  {
    asked: 'pull by tag',
    registry: 'takes requests and never answers',
    script: ({ registry }) => registry.script({ on: any, does: neverAnswers }),
    weir: { gives: 'the pinned manifest' },
    mostRequests: 0,
    note: 'asks nobody',
  },
] satisfies Row[])

// What comes part by part is waited for as long as the whole may take.
table(
  'how slowly registries send manifests',
  [
    {
      asked,
      registry: 'says again and again that its answer is under way',
      script: ({ registry }) => registry.script({ on: manifests, does: earlyHints }),
      weir: { condition: 'Unreachable', says: /gave no whole answer within 1.5 s/ },
      mostRequests: 1,
    },
    {
      asked,
      registry: 'sends a byte now and then, and never comes to the end',
      script: ({ registry }) => registry.script({ on: gets, does: drips }),
      weir: { condition: 'Unreachable', says: /gave no whole answer within 1.5 s/ },
      mostRequests: 2,
      note: 'after the time for the whole',
    },
    {
      asked: pulled,
      registry: 'sends a byte now and then, and never comes to the end',
      script: ({ registry }) => registry.script({ on: gets, does: drips }),
      weir: { status: 503, code: 'UNAVAILABLE', says: /Unreachable/ },
      mostRequests: 1,
      note: 'after the time for the whole',
    },
  ] satisfies Row[],
  async () => ({ timeouts: soonWhole }),
)
