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
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(), timeoutMs)
  try {
    return await work(left === undefined ? deadline.signal : AbortSignal.any([left, deadline.signal]))
  } catch (error) {
    throw deadline.signal.aborted && left?.aborted !== true ? late() : error
  } finally {
    clearTimeout(timer)
  }
}
