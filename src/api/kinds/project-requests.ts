import { z } from 'zod'
import { parseObject } from '../body.ts'
import { projectGroup } from '../groups.ts'
import { withMetadata } from '../metadata.ts'
import type { Resource } from '../resource.ts'
import { projectRequestSchema } from '../schemas/projects.ts'
import { successStatus } from '../status.ts'
import { type ProjectsOptions, projectHandlers } from './projects.ts'

const projectRequest = z.object({ displayName: z.string().nullish(), description: z.string().nullish() })

/**
 * Asks for a project of one's own, as `oc new-project` does. Who may is told by a list, which is a mere Status.
 *
 * @see https://github.com/openshift/openshift-apiserver/blob/master/pkg/project/apiserver/registry/projectrequest/delegated/delegated.go
 */
export function projectRequests(options: ProjectsOptions): Resource {
  const group = projectGroup
  const resource = 'projectrequests'
  const { create } = projectHandlers(options, { group, resource: 'projects' })
  return {
    group,
    version: 'v1',
    resource,
    singular: 'projectrequest',
    kind: 'ProjectRequest',
    namespaced: false,
    schema: projectRequestSchema,
    admission: { list: 'handler' },
    dryRun: true,
    handlers: {
      list: async (call) => {
        call.require({ verb: 'create', group, resource, name: '', project: '' })
        return { items: [], answer: successStatus() }
      },
      create: async (call, body) => {
        const { metadata } = parseObject(withMetadata, body)
        const { displayName, description } = parseObject(projectRequest, body)
        const annotations = {
          ...metadata?.annotations,
          ...(displayName && { 'openshift.io/display-name': displayName }),
          ...(description && { 'openshift.io/description': description }),
        }
        const project = await create(call, { metadata: { ...metadata, annotations } })
        return { kind: 'Project', ...project }
      },
    },
  }
}
