import type { Member, Members } from './members.ts'

/** Waits as a member until `kept` settles, or it gets no more. */
export async function waitFor(
  kept: Promise<void>,
  members: Members,
  member: Member,
  { received, signal, onProgress }: { received(): number; signal: AbortSignal; onProgress?: (bytes: number) => void },
): Promise<void> {
  const failed = Promise.withResolvers<never>()
  const leave = (): void => failed.reject(signal.reason)
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave, { once: true })
  const stopListening = members.onNews(() => {
    if (member.failure !== undefined) failed.reject(member.failure.error)
    else onProgress?.(received())
  })
  try {
    await Promise.race([kept, failed.promise])
  } finally {
    stopListening()
    signal.removeEventListener('abort', leave)
    members.leave(member)
  }
}
