import { type Command, Option } from 'commander'
import { addCheckOptions, checkFlag, completeWish } from './check-options.ts'
import { misuse } from './failures.ts'
import { type Format, formatOption, printable, printDocuments, printObject } from './output.ts'
import { formatStreamReference, parseTagReference, type TagName } from './references.ts'
import { reportFailures } from './reported.ts'
import { deleteTags } from './tag-delete.ts'
import { type Promotion, setTags, type TagOptions } from './tag-set.ts'
import { parseSource, type Source, type SourceKind, sourceKinds, sourceWords } from './tag-source.ts'
import { addVerb, type VerbContext } from './verbs.ts'

interface Options extends TagOptions {
  delete?: boolean
  source?: SourceKind
  output?: Format
}

const words = `${sourceWords}
DEST is project/stream:tag; stream and tag are made when absent. A tag of a stream is pinned: DEST gets the image that it
stands at now, and stays when it moves. With --alias, within one stream, or --follow, from any, DEST moves along. An image of a registry is
imported at once, and the outcome is waited for (as long as --request-timeout says, else 10 minutes).`

/** Adds `tag`. */
export function addTagVerb(program: Command, context: VerbContext): void {
  const verb = addVerb(program, 'tag <source> [dest...]', {
    does: 'Puts tags where another tag or image is, or takes tags away.',
    example: 'weir tag demo/app:latest demo/app:prod --reason "release 7"',
    more: [
      'weir tag demo/app:prod live/app:prod',
      'weir tag demo/app:prod demo/app:stable --alias',
      'weir tag demo/app:prod live/app:prod --follow',
      'weir tag quay.io/org/app:v1 demo/app:latest',
      'weir tag -d demo/app:old',
    ],
    words,
  })
    .option('-d, --delete', 'take the named tags away; their history stays')
    .option('--alias', 'let DEST follow SOURCE, a tag of the same stream, from now on')
    .option('--follow', 'let DEST follow SOURCE, a tag of another stream or project, from now on')
    .option('--reference', "write down where the image is, and import nothing of a registry's")
  addCheckOptions(verb)
    .option('--insecure', 'accept plain HTTP or an unknown certificate, where the server allows it')
    .addOption(
      new Option('--reference-policy <policy>', 'what the API tells others to pull: this stream or the source').choices(
        ['source', 'local'],
      ),
    )
    .addOption(new Option('--source <kind>', 'what SOURCE is, where its form does not say it').choices(sourceKinds))
    .option('--reason <text>', 'why, for the history')
    .addOption(formatOption())
    .action(async (first: string, rest: string[], options: Options) => {
      if (options.delete === true) await removeTags(context, [first, ...rest], options)
      else await promote(context, first, rest, completeWish(options))
    })
}

async function promote(context: VerbContext, value: string, dests: readonly string[], options: Options): Promise<void> {
  const source = parseSource(value, options.source)
  const targets = dests.map(parseTagReference)
  checkOptions(source, targets, value, options)
  const client = await context.connect()
  const document = options.output === 'json' || options.output === 'yaml' ? options.output : undefined
  const { done, failures } = await setTags(context, client, source, targets, options, (promotion) => {
    if (document !== undefined) return
    const line = options.output === 'name' ? formatStreamReference(promotion) : promotion.text
    context.stdout.write(`${printable(line)}\n`)
  })
  if (document !== undefined) printTags(context, document, done, targets.length)
  reportFailures(context, failures, { of: targets.length, what: 'tags were not set' })
}

function printTags({ stdout }: VerbContext, format: 'json' | 'yaml', done: readonly Promotion[], wanted: number): void {
  const [first] = done
  if (first === undefined) return
  if (wanted === 1) printObject(stdout, format, first.object, { name: '', text: '' })
  else printDocuments(stdout, format, { items: done.map(({ object }) => object) })
}

async function removeTags(context: VerbContext, values: readonly string[], options: Options): Promise<void> {
  const { delete: _delete, ...others } = options
  const [other] = Object.keys(others)
  if (other !== undefined) {
    const flag = `--${other.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    throw misuse(`-d takes tags away, and ${flag} is for setting them: leave out one of them`)
  }
  const targets = values.map(parseTagReference)
  requireOnce(targets)
  const failures = await deleteTags(context, await context.connect(), targets)
  reportFailures(context, failures, { of: targets.length, what: 'tags were not deleted' })
}

function checkOptions(source: Source, targets: readonly TagName[], value: string, options: Options): void {
  if (targets.length === 0) {
    throw misuse(
      `name where to put it: weir tag ${value} PROJECT/STREAM:TAG`,
      `to take a tag away: weir tag -d ${value}`,
    )
  }
  requireOnce(targets)
  const { alias, reference } = options
  const flag = checkFlag(options) ?? (options.insecure === true ? '--insecure' : undefined)
  if (source.kind !== 'docker' && flag !== undefined) {
    throw misuse(`${flag} is about imports, and ${value} is already in Weir: leave it out`)
  }
  if (reference === true && flag !== undefined) {
    throw misuse(`--reference imports nothing: leave it out, or leave out ${flag}`)
  }
  if (options.follow === true) checkFollow(source, value, options)
  if (alias !== true) return
  if (reference === true) throw misuse('--alias follows and --reference merely points: leave out one of them')
  checkAlias(source, targets, value)
}

function checkFollow(source: Source, value: string, { alias, reference }: Options): void {
  if (alias === true) throw misuse('--alias follows within one stream and --follow from any: leave out one of them')
  if (reference === true) throw misuse('--follow moves along and --reference merely points: leave out one of them')
  if (source.kind === 'docker') {
    throw misuse('--follow follows a tag of a stream; an image of a registry is followed with --scheduled')
  }
  if (source.kind === 'image') throw misuse(`--follow follows a tag, and ${value} is an image, which never moves`)
}

function checkAlias(source: Source, targets: readonly TagName[], value: string): void {
  if (source.kind === 'docker') {
    throw misuse('--alias follows a tag of the same stream; an image of a registry is followed without it')
  }
  if (source.kind === 'image') throw misuse(`--alias follows a tag, and ${value} is an image, which never moves`)
  for (const target of targets) {
    const to = formatStreamReference(target)
    if (target.project !== source.project || target.stream !== source.stream) {
      throw misuse(
        `--alias works within one stream, and ${to} is of another than ${value}`,
        `without --alias ${to} gets the image that ${value} stands at now: tag again to promote the next`,
        `with --follow in its place ${to} moves along`,
      )
    }
    if (target.tag === source.tag) throw misuse(`${to} can not track itself`)
  }
}

function requireOnce(targets: readonly TagName[]): void {
  const names = targets.map(formatStreamReference)
  const twice = names.find((name, i) => names.indexOf(name) < i)
  if (twice !== undefined) throw misuse(`${twice} is named twice`)
}
