/** Rights as people write them: `pull demo/app`, `get imagestreams/app -n demo`. */

import { Option } from 'commander'
import { isOwnName } from '../oci/reference.ts'
import { resources } from './api.ts'
import type { Client } from './client.ts'
import { findResource } from './discovery.ts'
import { misuse } from './failures.ts'
import { parseProject, parseStreamReference } from './references.ts'
import type { VerbContext } from './verbs.ts'

/** What may be done to what; empty strings where something is not narrowed. */
export interface Right {
  verb: string
  group: string
  resource: string
  subresource: string
  name: string
  /** Empty for the whole cluster. */
  project: string
}

export interface RightOptions {
  namespace?: string
  subresource?: string
}

/** What the help says of VERB and RESOURCE. */
export const rightWords = `VERB is get, list, watch, create, update, patch, delete or *, and RESOURCE any that kubectl api-resources lists. pull and push
are about a stream, PROJECT/STREAM. Without -n it is about all projects.`

/** The `--subresource` of verbs that are about rights. */
export function subresourceOption(): Option {
  return new Option('--subresource <name>', 'of the resource: layers, status, ...')
}

const streamVerbs: ReadonlyMap<string, string> = new Map([
  ['pull', 'get'],
  ['push', 'update'],
])

/** Those that the API asks for, the last two of roles. */
const apiVerbs: ReadonlySet<string> = new Set(
  'get list watch create update patch delete deletecollection bind escalate *'.split(' '),
)

/**
 * Reads a right, with the names that the server has for what it is about.
 *
 * @throws CliError misuse for words that can not be meant, before anything is asked
 */
export function parseRight(verb: string, target: string | undefined, options: RightOptions): ReadRight {
  const project = options.namespace === undefined ? '' : parseProject(options.namespace)
  const streamVerb = streamVerbs.get(verb)
  if (streamVerb !== undefined) {
    if (options.subresource !== undefined) throw misuse(`${verb} has no --subresource`)
    const right = { verb: streamVerb, ...layers, ...streamOf(verb, target, project) }
    return async () => right
  }
  if (!/^(?:[a-z]+|\*)$/.test(verb))
    throw misuse(`"${verb}" is not a verb: get, list, create, update, delete, pull, push`)
  if (target === undefined) throw misuse(`${verb} what? Name a resource: ${verb} imagestreams`)
  const slash = target.indexOf('/')
  const word = slash < 0 ? target : target.slice(0, slash)
  const name = slash < 0 ? '' : target.slice(slash + 1)
  if (!/^(?:[A-Za-z0-9.-]+|\*)$/.test(word)) throw misuse(`"${word}" is not the name of a resource`)
  if (slash >= 0 && (name === '' || /[\s/\p{Cc}]/u.test(name))) {
    throw misuse(`"${target}" is not RESOURCE or RESOURCE/NAME; the project goes to -n`)
  }
  const { subresource = '' } = options
  return async (client, { note }) => {
    const asStream = streamHint(verb, word, name)
    const { group, resource, namespaced, subresources } = await findResource(client, word, name ? asStream : undefined)
    if (!apiVerbs.has(verb)) note(`note: the API knows no ${verb}: ${[...apiVerbs].join(', ')}`)
    if (subresource === '' && subresources.includes(name)) {
      note(`note: this is about the ${resource} called ${name}; of the subresource it is: --subresource ${name}`)
    }
    // A project is looked up in itself, whatever else is of the whole cluster.
    const isProject = resource === resources.namespaces.plural || resource === 'projects'
    const place = namespaced ? project : isProject ? name : ''
    if (!namespaced && project !== '' && place !== project)
      note(`note: ${resource} are of no project: -n does not count`)
    return { verb, group, resource, subresource, name, project: place }
  }
}

/** What is not a resource may be meant for a project. Who deletes images needs no right to delete their stream. */
function streamHint(verb: string, project: string, stream: string): string {
  const ofStream = `of a stream: ${verb} imagestreams/${stream} -n ${project}`
  if (verb !== 'delete') return ofStream
  return `of the images of a stream: delete imagestreams/${stream} --subresource layers -n ${project}; ${ofStream}`
}

/** Looks up at the server what a right is about. */
export type ReadRight = (client: Client, context: Pick<VerbContext, 'note'>) => Promise<Right>

const layers = { group: resources.imageStreams.group, resource: resources.imageStreams.plural, subresource: 'layers' }

function streamOf(verb: string, target: string | undefined, project: string): { project: string; name: string } {
  if (target === undefined) return { project, name: '' }
  if (isOwnName(target)) {
    if (project !== '') return { project, name: target }
    throw misuse(`${verb} from which project? Write PROJECT/${target}, or -n PROJECT`)
  }
  const { project: named, stream, tag } = parseStreamReference(target)
  if (tag !== undefined) throw misuse(`who may ${verb} a stream may ${verb} each of its tags: write ${named}/${stream}`)
  if (project !== '' && project !== named) {
    throw misuse(`${target} is of project ${named}, and -n says ${project}: leave out -n`)
  }
  return { project: named, name: stream }
}
