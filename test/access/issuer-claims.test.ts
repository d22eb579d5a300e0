import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isForeignName } from '../../src/access/foreign-name.ts'
import { mapClaims, RefusedToken } from '../../src/access/issuer-claims.ts'
import { issuerRules } from './issuer-world.ts'

const rules = (options: Partial<Parameters<typeof issuerRules>[0]>) =>
  issuerRules({ issuer: 'https://idp', ...options })

/** As the issuers make them, shortened where nothing hangs on it. */
const claimSets = {
  // https://docs.github.com/en/actions/reference/security/oidc
  github: {
    jti: 'example-id',
    sub: 'repo:octo-org/octo-repo:environment:prod',
    environment: 'prod',
    aud: 'weir.example.com',
    ref: 'refs/heads/main',
    sha: 'example-sha',
    repository: 'octo-org/octo-repo',
    repository_owner: 'octo-org',
    actor_id: '12',
    repository_visibility: 'private',
    repository_id: '74',
    repository_owner_id: '65',
    run_id: 'example-run-id',
    run_number: '10',
    run_attempt: '2',
    runner_environment: 'github-hosted',
    actor: 'octocat',
    workflow: 'example-workflow',
    head_ref: '',
    base_ref: '',
    event_name: 'workflow_dispatch',
    ref_protected: 'true',
    ref_type: 'branch',
    job_workflow_ref: 'octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main',
    iss: 'https://token.actions.githubusercontent.com',
    nbf: 1632492967,
    exp: 1632493867,
    iat: 1632493567,
  },
  // https://docs.gitlab.com/ci/secrets/id_token_authentication/
  gitlab: {
    namespace_id: '72',
    namespace_path: 'my-group',
    project_id: '20',
    project_path: 'my-group/my-project',
    user_id: '1',
    user_login: 'sample-user',
    user_email: 'sample-user@example.com',
    user_identities: [{ provider: 'github', extern_uid: '2435223452345' }],
    groups_direct: ['my-group', 'mygroup/mysubgroup'],
    pipeline_id: '574',
    pipeline_source: 'push',
    job_id: '302',
    ref: 'feature-branch-1',
    ref_type: 'branch',
    ref_protected: 'false',
    runner_id: 1,
    runner_environment: 'self-hosted',
    sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
    jti: '235b3a54-b797-45c7-ae9a-f72d7bc6ef5b',
    iss: 'https://gitlab.example.com',
    iat: 1681395193,
    nbf: 1681395188,
    exp: 1681398793,
    sub: 'project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1',
    aud: 'https://weir.example.com',
  },
  // A projected token of a pod, Kubernetes 1.30.
  kubernetes: {
    aud: ['weir.example.com'],
    exp: 1749207355,
    iat: 1717671355,
    iss: 'https://kubernetes.default.svc',
    jti: 'e51f1fbc-4733-4b85-a59f-ba80c0523874',
    'kubernetes.io': {
      namespace: 'default',
      node: { name: 'worker', uid: '517eb86e-b863-451b-bf70-86cb61439a3a' },
      pod: { name: 'shell', uid: '0d8b260e-ef0e-45fb-be8e-ff44f97722e8' },
      serviceaccount: { name: 'puller', uid: 'e6a8680e-d103-4cce-80ea-03acbbeacf7d' },
    },
    nbf: 1717671355,
    sub: 'system:serviceaccount:default:puller',
  },
  keycloak: {
    exp: 1795438255,
    iat: 1795437955,
    auth_time: 1795437950,
    jti: 'f0b0cb9e-55a5-4a31-9f9c-6f3f2a3d3c11',
    iss: 'https://sso.example.com/realms/acme',
    aud: 'weir',
    sub: 'f1c4f64e-2c0c-4cda-8c9f-9f3f8f3a2b0e',
    typ: 'ID',
    azp: 'weir',
    sid: '4c0a3a8a-3a47-4f2f-8e89-9e5f9b0a0a0a',
    at_hash: 'MTIzNDU2Nzg5MDEyMzQ1Ng',
    acr: '1',
    email_verified: true,
    realm_access: { roles: ['default-roles-acme', 'operator'] },
    preferred_username: 'ada',
    email: 'ada@example.com',
    groups: ['/platform/architecture', '/readers'],
  },
  dex: {
    iss: 'https://dex.example.com',
    sub: 'CgNqb2USBGxkYXA',
    aud: 'weir',
    exp: 1795524355,
    iat: 1795437955,
    at_hash: 'MTIzNDU2Nzg5MDEyMzQ1Ng',
    email: 'joe@example.com',
    email_verified: true,
    groups: ['acme:developers', 'acme:on call'],
    name: 'Joe',
    federated_claims: { connector_id: 'ldap', user_id: 'joe' },
  },
}

describe('the claims of', () => {
  test('a GitHub job: repository and environment are its name, the owner and the workflow its groups', () => {
    const github = rules({
      username: { claim: 'sub', prefix: 'github:' },
      groups: [
        { claim: 'repository_owner', prefix: 'github:' },
        { claim: 'job_workflow_ref', prefix: 'workflow:' },
      ],
      requiredClaims: { repository_owner_id: '65', ref_protected: 'true' },
    })
    expect(mapClaims(github, claimSets.github)).toEqual({
      name: 'github:repo:octo-org/octo-repo:environment:prod',
      groups: [
        'github:octo-org',
        'workflow:octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main',
        'system:authenticated',
      ],
    })
    expect(() => mapClaims(github, { ...claimSets.github, repository_owner_id: '650' })).toThrow(RefusedToken)
  })

  test('a GitLab job: its project is its name, its groups come from a text and a list', () => {
    const gitlab = rules({
      username: { claim: 'project_path', prefix: 'gitlab:' },
      groups: [
        { claim: 'namespace_path', prefix: 'gitlab:' },
        { claim: 'groups_direct', prefix: 'gitlab:' },
      ],
      requiredClaims: { ref_protected: 'false', runner_id: '1' },
    })
    expect(mapClaims(gitlab, claimSets.gitlab)).toEqual({
      name: 'gitlab:my-group/my-project',
      groups: ['gitlab:my-group', 'gitlab:mygroup/mysubgroup', 'system:authenticated'],
    })
    expect(() => mapClaims(gitlab, { ...claimSets.gitlab, runner_id: 2 })).toThrow(RefusedToken)
  })

  test("a cluster's service account: it keeps its name behind the prefix, and is none of Weir's own", () => {
    const cluster = rules({ username: { claim: 'sub', prefix: 'prod:' } })
    expect(mapClaims(cluster, claimSets.kubernetes)).toEqual({
      name: 'prod:system:serviceaccount:default:puller',
      groups: ['system:authenticated'],
    })
    const bare = rules({ username: { claim: 'sub', prefix: '' } })
    expect(() => mapClaims(bare, claimSets.kubernetes)).toThrow('reserved')
  })

  test('a person of Keycloak: her user name, and her groups with their paths', () => {
    const keycloak = rules({
      username: { claim: 'preferred_username', prefix: '' },
      groups: [{ claim: 'groups', prefix: 'acme:' }],
      requiredClaims: { email_verified: 'true', typ: 'ID' },
    })
    expect(mapClaims(keycloak, claimSets.keycloak)).toEqual({
      name: 'ada',
      groups: ['acme:/platform/architecture', 'acme:/readers', 'system:authenticated'],
    })
  })

  test('a person of Dex: her address, since it is verified', () => {
    const dex = rules({
      username: { claim: 'email', prefix: '' },
      groups: [{ claim: 'groups', prefix: '' }],
    })
    expect(mapClaims(dex, claimSets.dex)).toEqual({
      name: 'joe@example.com',
      groups: ['acme:developers', 'acme:on call', 'system:authenticated'],
    })
    for (const email_verified of [false, undefined, 'true', 1]) {
      expect(() => mapClaims(dex, { ...claimSets.dex, email_verified })).toThrow('email_verified')
    }
  })
})

describe('a claim', () => {
  test('is found by its whole name, dots and slashes included', () => {
    const dotted = rules({ username: { claim: 'https://acme.test/user.name', prefix: '' } })
    expect(mapClaims(dotted, { 'https://acme.test/user.name': 'jane' }).name).toBe('jane')
    expect(() => mapClaims(dotted, { 'https://acme': { 'test/user': { name: 'jane' } } })).toThrow(RefusedToken)
  })

  test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])('that is not there (%s) is nobody', (claim) => {
    const of = (options: object) => () => mapClaims(rules(options), { sub: 'jane' })
    expect(of({ username: { claim, prefix: '' } })).toThrow(RefusedToken)
    expect(of({ requiredClaims: Object.fromEntries([[claim, 'undefined']]) })).toThrow(RefusedToken)
    expect(of({ groups: [{ claim, prefix: '' }] })()).toEqual({
      name: 'idp:jane',
      groups: ['system:authenticated'],
    })
  })

  test.each([
    ['a list that has it', ['acme']],
    ['an object', { acme: true }],
    ['nothing', null],
    ['another case', 'Acme'],
    ['more', 'acme '],
  ])('that is required and is %s is refused', (_, org) => {
    expect(() => mapClaims(rules({ requiredClaims: { org: 'acme' } }), { sub: 'jane', org })).toThrow('"org"')
  })
})

describe('a user name', () => {
  test.each([
    ['reserved by the prefix', { prefix: 'system:', sub: 'masters' }],
    ['the admin', { prefix: '', sub: 'weir:admin' }],
    ['anonymous', { prefix: '', sub: 'system:anonymous' }],
    ['a service account', { prefix: '', sub: 'system:serviceaccount:demo:ci' }],
    ['reserved by both together', { prefix: 'sys', sub: 'tem:masters' }],
    ['empty', { prefix: 'idp:', sub: '' }],
    ['a line break', { prefix: 'idp:', sub: 'jane\nroot' }],
    ['NUL', { prefix: 'idp:', sub: 'jane\0' }],
    ['DEL', { prefix: 'idp:', sub: 'jane\u007f' }],
    ['a line separator', { prefix: 'idp:', sub: 'jane\u2028' }],
    ['writing turned round', { prefix: 'idp:', sub: 'jane\u202e' }],
    ['what has no width', { prefix: 'idp:', sub: 'ja\u200bne' }],
    ['half a character', { prefix: 'idp:', sub: 'jane\ud800' }],
    ['overlong', { prefix: 'idp:', sub: 'x'.repeat(509) }],
  ])('that is, or has in it, %s is refused', (_, { prefix, sub }) => {
    expect(() => mapClaims(rules({ username: { claim: 'sub', prefix } }), { sub })).toThrow(RefusedToken)
  })

  test.each(['System:x', ' system:x', 'systems:x', 'weird:x', 'Jürgen Öz', '李雷', '512'.padEnd(512)])(
    '%.12s is taken',
    (sub) => {
      expect(mapClaims(rules({ username: { claim: 'sub', prefix: '' } }), { sub }).name).toBe(sub)
    },
  )
})

describe('groups', () => {
  const groups = [{ claim: 'groups', prefix: '' }]

  test.each([
    ['nothing', undefined, []],
    ['null', null, []],
    ['an empty list', [], []],
    ['one text', 'dev', ['dev']],
    ['the same twice', ['dev', 'dev'], ['dev']],
    ['empty texts', ['', 'dev'], ['dev']],
    ['reserved ones', ['system:masters', 'dev', 'system:authenticated'], ['dev']],
    ['ones with control characters', ['dev\u0000', 'dev\r\n', 'dev'], ['dev']],
    [
      '200',
      Array.from({ length: 200 }, (_, index) => `g${index}`),
      Array.from({ length: 200 }, (_, index) => `g${index}`),
    ],
  ])('of %s', (_, value, expected) => {
    expect(mapClaims(rules({ groups }), { sub: 'jane', groups: value }).groups).toEqual([
      ...expected,
      'system:authenticated',
    ])
  })

  test('of a prefix that is reserved are dropped', () => {
    const reserved = rules({ groups: [{ claim: 'groups', prefix: 'system:' }] })
    expect(mapClaims(reserved, { sub: 'jane', groups: ['masters'] }).groups).toEqual(['system:authenticated'])
  })

  test.each([
    ['a number', 7],
    ['an object', { dev: true }],
    ['a list of lists', [['dev']]],
    ['a list with a number', ['dev', 7]],
    ['201', Array.from({ length: 201 }, () => 'g')],
    ['an overlong one', ['x'.repeat(257)]],
    ['too many characters in all', Array.from({ length: 17 }, (_, index) => `${index}`.padEnd(250, 'x'))],
  ])('that are %s make the token invalid', (_, value) => {
    expect(() => mapClaims(rules({ groups }), { sub: 'jane', groups: value })).toThrow(RefusedToken)
  })
})

test('whatever the claims are: refused, or a foreign name with bounded groups that are not reserved', () => {
  const mapping = fc.record({
    claim: fc.constantFrom('sub', 'email', 'groups', '__proto__'),
    prefix: fc.constantFrom('', 'idp:', 'system:'),
  })
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('system:masters', 'weir:admin', 'masters', 'sy', 'stem:x'),
    fc.array(fc.string()),
    fc.jsonValue(),
  )
  const claims = fc.dictionary(fc.constantFrom('sub', 'email', 'email_verified', 'groups'), value)
  fc.assert(
    fc.property(mapping, fc.array(mapping, { maxLength: 3 }), claims, (username, groups, given) => {
      try {
        const { name, groups: made } = mapClaims(rules({ username, groups }), given)
        expect(isForeignName(name)).toBe(true)
        expect(name).not.toMatch(/^(?:system|weir):/)
        expect(made.at(-1)).toBe('system:authenticated')
        expect(made.slice(0, -1).filter((group) => group.startsWith('system:'))).toEqual([])
        expect(made.length).toBeLessThanOrEqual(201)
      } catch (error) {
        expect(error).toBeInstanceOf(RefusedToken)
      }
    }),
    { numRuns: 500 },
  )
})
