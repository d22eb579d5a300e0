import { type ApiObject, type RbacSubject, resources } from './api.ts'
import type { Client } from './client.ts'
import { unlessForbidden } from './failures.ts'
import type { VerbContext } from './verbs.ts'

interface Robot {
  project: string
  name: string
}

/**
 * Says so of a robot that is not there, and of a user who is called as a robot is: what he is given the robot has not.
 *
 * @param project where something is given; undefined for all projects
 */
export async function noteRobot(
  { note }: Pick<VerbContext, 'note'>,
  client: Client,
  subject: RbacSubject,
  project: string | undefined,
): Promise<void> {
  const robot = robotCalled(subject, project)
  if (robot === undefined) return
  const { name } = robot
  const find = client.find<ApiObject>({ resource: resources.serviceAccounts, project: robot.project, name })
  const found = await unlessForbidden(find, 'unknown')
  if (subject.kind === 'User') {
    const isRobot = found !== undefined && found !== 'unknown'
    if (isRobot) note(`note: ${subject.name} is a user here; the robot is serviceaccount:${robot.project}/${name}`)
  } else if (found === undefined) {
    note(`note: ${robot.project} has no robot "${name}" yet: weir token ${name} -n ${robot.project} makes it`)
  }
}

/** The robot that a subject is, or that has his name: `ci`, `demo/ci`. */
function robotCalled({ kind, name, namespace }: RbacSubject, project: string | undefined): Robot | undefined {
  if (kind === 'ServiceAccount') return namespace ? { project: namespace, name } : undefined
  if (kind !== 'User') return undefined
  const [place, own] = /^(?:([a-z0-9-]+)\/)?([a-z0-9][a-z0-9.-]*)$/.exec(name)?.slice(1) ?? []
  const of = place ?? project
  return of === undefined || own === undefined ? undefined : { project: of, name: own }
}
