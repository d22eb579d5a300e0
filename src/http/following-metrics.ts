import type { Registry } from 'prom-client'
import type { Following } from '../following.ts'

export interface FollowingMetricsOptions {
  /** Absent where no tag follows one of another stream. */
  following?: Pick<Following, 'counters'>
}

/** Adds how many tags follow tags of other streams. Everything is read when it is asked for. */
export async function addFollowingMetrics(registry: Registry, { following }: FollowingMetricsOptions): Promise<void> {
  if (following === undefined) return
  const { Gauge } = await import('prom-client')
  new Gauge({
    name: 'weir_following_tags',
    help: 'Tags that follow tags of other streams, and those of them that can not.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const { tags, failing } = following.counters
      this.set({ state: 'following' }, tags - failing)
      this.set({ state: 'failing' }, failing)
    },
  })
}
