import type { Registry } from 'prom-client'
import type { Content, ContentCounters } from '../content/content.ts'

export interface ContentMetricsOptions {
  content: Pick<Content, 'counters'>
  /** The most that is held. */
  maxContentBytes: number
  /** Tags by how much of what they need is held; absent where nothing is retained. */
  retention?: { counts(): Promise<Readonly<Record<string, number>>> | Readonly<Record<string, number>> }
  /** Absent where nobody pushes. */
  push?: { uploadCount(): Promise<number> }
}

const problems: readonly NonNullable<ContentCounters['problem']>[] = ['disk full', 'maxBytes reached', 'disk failed']

type Read = (counters: ContentCounters) => number

const totals: Readonly<Record<string, [help: string, read: Read]>> = {
  weir_content_upstream_bytes_total: ['Bytes of blobs received from upstreams.', (read) => read.upstreamBytes],
  weir_content_delivered_bytes_total: ['Bytes of blobs given out to clients.', (read) => read.deliveredBytes],
  weir_content_resumes_total: ['Downloads that went on after their upstream broke off.', (read) => read.resumes],
  weir_content_streamed_through_total: [
    'Blobs given out without being kept, since there was no room.',
    (read) => read.streamedThrough,
  ],
  weir_content_quarantined_total: [
    'Held files whose bytes were not those of their digest.',
    (read) => read.quarantined,
  ],
}

const states: Readonly<Record<string, [help: string, read: Read]>> = {
  weir_content_held_bytes: ['Bytes of images that are held.', (read) => read.heldBytes],
  weir_content_upload_bytes: ['Bytes of uploads that are not finished.', (read) => read.uploadBytes],
  weir_content_downloads: ['Downloads from upstreams under way.', (read) => read.downloads],
}

/** Adds what is told of content. Everything is read when it is asked for. */
export async function addContentMetrics(
  registry: Registry,
  { content, maxContentBytes, retention, push }: ContentMetricsOptions,
): Promise<void> {
  const { Counter, Gauge } = await import('prom-client')
  const registers = [registry]
  for (const [name, [help, read]] of Object.entries(totals)) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read(content.counters))
      },
    })
  }
  for (const [name, [help, read]] of Object.entries(states)) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(content.counters))
      },
    })
  }
  new Gauge({ name: 'weir_content_max_bytes', help: 'Most bytes of images that are held.', registers }).set(
    maxContentBytes,
  )
  new Gauge({
    name: 'weir_content_problem',
    help: '1 while it is why images are not kept.',
    labelNames: ['problem'],
    registers,
    collect() {
      for (const problem of problems) this.set({ problem }, content.counters.problem === problem ? 1 : 0)
    },
  })
  if (push !== undefined)
    new Gauge({
      name: 'weir_content_uploads',
      help: 'Uploads that are not finished.',
      registers,
      async collect() {
        this.set(await push.uploadCount())
      },
    })
  if (retention === undefined) return
  new Gauge({
    name: 'weir_retention_tags',
    help: 'Tags whose content is wanted and not all held yet, by state.',
    labelNames: ['state'],
    registers,
    async collect() {
      const counts = await retention.counts()
      for (const [state, count] of Object.entries(counts)) this.set({ state }, count)
    },
  })
}
