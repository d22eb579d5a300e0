import type { Command } from 'commander'
import { type ApiObject, apiVersion, resources } from './api.ts'
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
      const resource = resources.namespaces
      const body = { kind: 'Namespace', apiVersion: apiVersion(resource), metadata: { name: project } }
      const created = await client.request<ApiObject>('POST', { resource }, { body })
      printObject(context.stdout, options.output, created, { name: project, text: `project ${project} created` })
    })
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
