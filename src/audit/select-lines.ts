import type { AuditEvent, AuditLine, AuditQuery } from './event.ts'

/** Whether a query selects a line. */
export function selects(query: AuditQuery, line: AuditLine): boolean {
  const { subject, project, name, resource, verb, decision, since = -Infinity, until = Infinity } = query
  const timeMs = Date.parse(line.time)
  return (
    timeMs >= since &&
    timeMs <= until &&
    isWanted(subject, line.subject.name) &&
    isWanted(verb, line.verb) &&
    isWanted(decision, line.decision) &&
    isWanted(resource, line.object.resource) &&
    (project === undefined || concernsProject(line.object, project)) &&
    (name === undefined || concernsName(line.object, name))
  )
}

function isWanted(wanted: string | undefined, value: string): boolean {
  return wanted === undefined || wanted === value
}

const projectResources = new Set(['projects', 'namespaces', 'projectrequests'])

/** Projects themselves lie in none. */
function concernsProject({ resource, project, name }: AuditEvent['object'], wanted: string): boolean {
  return project === '' && projectResources.has(resource) ? name === wanted : project === wanted
}

/** The object's own name, or the stream of `stream:tag` and `stream@digest`; a token's scopes name their streams. */
function concernsName({ resource, name }: AuditEvent['object'], wanted: string): boolean {
  if (resource === 'tokens') return name.split(' ').some((scope) => scope.split(':')[1]?.split('/')[1] === wanted)
  return name === wanted || (name.startsWith(wanted) && (name[wanted.length] === ':' || name[wanted.length] === '@'))
}
