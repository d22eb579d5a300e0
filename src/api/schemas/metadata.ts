import { z } from 'zod'
import { anyObject, atomicList, boolean, integer, mapList, object, setList, string, stringMap, time } from './fields.ts'

/** Parts that many kinds have, named as Kubernetes' definitions are. */

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'

const ownerReference = z
  .object({
    apiVersion: string('API version of the owner.'),
    kind: string('Kind of the owner.'),
    name: string('Name of the owner.'),
    uid: string('UID of the owner.'),
    controller: boolean('Whether the owner manages this object.'),
    blockOwnerDeletion: boolean('Whether the owner waits with its deletion for this object.'),
  })
  .meta({ id: `${meta}.OwnerReference`, description: 'An object that this object depends on, in the same namespace.' })

const managedFieldsEntry = z
  .object({
    manager: string('Who owns the fields.'),
    operation: string('How they were written: Apply or Update.'),
    apiVersion: string('The version of the object whose fields these are.'),
    time: time('When the entry last changed.'),
    fieldsType: string('Always FieldsV1.'),
    fieldsV1: anyObject('The fields, as a tree of `f:NAME`, `k:KEYS` and `v:VALUE`.'),
    subresource: string('The subresource through which they were written.'),
  })
  .meta({ id: `${meta}.ManagedFieldsEntry`, description: 'The fields that one manager owns.' })

/** `metadata` of every kind. */
export const objectMetaSchema = z
  .object({
    name: string('Names the object in its namespace. It cannot be changed.'),
    generateName: string('A prefix for a name that the server makes, where name is empty.'),
    namespace: string('The project that the object is in; empty for cluster-scoped kinds. It cannot be changed.'),
    selfLink: string('No longer written.'),
    uid: string('Tells this object from all others, earlier ones of the same name too. Set by the server.'),
    resourceVersion: string(
      'The revision at which the object last changed. Sent with a write, it makes the write fail when the object was changed since.',
    ),
    generation: integer('Counts the changes of what is wanted. Set by the server.'),
    creationTimestamp: time('When the object was created. Set by the server.'),
    deletionTimestamp: time('When the deletion of the object was asked for. Set by the server.'),
    deletionGracePeriodSeconds: integer('Seconds until the object is deleted. Set by the server.'),
    labels: stringMap('Names and values by which objects are selected.'),
    annotations: stringMap('Names and values for people and tools; objects are not selected by them.'),
    ownerReferences: mapList(ownerReference, 'uid', 'Objects that this object depends on.'),
    finalizers: setList(z.string(), 'What must be done before the object is deleted.'),
    managedFields: atomicList(managedFieldsEntry, 'Which manager owns which fields. Set by the server.'),
  })
  .meta({ id: `${meta}.ObjectMeta`, description: 'What all objects have: name, labels, annotations, versions.' })

/** `metadata` as a field of a kind. */
export const metadata = object(objectMetaSchema, 'Name, labels, annotations and versions of the object.')

/** `kind`, `namespace` and `name` of an object that is meant. */
export const objectReferenceSchema = z
  .object({
    kind: string('Kind of the object.'),
    namespace: string('Namespace of the object; empty for the own one.'),
    name: string('Name of the object.'),
    uid: string('UID of the object.'),
    apiVersion: string('API version of the object.'),
    resourceVersion: string('The version of the object that is meant.'),
    fieldPath: string('A part of the object.'),
  })
  .meta({ id: 'io.k8s.api.core.v1.ObjectReference', description: 'Points to an object.' })

export const localObjectReferenceSchema = z
  .object({ name: string('Name of the object.') })
  .meta({ id: 'io.k8s.api.core.v1.LocalObjectReference', description: 'Points to an object in the same namespace.' })

const statusCause = z
  .object({
    reason: string('What is wrong, in one word for programs.'),
    message: string('What is wrong, for people.'),
    field: string('The path of the field that is wrong.'),
  })
  .meta({ id: `${meta}.StatusCause`, description: 'One cause of a failure.' })

const statusDetails = z
  .object({
    name: string('Name of the object that the request was about.'),
    group: string('Its group.'),
    kind: string('Its resource.'),
    uid: string('Its UID.'),
    causes: atomicList(statusCause, 'The causes of a failure.'),
    retryAfterSeconds: integer('Seconds to wait before trying again.'),
  })
  .meta({ id: `${meta}.StatusDetails`, description: 'What a Status is about.' })

/** What is answered where no object is. */
export const statusSchema = z
  .object({
    kind: string('Always Status.'),
    apiVersion: string('Always v1.'),
    metadata: anyObject('Empty.'),
    status: string('Success or Failure.'),
    message: string('What happened, for people.'),
    reason: string('Why it failed, in one word for programs.'),
    details: object(statusDetails, 'What it is about.'),
    code: integer('The HTTP status.'),
  })
  .meta({ id: `${meta}.Status`, description: 'The outcome of a request that answers no object.' })
