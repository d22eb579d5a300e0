/** Media types of manifests that Weir reads, serves and asks upstreams for. */
export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerManifestList: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const

/** Weir's own Accept list, sent on every manifest request whatever a client asked for. */
export const manifestAccept = Object.values(mediaTypes).join(', ')

/** Whether `mediaType` names a multi-platform index (OCI) or manifest list (Docker). */
export function isIndexType(mediaType: string): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerManifestList
}

/** Whether `mediaType` names any manifest that Weir understands. */
export function isManifestType(mediaType: string): boolean {
  return isIndexType(mediaType) || mediaType === mediaTypes.ociManifest || mediaType === mediaTypes.dockerManifest
}

/** Most bytes a manifest may have; also the limit of containers/image. */
export const maxManifestBytes = 4 * 1024 * 1024
