import { z } from 'zod'
import type { Rbac, Tokens } from '../../access/access.ts'
import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import type { Objects } from '../../store/objects.ts'
import { parseObject } from '../body.ts'
import { forbiddenField, notSupported, requireValid } from '../fields.ts'
import { authenticationGroup } from '../groups.ts'
import { dnsSubdomain } from '../metadata.ts'
import type { ApiObject, Call, Resource } from '../resource.ts'
import { storedHandlers } from '../stored.ts'
import { formatSeconds } from '../time.ts'

export interface ServiceAccountsOptions {
  objects: Objects
  tokens: Pick<Tokens, 'issueServiceAccountToken'>
  authorizer: Pick<Rbac, 'reached'>
}

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
export function serviceAccounts({ objects, tokens, authorizer }: ServiceAccountsOptions): Resource {
  const stored = storedHandlers({
    objects,
    group: '',
    resource: 'serviceaccounts',
    schema: z.object({}),
    nameRule: dnsSubdomain,
    written: authorizer.reached,
  })
  const { get, list, create, delete: remove } = stored
  return {
    group: '',
    version: 'v1',
    resource: 'serviceaccounts',
    singular: 'serviceaccount',
    kind: 'ServiceAccount',
    namespaced: true,
    shortNames: ['sa'],
    dryRun: true,
    handlers: { get, list, create, delete: remove },
    subresources: {
      token: {
        group: authenticationGroup,
        version: 'v1',
        kind: 'TokenRequest',
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
