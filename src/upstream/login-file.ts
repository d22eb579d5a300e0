import { isDeepStrictEqual } from 'node:util'
import { createFollowedFile, type FollowedFileOptions } from './followed-file.ts'
import type { Login, LoginSource } from './upstream.ts'

/** A login whose secret is in a file: it changes with the file, and is looked for there at once when it is refused. */
export function createLoginFile(options: FollowedFileOptions<Login>): LoginSource {
  const { current, look } = createFollowedFile(options)
  return {
    login: current,
    async renewed(refused) {
      const found = await look()
      return isDeepStrictEqual(found, refused) ? undefined : found
    },
  }
}
