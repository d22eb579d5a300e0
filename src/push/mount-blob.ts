import type { Content, Location } from '../content/content.ts'
import { isManifestType } from '../oci/media-types.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Home } from './home.ts'
import type { Mountable } from './mounts.ts'
import type { Pusher } from './pusher.ts'
import type { ReserveBytes } from './reservations.ts'
import { blobMediaType, type Targets } from './targets.ts'

export interface MountOptions {
  targets: Pick<Targets, 'give'>
  content: Pick<Content, 'held'>
  reserveBytes: ReserveBytes | undefined
}

/**
 * Gives a stream what was found for it: the locations of the other's link, but bytes that are `here` alone go to the project's home
 * where it has one. What another project's quotas counted is counted here too.
 *
 * @throws RegistryError DENIED beyond a quota, as `Home.pushBlob` and as `Targets.give`
 */
export async function mountBlob(
  { targets, content, reserveBytes }: MountOptions,
  name: StreamName,
  by: Pusher,
  { from, link }: Mountable,
  home: Home | undefined,
): Promise<void> {
  const { digest } = link
  const locations = mountedLocations(link, home)
  const isMore = from.project !== name.project && locations.some((each) => isCounted(each, home))
  const held = await content.held(link)
  const size = held ?? link.size
  const isMeasured = held !== undefined || link.received || link.measured === true
  const giveBack = isMore ? await reserveBytes?.(name.project, size ?? 0) : undefined
  try {
    if (home !== undefined && locations.includes(home.location)) await home.pushBlob(digest, size ?? 0, link.locations)
    const measured = isMeasured ? ({ measured: true } as const) : {}
    await targets.give(name, by, { digest, mediaType: typeOf(link), size, ...measured, locations })
  } finally {
    giveBack?.()
  }
}

/** What a mounted blob has: what its stream has, but for bytes that are `here` alone, which go to the home of the project. */
function mountedLocations({ locations }: Mountable['link'], home: Home | undefined): readonly Location[] {
  return home !== undefined && locations.every(({ kind }) => kind === 'here') ? [home.location] : locations
}

/** The same bytes may be a manifest of the other stream too: that is not mounted. */
function typeOf(link: Mountable['link']): string {
  return isManifestType(link.mediaType) ? blobMediaType : link.mediaType
}

/** Whether the quotas of the project count what is there. */
function isCounted(location: Location, home: Home | undefined): boolean {
  return location.kind === 'here' || location === home?.location
}
