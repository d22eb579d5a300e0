import { ageOf } from '../age.ts'
import type { ApiObject, Column } from '../resource.ts'
import { ageColumn, listAt, nameColumn, sizeAt, textAt, valueAt } from './columns.ts'

/**
 * The columns of projects and of the kinds of the core group.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/v1.33.0/pkg/printers/internalversion/printers.go
 * @see https://github.com/openshift/openshift-apiserver/blob/master/pkg/project/printers/internalversion/printer.go
 */

export const namespaceColumns: readonly Column[] = [
  nameColumn,
  {
    name: 'Status',
    type: 'string',
    description: 'The status of the namespace',
    value: (object) => textAt(object, 'status', 'phase'),
  },
  ageColumn,
]

export const projectColumns: readonly Column[] = [
  nameColumn,
  {
    name: 'Display Name',
    type: 'string',
    description: 'The name displayed by a UI when referencing a project.',
    value: (object) => textAt(object, 'metadata', 'annotations', 'openshift.io/display-name'),
  },
  {
    name: 'Status',
    type: 'string',
    description: 'phase is the current lifecycle phase of the project',
    value: (object) => textAt(object, 'status', 'phase'),
  },
]

export const serviceAccountColumns: readonly Column[] = [
  nameColumn,
  {
    name: 'Secrets',
    type: 'string',
    description:
      'Secrets is a list of the secrets in the same namespace that pods running using this ServiceAccount are allowed to use. Pods are only limited to this list if this service account has a "kubernetes.io/enforce-mountable-secrets" annotation set to "true". The "kubernetes.io/enforce-mountable-secrets" annotation is deprecated since v1.32. Prefer separate namespaces to isolate access to mounted secrets. This field should not be used to find auto-generated service account token secrets for use outside of pods. Instead, tokens can be requested directly using the TokenRequest API, or service account token secrets can be manually created. More info: https://kubernetes.io/docs/concepts/configuration/secret',
    value: (object) => listAt(object, 'secrets').length,
  },
  ageColumn,
]

export const configMapColumns: readonly Column[] = [
  nameColumn,
  {
    name: 'Data',
    type: 'string',
    description:
      "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', '_' or '.'. Values with non-UTF-8 byte sequences must use the BinaryData field. The keys stored in Data must not overlap with the keys in the BinaryData field, this is enforced during validation process.",
    value: (object) => sizeAt(object, 'data') + sizeAt(object, 'binaryData'),
  },
  ageColumn,
]

export const secretColumns: readonly Column[] = [
  nameColumn,
  {
    name: 'Type',
    type: 'string',
    description:
      'Used to facilitate programmatic handling of secret data. More info: https://kubernetes.io/docs/concepts/configuration/secret/#secret-types',
    value: (object) => textAt(object, 'type'),
  },
  {
    name: 'Data',
    type: 'string',
    description:
      "Data contains the secret data. Each key must consist of alphanumeric characters, '-', '_' or '.'. The serialized form of the secret data is a base64 encoded string, representing the arbitrary (possibly non-string) data value here. Described in https://tools.ietf.org/html/rfc4648#section-4",
    value: (object) => sizeAt(object, 'data'),
  },
  ageColumn,
]

export const eventColumns: readonly Column[] = [
  {
    name: 'Last Seen',
    type: 'string',
    description: 'The time at which the most recent occurrence of this event was recorded.',
    value: (event, nowMs) => ageOf(lastSeen(event), nowMs),
  },
  eventText('Type', 'Type of this event (Normal, Warning), new types could be added in the future', 'type'),
  eventText(
    'Reason',
    "This should be a short, machine understandable string that gives the reason for the transition into the object's current status.",
    'reason',
  ),
  { name: 'Object', type: 'string', description: 'The object that this event is about.', value: involvedObject },
  {
    name: 'Subobject',
    type: 'string',
    description:
      'If referring to a piece of an object instead of an entire object, this string should contain a valid JSON/Go field access statement, such as desiredState.manifest.containers[2]. For example, if the object reference is to a container within a pod, this would take on a value like: "spec.containers{name}" (where "name" refers to the name of the container that triggered the event) or if no container name is specified "spec.containers[2]" (container with index 2 in this pod). This syntax is chosen only to have some well-defined way of referencing a part of an object.',
    priority: 1,
    value: (event) => textAt(event, 'involvedObject', 'fieldPath'),
  },
  {
    name: 'Source',
    type: 'string',
    description: 'The component reporting this event. Should be a short machine understandable string.',
    priority: 1,
    value: source,
  },
  {
    name: 'Message',
    type: 'string',
    description: 'A human-readable description of the status of this operation.',
    value: (event) => textAt(event, 'message').trim(),
  },
  {
    name: 'First Seen',
    type: 'string',
    description: 'The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)',
    priority: 1,
    value: (event, nowMs) => ageOf(firstSeen(event), nowMs),
  },
  {
    name: 'Count',
    type: 'string',
    description: 'The number of times this event has occurred.',
    priority: 1,
    value: count,
  },
  { ...nameColumn, priority: 1 },
]

function eventText(name: string, description: string, field: string): Column {
  return { name, type: 'string', description, value: (event) => textAt(event, field) }
}

function firstSeen(event: ApiObject): string {
  return textAt(event, 'firstTimestamp') || textAt(event, 'eventTime')
}

function lastSeen(event: ApiObject): string {
  return textAt(event, 'series', 'lastObservedTime') || textAt(event, 'lastTimestamp') || firstSeen(event)
}

// An event of the newer API that happened once has no count.
function count(event: ApiObject): number {
  const counted = valueAt(event, 'series', 'count') ?? event.count
  return typeof counted === 'number' && counted > 0 ? counted : 1
}

function involvedObject(event: ApiObject): string {
  const kind = textAt(event, 'involvedObject', 'kind').toLowerCase()
  const name = textAt(event, 'involvedObject', 'name')
  return name === '' ? kind : `${kind}/${name}`
}

function source(event: ApiObject): string {
  const component = textAt(event, 'source', 'component') || textAt(event, 'reportingComponent')
  const host = textAt(event, 'source', 'host') || textAt(event, 'reportingInstance')
  return [component, host].filter((part) => part !== '').join(', ')
}

export const resourceQuotaColumns: readonly Column[] = [
  nameColumn,
  {
    name: 'Request',
    type: 'string',
    description: 'Request represents a minimum amount of cpu/memory that a container may consume.',
    value: (object) => usedOf(object, (resource) => !resource.startsWith('limits')),
  },
  {
    name: 'Limit',
    type: 'string',
    description:
      'Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.',
    value: (object) => usedOf(object, (resource) => resource.startsWith('limits')),
  },
  ageColumn,
]

function usedOf(object: ApiObject, isMeant: (resource: string) => boolean): string {
  const hard = valueAt(object, 'status', 'hard')
  return Object.entries(typeof hard === 'object' && hard !== null ? hard : {})
    .filter(([resource]) => isMeant(resource))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([resource, most]) => `${resource}: ${textAt(object, 'status', 'used', resource)}/${String(most)}`)
    .join(', ')
}
