import type { Command } from 'commander'
import { type ApiObject, apiVersion, type Resource, resources } from './api.ts'
import type { Client } from './client.ts'
import { CliError, unlessForbidden } from './failures.ts'
import { type Format, formatOption, printObject } from './output.ts'
import { parseProject } from './references.ts'
import { addVerb, type VerbContext } from './verbs.ts'

/** Adds `new-project`. */
export function addProjectVerbs(program: Command, context: VerbContext): void {
  addVerb(program, 'new-project <name>', {
    does: 'Creates a project, which holds streams and who may use them.',
    example: 'weir new-project demo',
  })
    .addOption(formatOption())
    .action(async (name: string, options: { output?: Format }) => {
      const project = parseProject(name)
      const client = await context.connect()
      const created = await createProject(client, project)
      printObject(context.stdout, options.output, created, { name: project, text: `project ${project} created` })
    })
}

/** As a namespace, else by a request for a project, which takes less: `self-provisioner` may make that alone. */
async function createProject(client: Client, name: string): Promise<ApiObject> {
  const create = (resource: Resource, kind: string) =>
    client.request<ApiObject>(
      'POST',
      { resource },
      { body: { kind, apiVersion: apiVersion(resource), metadata: { name } } },
    )
  const made = await unlessForbidden(create(resources.namespaces, 'Namespace'), undefined)
  return made ?? create(resources.projectRequests, 'ProjectRequest')
}

/**
 * Tells a project that is not there from one that has nothing; who may not read it is not told.
 *
 * @throws CliError when there is no such project
 */
export async function requireProject(client: Client, project: string): Promise<void> {
  const found = client.find<ApiObject>({ resource: resources.namespaces, name: project })
  if ((await unlessForbidden(found, 'unknown')) !== undefined) return
  throw new CliError(`project ${project} not found; create it with: weir new-project ${project}`)
}
