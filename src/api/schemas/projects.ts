import { z } from 'zod'
import { atomicList, object, string } from './fields.ts'
import { metadata } from './metadata.ts'

/** Projects and users as OpenShift has them. @see https://github.com/openshift/api/blob/master/project/v1/types.go */

const group = 'com.github.openshift.api.project.v1'

const projectSpec = z
  .object({ finalizers: atomicList(z.string(), 'Who clears the project before it is removed.') })
  .meta({ id: `${group}.ProjectSpec`, description: 'How a project is removed.' })

const projectStatus = z
  .object({ phase: string('Active, or Terminating while all that is in it is removed. Set by the server.') })
  .meta({ id: `${group}.ProjectStatus`, description: 'How far a project is.' })

export const projectSchema = z
  .object({
    metadata,
    spec: object(projectSpec, 'How the project is removed.'),
    status: object(projectStatus, 'Whether the project is being removed.'),
  })
  .meta({ id: `${group}.Project`, description: 'Holds image streams, robots and who may use them.' })

export const projectRequestSchema = z
  .object({
    metadata,
    displayName: string('The name shown to people; annotation openshift.io/display-name of the project.'),
    description: string('What the project is for; annotation openshift.io/description of the project.'),
  })
  .meta({ id: `${group}.ProjectRequest`, description: 'Asks for a project of which the caller is the admin.' })

export const userSchema = z
  .object({
    metadata,
    fullName: string('The name of the person.'),
    identities: atomicList(z.string(), 'How the user logs in.'),
    groups: atomicList(z.string(), 'The groups that the user is in.'),
  })
  .meta({ id: 'com.github.openshift.api.user.v1.User', description: 'Somebody who can log in.' })
