/** How objects are wanted: as they are, or as rows of a `meta.k8s.io` Table. */
export interface Form {
  /** The version of `Table` that was asked for. */
  table: 'v1' | 'v1beta1' | undefined
  /** What the rows of a table carry. */
  includeObject: 'None' | 'Metadata' | 'Object'
}

/**
 * Reads how the client wants objects: the first of its `Accept` list that is served.
 *
 * @throws RegistryError NOT_ACCEPTABLE, BAD_REQUEST
 */
export function negotiate(_accept: string | null, _query: URLSearchParams): Form {
  return { table: undefined, includeObject: 'Metadata' }
}
