/** What every request about one repository begins with: its name, the right to it, the line in the audit log. */
import type { RegistryToken, Subject } from '../../access/access.ts'
import type { Audit } from '../../audit.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseStreamName, type StreamName } from '../../oci/reference.ts'
import { type AskedOfRegistry, createAuditedRequest, streamObject } from '../audited-request.ts'
import type { Action, Authorize } from '../authorize.ts'
import type { HttpContext } from '../exchange.ts'

export interface AskedOfRepository extends Pick<AskedOfRegistry, 'verb' | 'always'> {
  /** Any of them lets it through. */
  actions: readonly [Action, ...Action[]]
  /** Tag or digest, as it was sent. */
  reference?: string
  /** A stream that is to be mounted from: who has no token for both is asked for one. */
  from?: StreamName
}

export interface InRepository {
  name: StreamName
  token: RegistryToken
}

/** Does `work` for who may; the rights come before everything that the path's details say. */
export type Repository = (
  c: HttpContext,
  written: string,
  asked: AskedOfRepository,
  work: (repository: InRepository) => Promise<Response>,
) => Promise<Response>

/** @throws RegistryError NAME_INVALID, or NAME_UNKNOWN where it is not GET; UNAUTHORIZED, and what the work throws */
export function createRepository(deps: { authorize: Authorize; audit: Pick<Audit, 'write'> }): Repository {
  const { authorize } = deps
  const audited = createAuditedRequest(deps)
  return async (c, written, { actions, verb, reference, from, always }, work) => {
    const name = readName(written, c.req.method)
    return audited(c.env, { verb, object: streamObject(name, reference), always }, async (learn) => {
      const identified = (subject: Subject) => learn({ subject })
      const { token, grant } = await authorize.stream(c.req.header('authorization'), name, actions, identified, from)
      learn({ grant })
      return work({ name, token })
    })
  }
}

/** The path of a repository, where the paths of everything in it begin. */
export function pathOf({ project, stream }: StreamName): string {
  return `/v2/${project}/${stream}`
}

export function queryOf(c: HttpContext): URLSearchParams {
  return new URL(c.req.url).searchParams
}

/**
 * docker tries a push again for a minute after NAME_INVALID, and ends at once after NAME_UNKNOWN. Clients that push ask by HEAD first, and
 * give up without a reason unless it is 404: they are told by what they send then.
 */
function readName(name: string, method: string): StreamName {
  const parsed = parseStreamName(name)
  if (parsed !== undefined) return parsed
  const depth = name.split('/').length
  const message =
    depth === 2
      ? 'invalid repository name: project and stream are of lower-case letters, digits and single separators, without the words basic and bearer'
      : `invalid repository name: it has ${depth} component${depth === 1 ? '' : 's'}, and a name here is project/stream`
  throw new RegistryError(method === 'GET' ? 'NAME_INVALID' : 'NAME_UNKNOWN', { message, detail: { name } })
}
