import { z } from 'zod'
import { anyObject, atomicList, boolean, integer, mapList, object, setList, string, stringMap, time } from './fields.ts'
import { localObjectReferenceSchema, metadata, objectReferenceSchema } from './metadata.ts'

/** Kinds of the core group. @see https://kubernetes.io/docs/reference/kubernetes-api/ */

const group = 'io.k8s.api.core.v1'

const namespaceSpec = z
  .object({ finalizers: atomicList(z.string(), 'Who clears the namespace before it is removed.') })
  .meta({ id: `${group}.NamespaceSpec`, description: 'How a namespace is removed.' })

const namespaceStatus = z
  .object({ phase: string('Active, or Terminating while all that is in it is removed. Set by the server.') })
  .meta({ id: `${group}.NamespaceStatus`, description: 'How far a namespace is.' })

export const namespaceSchema = z
  .object({
    metadata,
    spec: object(namespaceSpec, 'How the namespace is removed.'),
    status: object(namespaceStatus, 'Whether the namespace is being removed.'),
  })
  .meta({ id: `${group}.Namespace`, description: 'A project: it holds image streams, robots and who may use them.' })

export const serviceAccountSchema = z
  .object({
    metadata,
    secrets: mapList(objectReferenceSchema, 'name', 'Secrets of pods that run as this account. Kept without effect.'),
    imagePullSecrets: atomicList(
      localObjectReferenceSchema,
      'Secrets with which images of pods that run as this account are pulled. Kept without effect.',
    ),
    automountServiceAccountToken: boolean('Whether pods get a token of this account. Kept without effect.'),
  })
  .meta({ id: `${group}.ServiceAccount`, description: 'A robot: an identity in a project that gets tokens.' })

export const configMapSchema = z
  .object({
    metadata,
    data: stringMap('Text by key. No key is in binaryData too.'),
    binaryData: stringMap('Bytes in base64 by key.'),
    immutable: boolean('Whether data and binaryData can no longer change, nor this field.'),
  })
  .meta({ id: `${group}.ConfigMap`, description: 'Text and bytes by key, for others to read.' })

export const secretSchema = z
  .object({
    metadata,
    type: string('What data is for, and which keys it must have. It cannot be changed. Default Opaque.'),
    data: stringMap('Bytes in base64 by key.'),
    stringData: stringMap('Text by key, which becomes part of data when it is written; it is never read.'),
    immutable: boolean('Whether data can no longer change, nor this field.'),
  })
  .meta({
    id: `${group}.Secret`,
    description: 'Bytes by key that few may read. Logins to registries among them serve the imports of their project.',
  })

/** What `imagestreams/secrets` answers. */
export const secretListSchema = z
  .object({ metadata, items: atomicList(secretSchema, 'The secrets.') })
  .meta({ id: `${group}.SecretList`, description: 'Secrets.' })

const eventSource = z
  .object({ component: string('The component that tells it.'), host: string('The node that it ran on.') })
  .meta({ id: `${group}.EventSource`, description: 'Who tells an event.' })

const eventSeries = z
  .object({
    count: integer('How many times it happened.'),
    lastObservedTime: time('When it happened last.'),
  })
  .meta({ id: `${group}.EventSeries`, description: 'How often an event happened.' })

export const eventSchema = z
  .object({
    metadata,
    involvedObject: object(objectReferenceSchema, 'What the event is about, in the namespace of the event.'),
    reason: string('Why, in one word for programs.'),
    message: string('What happened, for people.'),
    source: object(eventSource, 'Who tells it.'),
    firstTimestamp: time('When it happened first.'),
    lastTimestamp: time('When it happened last.'),
    count: integer('How many times it happened.'),
    type: string('Normal or Warning.'),
    eventTime: time('When it was seen first.'),
    series: object(eventSeries, 'How often it happened.'),
    action: string('What was done or failed.'),
    related: object(objectReferenceSchema, 'A second object that it is about.'),
    reportingComponent: string('The controller that tells it.'),
    reportingInstance: string('Which instance of the controller.'),
  })
  .meta({ id: `${group}.Event`, description: 'Something that happened to an object.' })

const boundObjectReference = z
  .object({
    apiVersion: string('API version of the object.'),
    kind: string('Kind of the object.'),
    name: string('Name of the object.'),
    uid: string('UID of the object.'),
  })
  .meta({
    id: 'io.k8s.api.authentication.v1.BoundObjectReference',
    description: 'An object that a token ends with. Weir binds tokens to their service account alone.',
  })

const tokenRequestSpec = z
  .object({
    audiences: setList(z.string(), 'For whom the token is. Weir makes tokens for itself alone.'),
    expirationSeconds: integer('How long the token is to live. Default 3600.'),
    boundObjectRef: object(boundObjectReference, 'What the token ends with.'),
  })
  .meta({ id: 'io.k8s.api.authentication.v1.TokenRequestSpec', description: 'What token is asked for.' })

const tokenRequestStatus = z
  .object({ token: string('The token.'), expirationTimestamp: time('When it ends.') })
  .meta({ id: 'io.k8s.api.authentication.v1.TokenRequestStatus', description: 'The token that was made.' })

export const tokenRequestSchema = z
  .object({
    metadata,
    spec: object(tokenRequestSpec, 'What token is asked for.'),
    status: object(tokenRequestStatus, 'The token that was made. Set by the server.'),
  })
  .meta({ id: 'io.k8s.api.authentication.v1.TokenRequest', description: 'Asks for a token of a service account.' })

/** Strings, which manifests may have as numbers too. */
const quantities = z.record(z.string(), z.unknown().meta({ type: 'string' })).nullish()

const quotaSpec = z
  .object({
    hard: quantities.describe(
      'The most by resource: requests.storage are bytes of what was pushed, count/imagestreamtags.image.openshift.io tags. Others are kept without effect.',
    ),
    scopes: atomicList(z.string(), 'Which pods are meant. Not supported.'),
    scopeSelector: anyObject('Which pods are meant. Not supported.'),
  })
  .meta({ id: `${group}.ResourceQuotaSpec`, description: 'What a project may use.' })

const quotaStatus = z
  .object({
    hard: quantities.describe('The most of what counts, by resource. Set by the server.'),
    used: quantities.describe('How much of it is used, by resource. Set by the server.'),
  })
  .meta({ id: `${group}.ResourceQuotaStatus`, description: 'What a project uses.' })

export const resourceQuotaSchema = z
  .object({
    metadata,
    spec: object(quotaSpec, 'What the project may use.'),
    status: object(quotaStatus, 'What the project uses.'),
  })
  .meta({ id: `${group}.ResourceQuota`, description: 'The most that a project may use.' })
