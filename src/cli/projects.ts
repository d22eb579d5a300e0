import type { Command } from 'commander'
import { type ApiObject, apiVersion, resources } from './api.ts'
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
