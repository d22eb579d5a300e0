/** `/hooks/`: notifications of registries. */
import type { Hono } from 'hono'
import type { Audit } from '../audit.ts'
import type { Notifications, SentNotification } from '../notifications.ts'
import { RegistryError } from '../oci/errors.ts'
import { createAuditedRequest } from './audited-request.ts'
import { readBody } from './body.ts'
import type { HttpContext, HttpEnv } from './exchange.ts'
import { json, type RenderFailure, toResponse } from './respond.ts'

/** Most bytes of a notification. */
export const maxNotificationBytes = 64 * 1024

/** Where registries send what happened, for tags of a project that follow them. */
const path = '/hooks/v1/projects/:project/registry'

const noStore = { 'cache-control': 'no-store' }
/** Most names of what was told in a line of the audit log. */
const maxNames = 10

/**
 * Adds the route. It answers 202 and how many tags are checked, or 200 with none where nothing follows what was told or it was about
 * something else: senders try again what is refused.
 */
export function addHookRoutes(
  app: Hono<HttpEnv>,
  deps: {
    notifications: Pick<Notifications, 'receive'>
    audit: Pick<Audit, 'write'>
    renderFailure: RenderFailure
  },
): void {
  const { notifications, renderFailure } = deps
  const audited = createAuditedRequest(deps)

  app.post(path, async (c) => {
    const object = { group: 'weir.dev', resource: 'notifications', project: c.req.param('project'), name: '' }
    const always = (status: number) => status !== 200
    try {
      return await audited(c.env, { verb: 'create', object, always }, async (learn) => {
        const sent = await readNotification(c)
        const { checked, told } = await notifications.receive(sent, (subject) => learn({ subject }))
        learn({ name: told.slice(0, maxNames).join(' ') })
        return toResponse(json(checked > 0 ? 202 : 200, { accepted: checked }, noStore))
      })
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      const { requestId, publicUrl } = c.env
      const { status, headers, body } = renderFailure(error, { path: c.req.path, requestId, publicUrl })
      // What `/token` gives is no key: nobody is sent there.
      const challenge = status === 401 ? { 'www-authenticate': 'Bearer realm="notifications"' } : {}
      return toResponse({ status, body, headers: { ...headers, ...noStore, ...challenge } })
    }
  })
  app.all(path, () => {
    const errors = [{ code: 'UNSUPPORTED', message: 'notifications are sent here by POST', detail: null }]
    return toResponse(json(405, { errors }, { allow: 'POST', ...noStore }))
  })
}

async function readNotification(c: HttpContext<typeof path>): Promise<SentNotification> {
  return {
    project: c.req.param('project'),
    header: (name) => c.req.header(name),
    token: new URL(c.req.url).searchParams.get('token') ?? undefined,
    body: await readBody(c.req.raw, maxNotificationBytes),
    address: c.env.client.address,
  }
}
