/** What to do about an import that failed. */

import { parseImageReference } from '../oci/reference.ts'
import type { Status } from './api.ts'
import { formatStreamReference, type TagName } from './references.ts'
import type { Tracking } from './tracking.ts'

/** Which project wanted an image, and which. */
export interface Import {
  project: string
  from: string
  /** Of a tag that follows what a policy chooses. */
  tracking?: Tracking | undefined
}

/** The reason of a tag that moves only when its content is held, which it is not yet. */
export const incompleteReason = 'ContentIncomplete'

/** What to do about a tag that waits for its content. */
export function incompleteStep(name: TagName): string {
  return `it moves by itself; at once with: weir prefetch ${formatStreamReference(name)}`
}

/** A line for each thing to do, by the reason of the failure; nothing for a reason that says it all. */
export function nextSteps(
  reason: string | undefined,
  { project, from, tracking }: Import,
  retryAfterSeconds?: number,
): string[] {
  const reference = parseImageReference(from)
  const host = reference?.host ?? 'the registry'
  switch (reason) {
    case 'NotFound':
      return tracking === undefined
        ? [`check that ${from} is there, and spelled so`]
        : [
            `see which tags there are: weir import-image ${project}/STREAM --all --from ${tracking.repository} --dry-run`,
            'to choose another: --track POLICY',
          ]
    case 'Unauthorized':
    case 'Forbidden':
      return [
        'check the spelling: registries hide what is not there',
        `give ${project} a login of its own, or put right the one it has:`,
        `kubectl create secret docker-registry regcred --docker-server=${host} --docker-username=USER --docker-password=PASSWORD -n ${project}`,
        `or check the login of ${host} under upstreams in the server's configuration, or give it one, in the rule that it may have already:`,
        `username, passwordFile, projects (to cover "${project}") and repositories (to cover "${reference?.repository ?? '**'}")`,
        'for ECR, Artifact Registry and ACR credentialHelper in the place of the first two',
      ]
    case 'CredentialsExpired':
      return [
        `renew the login for ${host} that the message names: a secret of ${project} with kubectl create secret docker-registry,`,
        "or one under upstreams in the server's configuration; why a program gives none is in the server's log",
      ]
    case 'TooManyRequests':
      return [
        retryAfterSeconds === undefined
          ? `${host} limits how often it is asked: wait some minutes`
          : `${host} asks to wait: try again in ${retryAfterSeconds} seconds`,
      ]
    case 'Unreachable':
      return [`check that ${host} runs and that the server can reach it, or what else the message names`]
    case 'Tls':
      return [
        `name its authority in the server's configuration, beside ${host} under upstreams: certificateAuthorityFile; where it wants a certificate of Weir: certFile and keyFile`,
        'insecure: true there takes any certificate, and plain HTTP',
      ]
    case 'NotAllowed':
      return [
        `allow ${host} in the server's weir.yaml: under imports.allowedRegistries, or as a host under upstreams where it has a private address`,
      ]
    case 'BadDigest':
      return [`${host}, or something between, sends other content than it announces; nothing of it was kept`]
    default:
      return []
  }
}

/** Why the tag itself may not move, a hold for one: the API tells it as a forbidden value of the field `tag`. */
export function heldText(name: TagName, { details }: Pick<Status, 'details'>): string | undefined {
  const cause = details?.causes?.find(({ field, reason }) => field === 'tag' && reason === 'FieldValueForbidden')
  const text = cause?.message?.replace(/^Forbidden: /, '')
  return text?.replace(`tag "${name.tag}" `, `${formatStreamReference(name)} `)
}
