import { anonymous } from '../../access/access.ts'
import { userGroup } from '../groups.ts'
import type { Resource } from '../resource.ts'
import { forbidden } from '../right.ts'
import { userSchema } from '../schemas/projects.ts'

/**
 * Users as OpenShift has them: Weir keeps none, so everybody finds himself alone, as `~` or by his name. `oc login` and
 * `oc whoami` ask for it.
 */
export function users(): Resource {
  const group = userGroup
  const resource = 'users'
  return {
    group,
    version: 'v1',
    resource,
    singular: 'user',
    kind: 'User',
    namespaced: false,
    schema: userSchema,
    admission: { get: 'anyone' },
    handlers: {
      get: async ({ subject, name }) => {
        if (subject.name === anonymous.name) {
          throw forbidden(subject, { verb: 'get', group, resource, name, project: '' })
        }
        if (name !== '~' && name !== subject.name) return undefined
        return {
          metadata: { name: subject.name, ...(subject.uid && { uid: subject.uid }), creationTimestamp: null },
          identities: null,
          groups: [...subject.groups].sort(),
        }
      },
    },
  }
}
