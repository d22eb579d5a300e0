/** Media types of the configs of images that can be run; `application/octet-stream` is what old clients wrote. */
const imageConfigTypes: readonly string[] = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
  'application/octet-stream',
]

/**
 * What a manifest is of that is no image to run: its own `artifactType`, or else the media type of its config. Undefined for an image.
 *
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage
 */
export function artifactTypeOf({
  artifactType,
  config,
}: {
  artifactType?: string | undefined
  config?: { mediaType: string } | undefined
}): string | undefined {
  if (artifactType) return artifactType
  return config === undefined || imageConfigTypes.includes(config.mediaType) ? undefined : config.mediaType
}
