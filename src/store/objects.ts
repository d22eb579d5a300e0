/** The stored form of Kubernetes API objects, `object/<resource>/<project>/<name>`, and their common write rules. */

/** `metadata` as stored; `resourceVersion` is the entry's revision and is added on reading. */
export interface ObjectMeta {
  name: string
  namespace?: string
  uid: string
  creationTimestamp: string
  generation?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
}

/** Any API object without `kind` and `apiVersion`, which the kind's table adds. */
export interface StoredObject {
  metadata: ObjectMeta & { resourceVersion: string }
  [field: string]: unknown
}

/** A page of a list; `continue` is opaque and absent on the last page. */
export interface ObjectPage<T extends StoredObject = StoredObject> {
  items: T[]
  resourceVersion: string
  continue?: string
}

/**
 * CRUD of API objects of every stored kind. Cluster-scoped resources use the empty string as project. All writes answer
 * what is stored, with `metadata.resourceVersion`.
 */
export interface Objects {
  get(resource: string, project: string, name: string): Promise<StoredObject | undefined>
  list(
    resource: string,
    project: string | undefined,
    options?: { limit?: number; continue?: string },
  ): Promise<ObjectPage>
  /** @throws RegistryError ALREADY_EXISTS */
  create(resource: string, project: string, object: NewObject): Promise<StoredObject>
  /**
   * Replaces with what `change` makes of the current object, again after each race. `expectedVersion`, where given, must
   * be the stored resourceVersion.
   *
   * @throws RegistryError NOT_FOUND, CONFLICT
   */
  update(
    resource: string,
    project: string,
    name: string,
    change: (current: StoredObject) => StoredObject,
    expectedVersion?: string,
  ): Promise<StoredObject>
  /** Deletes and answers what was there. @throws RegistryError NOT_FOUND, CONFLICT when a precondition fails */
  delete(
    resource: string,
    project: string,
    name: string,
    preconditions?: { uid?: string; resourceVersion?: string },
  ): Promise<StoredObject>
}

/** What a caller may set of a new object: the store adds uid, creationTimestamp and resourceVersion. */
export interface NewObject {
  metadata: { name: string; labels?: Record<string, string>; annotations?: Record<string, string> }
  [field: string]: unknown
}

/** The key of an API object's record. */
export function objectKey(resource: string, project: string, name: string): string {
  return `object/${resource}/${project}/${name}`
}
