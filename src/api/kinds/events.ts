import type { FieldCause } from '../../oci/errors.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Objects } from '../../store/objects.ts'
import { eventColumns } from '../columns/core-columns.ts'
import { invalid } from '../fields.ts'
import { dnsSubdomain } from '../metadata.ts'
import type { ApiObject, Call, Follow, Resource } from '../resource.ts'
import { eventSchema } from '../schemas/core.ts'
import { storedHandlers, withoutNull } from '../stored.ts'

export interface EventsOptions {
  objects: Objects
  followObjects(resource: string): Follow
}

/** Most events of a project that stay: the oldest make room, somewhat late. */
const maxEvents = 1000
/** So many new events are let in before the oldest are looked for. */
const maxBeforeTrim = 100
const maxEventBytes = 16 * 1024

const eventFields = eventSchema.omit({ metadata: true }).transform(withoutNull)

type EventFields = ReturnType<(typeof eventFields)['parse']>

/** What happened to objects, told by whoever sees it; `kubectl describe` shows them. */
export function events({ objects, followObjects }: EventsOptions): Resource {
  const resource = 'events'
  const stored = storedHandlers({
    objects,
    group: '',
    resource,
    schema: eventFields,
    nameRule: dnsSubdomain,
    generatesNames: true,
    maxBytes: maxEventBytes,
    check: checkInvolved,
  })
  const makeRoom = trimmer(objects)
  return {
    group: '',
    version: 'v1',
    resource,
    singular: 'event',
    kind: 'Event',
    namespaced: true,
    shortNames: ['ev'],
    fieldSelectors: [
      ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
        (field) => `involvedObject.${field}`,
      ),
      'reason',
      'reportingComponent',
      'type',
    ],
    columns: eventColumns,
    schema: eventSchema,
    dryRun: true,
    keepsManagedFields: true,
    follow: followObjects(resource),
    handlers: {
      ...stored,
      create: async (call, body): Promise<ApiObject> => {
        const event = await stored.create(call, body)
        if (!call.options.dryRun) await makeRoom(call.project)
        return event
      },
    },
  }
}

// An event about another project's object would show up where that one is described.
function checkInvolved({ involvedObject }: EventFields, { project }: Call): FieldCause[] {
  const namespace = involvedObject?.namespace
  if (!namespace || namespace === project) return []
  return [invalid('involvedObject.namespace', namespace, 'does not match event.namespace')]
}

/** Deletes the oldest events of a project beyond {@link maxEvents}, each time that some were made. */
function trimmer(objects: Objects): (project: string) => Promise<void> {
  const made = new Map<string, number>()
  return async (project) => {
    const count = (made.get(project) ?? 0) + 1
    made.set(project, count)
    if (count < maxBeforeTrim) return
    made.delete(project)
    const { items } = await objects.list('events', project)
    const written = items.map(({ metadata }) => ({ name: metadata.name, revision: Number(metadata.resourceVersion) }))
    const oldest = written.sort((a, b) => a.revision - b.revision).slice(0, Math.max(0, written.length - maxEvents))
    await Promise.all(oldest.map(({ name }) => objects.delete('events', project, name).catch(ignoreGone)))
  }
}

function ignoreGone(error: unknown): void {
  if (!(error instanceof RegistryError) || error.code !== 'NOT_FOUND') throw error
}
