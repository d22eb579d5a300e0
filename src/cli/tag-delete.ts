import { type ApiObject, resources } from './api.ts'
import type { Client } from './client.ts'
import { refusalToDelete } from './delete-refusal.ts'
import { explain } from './explain.ts'
import { ApiError, CliError, isNotFound } from './failures.ts'
import { newestEvents } from './ledger.ts'
import { missingTag } from './missing.ts'
import { printable } from './output.ts'
import { formatStreamReference, type TagName } from './references.ts'
import { readFollowers } from './tag-followers.ts'
import { readTag, tagTarget } from './tag-write.ts'
import type { VerbContext } from './verbs.ts'

/** Deletes tags, each told when it is gone. @returns why others were not */
export async function deleteTags(
  context: VerbContext,
  client: Client,
  targets: readonly TagName[],
): Promise<CliError[]> {
  const failures: CliError[] = []
  for (const name of targets) {
    try {
      await deleteTag(context, client, name)
    } catch (error) {
      const known = error instanceof ApiError ? await explain(error, client) : error
      if (!(known instanceof CliError)) throw known
      failures.push(known)
    }
  }
  return failures
}

async function deleteTag(context: VerbContext, client: Client, name: TagName): Promise<void> {
  const before = await readTag(client, name)
  try {
    await client.request<ApiObject>('DELETE', tagTarget(resources.imageStreamTags, name))
  } catch (error) {
    if (isNotFound(error)) throw await missingTag(client, name)
    throw refusalToDelete(error, `${formatStreamReference(name)} was not deleted`) ?? error
  }
  const revision = before?.image === undefined ? undefined : await revisionOfDeletion(client, name)
  const called = formatStreamReference(name)
  const stood = before?.image === undefined ? '' : `  ${before.image} -> none`
  const line = `${called}${stood}${revision === undefined ? '' : `  revision ${revision}`}  deleted`
  context.stdout.write(`${printable(line)}\n`)
  if (revision !== undefined) {
    context.note(`note: its history stays; to have it back: weir rollback ${called} --to ${revision - 1}`)
  }
  const followers = await readFollowers(client, name)
  if (followers.length === 0) return
  const names = followers.map(formatStreamReference).join(', ')
  context.note(`note: what follows it stays where it is: ${names}`)
}

async function revisionOfDeletion(client: Client, name: TagName): Promise<number | undefined> {
  const [newest] = (await newestEvents(client, name)) ?? []
  return newest?.cause?.kind === 'delete' ? newest.revision : undefined
}
