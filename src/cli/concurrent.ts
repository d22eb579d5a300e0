/** Does `work` for each, a few at a time; results are in the order of `all`. */
export async function mapFew<T, R>(all: readonly T[], atOnce: number, work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const rest = all.entries()
  const worker = async () => {
    for (const [i, one] of rest) results[i] = await work(one)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, all.length) }, worker))
  return results
}
