/** Runs work, some of it at the same time: whoever adds more waits. */
export interface SomeAtOnce {
  add(work: () => Promise<unknown>): Promise<void>
  /** Settles when all is done. */
  done(): Promise<void>
}

/** So few that what else reads the disk meanwhile is not kept waiting. */
const defaultMost = 16

export function createSomeAtOnce(most: number = defaultMost): SomeAtOnce {
  let running: Promise<unknown>[] = []
  async function done(): Promise<void> {
    const all = running
    running = []
    await Promise.all(all)
  }
  return {
    async add(work) {
      const result = work()
      // It is told by whoever waits for all.
      result.catch(() => undefined)
      running.push(result)
      if (running.length >= most) await done()
    },
    done,
  }
}
