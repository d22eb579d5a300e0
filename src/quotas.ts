/** What a project may use: ResourceQuota objects (`kubectl create quota`), `hard` by resource name. */

/** Resources that count: bytes of what was pushed, each digest of a project once; tags of image streams. */
export const quotaResources = { bytes: 'requests.storage', tags: 'count/imagestreamtags.image.openshift.io' } as const

export interface Usage {
  bytes: number
  tags: number
}

export interface Quotas {
  /**
   * Lets `more` come where every quota of the project has room for it beside what is used and what others have reserved.
   *
   * @returns what gives the reservation back, once the bytes or tags are counted as used, or do not come
   * @throws RegistryError DENIED saying which quota, what is used, asked and allowed
   */
  reserve(project: string, more: Partial<Usage>): Promise<() => void>
  /** What a project uses. */
  usage(project: string): Promise<Usage>
}
