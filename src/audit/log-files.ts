import { readdir } from 'node:fs/promises'

/** The file that lines are added to. */
export const currentName = 'audit.log'

const archivePattern = /^audit-([0-9]{6,15})\.log$/

/** The name of a file that was put aside: the first is number 1. The current one gets the number after the last. */
export function archiveName(number: number): string {
  return `audit-${String(number).padStart(6, '0')}.log`
}

/** The numbers of the files that were put aside, oldest first; none where there is no directory. */
export async function archiveNumbers(directory: string): Promise<number[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (isAbsent(error)) return []
    throw error
  })
  return names.flatMap((name) => archivePattern.exec(name)?.slice(1).map(Number) ?? []).sort((a, b) => a - b)
}

/** Whether an error says that there is no such file. */
export function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
