import { RegistryError } from '../oci/errors.ts'
import type { Answer } from './answer.ts'
import type { Asked } from './asked.ts'
import { type Matched, refuseDryRun } from './match.ts'
import { readDeleteOptions } from './request-body.ts'
import type { ApiObject, Call, DeleteOptions } from './resource.ts'
import { successStatus } from './status.ts'

/** Serves DELETE of one object; `tried` is told when the body asks to change nothing. */
export async function remove(asked: Asked, tried: () => void): Promise<Answer> {
  const { served, target } = asked.matched
  const { call, preconditions } = await readOptions(asked, tried)
  const deleted = await served.handlers.delete?.(call, preconditions)
  const uid = deleted?.metadata.uid
  const { group, resource: kind, name } = target
  return { status: 200, body: successStatus({ name, ...(group && { group }), kind, ...(uid && { uid }) }) }
}

/**
 * Serves DELETE of a collection: deletes what the list selects, at most `limit`. What is gone meanwhile is no failure; what
 * was made anew is left. `tried` as above.
 */
export async function removeAll(asked: Asked, tried: () => void): Promise<Answer> {
  const { matched, request } = asked
  const { group, resource: kind } = matched.target
  const { call, preconditions } = await readOptions(asked, tried)
  if (Object.keys(preconditions).length > 0) throw badRequest('preconditions are for deleting one object')
  if (call.options.continue !== undefined) throw badRequest('continue is not served for deleting a collection')
  const { limit = Number.POSITIVE_INFINITY } = call.options
  let removed = 0
  for await (const object of selected(call, matched)) {
    // Whoever goes away may do so because of what he sees.
    if (removed >= limit || request.signal.aborted) break
    await removeListed(asked, call, object)
    removed += 1
  }
  return { status: 200, body: successStatus({ ...(group && { group }), kind }) }
}

async function* selected(call: Call, { served }: Matched): AsyncGenerator<ApiObject> {
  const { limit: _limit, ...options } = call.options
  for (let next: string | undefined; ; ) {
    const page = await served.handlers.list?.({ ...call, options: { ...options, ...(next && { continue: next }) } })
    yield* (page?.items ?? []).filter(options.selects)
    next = page?.continue
    if (next === undefined) return
  }
}

async function removeListed({ matched }: Asked, call: Call, { metadata }: ApiObject): Promise<void> {
  const { name = '', namespace: project = '', uid } = metadata
  try {
    await matched.served.handlers.delete?.({ ...call, name, project }, uid === undefined ? {} : { uid })
  } catch (error) {
    const isGone = error instanceof RegistryError && (error.code === 'NOT_FOUND' || error.code === 'CONFLICT')
    if (!isGone) throw error
  }
}

async function readOptions(
  { request, call, matched }: Asked,
  tried: () => void,
): Promise<{ call: Call; preconditions: DeleteOptions }> {
  const { dryRun, ...preconditions } = await readDeleteOptions(request)
  refuseDryRun(matched, dryRun)
  if (dryRun) tried()
  const options = { ...call.options, dryRun: dryRun || call.options.dryRun }
  return { call: { ...call, options }, preconditions }
}

function badRequest(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message })
}
