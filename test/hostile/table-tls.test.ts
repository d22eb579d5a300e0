import { expect } from 'vitest'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { redirecting } from '../support/fake-upstream-faults.ts'
import { createFakeAuthority } from '../support/fake-upstream-tls.ts'
import { any, challenges, withLogin } from '../support/hostile-answers.ts'
import { login } from './place.ts'
import { type Row, table } from './table.ts'

const manifests = / \/v2\/lib\/app\/manifests\//
const asked = 'import by tag'
const users = { [login.username]: login.password }

const rows: Row[] = [
  {
    asked,
    registry: 'has a certificate of nobody known, where the config says insecure',
    weir: { moves: true },
  },
  {
    asked,
    registry: 'spoke TLS, and now speaks plain HTTP and wants a login',
    async script({ registry, next }) {
      await registry.close()
      const plain = await startFakeUpstream({
        port: Number(new URL(registry.origin).port),
        auth: { kind: 'basic', users },
      })
      plain.put('lib/app', next, { tag: 'v1' })
      registry.requests = plain.requests
    },
    weir: { condition: 'Tls', says: /does not speak TLS/ },
    also: ({ registry }) => expect(registry.requests).toEqual([]),
    note: 'never in clear text to who spoke TLS once',
  },
  {
    asked,
    registry: 'redirects to plain HTTP at who is not named',
    script: ({ registry, stranger }) => {
      registry.setAuth({ kind: 'basic', users })
      registry.script({ on: withLogin(manifests), does: redirecting(any, `http://${stranger.host}/`) })
    },
    weir: { condition: 'NotAllowed', says: /not an https URL: not followed/ },
  },
  {
    asked,
    registry: 'redirects to plain HTTP at who is named as insecure',
    script: ({ registry, other, next }) => {
      registry.setAuth({ kind: 'basic', users })
      other.put('lib/app', next, { tag: 'v1' })
      registry.script({ on: withLogin(manifests), does: redirecting(any, (path) => `${other.origin}${path}`) })
    },
    weir: { moves: true },
    note: 'without the login',
    also: ({ other }) => expect(other.requests.length).toBeGreaterThan(0),
  },
  {
    asked,
    registry: 'sends for tokens to a host that nobody named',
    script: ({ registry }) =>
      registry.script({ on: manifests, does: challenges('https://tokens.attacker.example/token') }),
    weir: { condition: 'NotAllowed', says: /not asked/ },
    mostRequests: 1,
  },
]

table('registries that speak TLS', rows, async () => ({
  tls: await (await createFakeAuthority()).certificate(['127.0.0.1']),
}))
