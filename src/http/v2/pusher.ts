import type { Authorizer, Client, Subject } from '../../access/access.ts'
import type { StreamName } from '../../oci/reference.ts'
import type { Pusher } from '../../push.ts'
import { mayPull } from '../authorize.ts'

/** Who pushes to `name`, by the rights that he has now. */
export function pusherOf(
  authorizer: Pick<Authorizer, 'can'>,
  { subject, client, name }: { subject: Subject; client: Client; name: StreamName },
): Pusher {
  return {
    name: subject.name,
    client: client.userAgent,
    // Nobody can be given the right to create by a name.
    mayCreate: authorizer.can(subject, 'create', 'image.openshift.io', 'imagestreams', '', name.project),
    mayPull: (from) => mayPull(authorizer, subject, from),
  }
}
