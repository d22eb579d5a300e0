/** What must be true of a Weir that was killed while it was pushed to, asked of the next one. */
import { type Connection, requestApi } from './content-requests.ts'
import { openPusher, type Pusher, readClosure, send } from './push-requests.ts'
import { type Attempt, type PushSession, project } from './push-session.ts'

export interface PushCheck {
  faults: string[]
  /** Manifests that were acknowledged, all of which must be whole. */
  acknowledged: number
  /** Those that nobody was told of, and are whole; and are wholly absent. */
  unacknowledgedWhole: number
  unacknowledgedAbsent: number
}

/** Checks what a session pushed, and the whole ledger of each tag: `attempts` are those of all sessions, oldest first. */
export async function checkPushes(
  connection: Connection,
  session: Pick<PushSession, 'attempts' | 'blobs'>,
  attempts: readonly Attempt[],
): Promise<PushCheck> {
  const check: PushCheck = { faults: [], acknowledged: 0, unacknowledgedWhole: 0, unacknowledgedAbsent: 0 }
  const ledgers = new Map<string, string[]>()
  const pushers = new Map<string, Pusher>()
  for (const stream of new Set([...attempts, ...session.blobs].map((each) => each.stream))) {
    pushers.set(stream, await openPusher(connection, `${project}/${stream}`))
    const own = attempts.filter((attempt) => attempt.stream === stream)
    for (const tag of new Set(own.flatMap(({ tags }) => tags))) {
      const images = await ledgerOf(connection, stream, tag)
      ledgers.set(`${stream}:${tag}`, images)
      const tried = own.filter(({ tags }) => tags.includes(tag))
      check.faults.push(...ledgerFaults(tried, images).map((fault) => `${stream}:${tag}: ${fault}`))
      check.faults.push(...(await pinFaults(pushers.get(stream) as Pusher, tag, images.at(-1))))
    }
  }
  for (const attempt of session.attempts) {
    await checkAttempt(pushers.get(attempt.stream) as Pusher, attempt, check)
    const stands = attempt.tags.filter((tag) => ledgers.get(`${attempt.stream}:${tag}`)?.includes(attempt.digest))
    if (stands.length !== 0 && stands.length !== attempt.tags.length) {
      check.faults.push(`${attempt.digest} moved ${stands} and not all of ${attempt.tags}`)
    }
  }
  for (const { stream, digest } of session.blobs) {
    const pusher = pushers.get(stream) as Pusher
    const { status } = await send(pusher, 'HEAD', `/v2/${pusher.repository}/blobs/${digest}`)
    if (status !== 200) check.faults.push(`blob ${digest} was acknowledged: ${status}`)
  }
  return check
}

async function checkAttempt(pusher: Pusher, attempt: Attempt, check: PushCheck): Promise<void> {
  const closure = await readClosure(pusher, attempt.digest)
  if (closure.state === 'broken') check.faults.push(...closure.faults)
  if (attempt.isAcknowledged) {
    check.acknowledged += 1
    if (closure.state === 'absent') check.faults.push(`${attempt.digest} was acknowledged and is not there`)
  } else if (closure.state === 'whole') check.unacknowledgedWhole += 1
  else if (closure.state === 'absent') check.unacknowledgedAbsent += 1
}

/** The ledger has every acknowledged push in the order of the pushes, and nothing that nobody pushed. */
function ledgerFaults(tried: readonly Attempt[], images: readonly string[]): string[] {
  const faults: string[] = []
  let next = 0
  for (const { digest, isAcknowledged } of tried) {
    if (images[next] === digest) next += 1
    else if (isAcknowledged) faults.push(`push of ${digest} was acknowledged and is no revision ${next + 1}`)
  }
  if (next !== images.length) faults.push(`revision ${next + 1} is ${images[next]}, which was not pushed then`)
  return faults
}

/** A tag gives the image of its newest revision, whole. */
async function pinFaults(pusher: Pusher, tag: string, image: string | undefined): Promise<string[]> {
  const answer = await send(pusher, 'HEAD', `/v2/${pusher.repository}/manifests/${tag}`)
  const given = answer.status === 200 ? answer.headers['docker-content-digest'] : undefined
  return given === image ? [] : [`${tag} is at ${given} (${answer.status}), its newest revision is ${image}`]
}

/** The images of a tag's revisions, oldest first. */
async function ledgerOf(connection: Connection, stream: string, tag: string): Promise<string[]> {
  const query = new URLSearchParams({ fieldSelector: `stream=${stream},tag=${tag}` })
  const path = `/apis/weir.dev/v1/namespaces/${project}/tagevents?${query}`
  const { status, body } = await requestApi(connection, 'GET', path)
  if (status === 404) return []
  if (status !== 200) throw new Error(`ledger of ${stream}:${tag}: ${status} ${JSON.stringify(body)}`)
  return (body.items as { image: string }[]).map(({ image }) => image).toReversed()
}
