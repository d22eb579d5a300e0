/**
 * Does work that ends after `timeoutMs` at the latest.
 *
 * @throws what `late` makes, when that was why it ended
 */
export async function within<T>(
  timeoutMs: number,
  left: AbortSignal | undefined,
  late: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // Not `AbortSignal.any`: V8 keeps what it makes until the whole heap is collected, and there are thousands of these a second.
  const ending = new AbortController()
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    ending.abort()
  }, timeoutMs)
  const leave = (): void => ending.abort(left?.reason)
  if (left?.aborted === true) leave()
  left?.addEventListener('abort', leave, { once: true })
  try {
    return await work(ending.signal)
  } catch (error) {
    throw isLate && left?.aborted !== true ? late() : error
  } finally {
    clearTimeout(timer)
    left?.removeEventListener('abort', leave)
  }
}
