import { z } from 'zod'
import type { Rbac, Tokens } from '../../access/access.ts'
import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import type { Objects } from '../../store/objects.ts'
import { parseObject } from '../body.ts'
import { serviceAccountColumns } from '../columns/core-columns.ts'
import { atMost, forbiddenField, notSupported, requireValid } from '../fields.ts'
import { authenticationGroup } from '../groups.ts'
import { dnsSubdomain } from '../metadata.ts'
import type { ApiObject, Call, Follow, Resource } from '../resource.ts'
import { serviceAccountSchema, tokenRequestSchema } from '../schemas/core.ts'
import { storedHandlers, withoutNull } from '../stored.ts'
import { formatSeconds } from '../time.ts'

export interface ServiceAccountsOptions {
  objects: Objects
  tokens: Pick<Tokens, 'issueServiceAccountToken'>
  authorizer: Pick<Rbac, 'reached'>
  followObjects(resource: string): Follow
}

/** Most items of `secrets` and `imagePullSecrets`. */
const maxSecrets = 1000

const tokenRequest = z.object({
  spec: z
    .object({
      expirationSeconds: z.int().nullish(),
      audiences: z.array(z.string()).nullish(),
      boundObjectRef: z.unknown().optional(),
    })
    .nullish(),
})

/** Service accounts of a project, its robots, and their tokens. */
export function serviceAccounts(options: ServiceAccountsOptions): Resource {
  const { objects, tokens, authorizer, followObjects } = options
  const handlers = storedHandlers({
    objects,
    group: '',
    resource: 'serviceaccounts',
    schema: serviceAccountSchema.omit({ metadata: true }).transform(withoutNull),
    nameRule: dnsSubdomain,
    generatesNames: true,
    checkSent: ({ secrets, imagePullSecrets }) => [
      ...atMost('secrets', secrets, maxSecrets),
      ...atMost('imagePullSecrets', imagePullSecrets, maxSecrets),
    ],
    written: authorizer.reached,
  })
  return {
    group: '',
    version: 'v1',
    resource: 'serviceaccounts',
    singular: 'serviceaccount',
    kind: 'ServiceAccount',
    namespaced: true,
    shortNames: ['sa'],
    columns: serviceAccountColumns,
    schema: serviceAccountSchema,
    dryRun: true,
    keepsManagedFields: true,
    follow: followObjects('serviceaccounts'),
    handlers,
    subresources: {
      token: {
        group: authenticationGroup,
        version: 'v1',
        kind: 'TokenRequest',
        schema: tokenRequestSchema,
        handlers: { create: (call, body) => issueToken(objects, tokens, call, body) },
      },
    },
  }
}

async function issueToken(
  objects: Objects,
  tokens: ServiceAccountsOptions['tokens'],
  call: Call,
  body: Record<string, unknown>,
): Promise<ApiObject> {
  const { project, name } = call
  const subject = { name, kind: 'serviceaccounts', group: '' }
  const { spec } = parseObject(tokenRequest, body)
  requireValid(checkTokenRequest(spec), subject)
  const account = await objects.get('serviceaccounts', project, name)
  if (account === undefined) throw new RegistryError('NOT_FOUND', { subject })
  const { uid } = account.metadata
  const { token, issuedAt, expiresInSeconds } = await tokens.issueServiceAccountToken(
    { project, name, uid },
    spec?.expirationSeconds ?? undefined,
  )
  return {
    metadata: { name, namespace: project, creationTimestamp: formatSeconds(issuedAt) },
    spec: { audiences: [], expirationSeconds: expiresInSeconds, boundObjectRef: null },
    status: { token, expirationTimestamp: formatSeconds(issuedAt + expiresInSeconds) },
  }
}

// What would make the token narrower than the caller believes it to be is refused, not left out.
function checkTokenRequest(spec: z.infer<typeof tokenRequest>['spec']): FieldCause[] {
  const { audiences, boundObjectRef } = spec ?? {}
  return [
    ...(audiences?.length ? [notSupported('spec.audiences', audiences, [])] : []),
    ...(boundObjectRef
      ? [forbiddenField('spec.boundObjectRef', 'tokens are bound to their service account alone')]
      : []),
  ]
}
