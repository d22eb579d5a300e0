/** `/hooks/`: notifications of registries. */
import type { Hono } from 'hono'
import type { Audit } from '../audit.ts'
import { type Notifications, notificationsPerMinute, type SentNotification } from '../notifications.ts'
import { RegistryError } from '../oci/errors.ts'
import { createAuditedRequest } from './audited-request.ts'
import { readBody } from './body.ts'
import type { HttpContext, HttpEnv } from './exchange.ts'
import { type Answer, json, type RenderFailure, toResponse } from './respond.ts'

/** Most bytes of a notification: zot sends manifests along, Docker Hub descriptions, and GitHub half a page of URLs. */
export const maxNotificationBytes = 256 * 1024

/** Where registries send what happened, for tags of a project that follow them. */
const path = '/hooks/v1/projects/:project/registry'

const allow = 'POST, OPTIONS'
/** What a sender calls itself: a domain name. */
const isOrigin = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/
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
  app.options(path, (c) => toResponse(consent((name) => c.req.header(name))))
  app.all(path, () => toResponse(unsupported()))
}

/**
 * Who may send notifications: everybody who names himself, as a notification has to prove a key. It is the same for a project that is
 * not there, and what the sender calls its callback is not called.
 *
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection
 */
function consent(header: (name: string) => string | undefined): Answer {
  const origin = header('webhook-request-origin')
  if (origin === undefined || !isOrigin.test(origin)) return unsupported()
  const rate =
    header('webhook-request-rate') === undefined ? {} : { 'webhook-allowed-rate': String(notificationsPerMinute) }
  return { status: 200, headers: { allow, 'webhook-allowed-origin': origin, ...rate, ...noStore }, body: '' }
}

function unsupported(): Answer {
  const errors = [{ code: 'UNSUPPORTED', message: 'notifications are sent here by POST', detail: null }]
  return json(405, { errors }, { allow, ...noStore })
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
