import { describe, expect, inject, test } from 'vitest'
import { explained, useWatchedPipeline } from './start-stack.ts'

const PACKAGES = 5000

describe.skipIf(!inject('binaries'))('a run with an end', () => {
  const watched = useWatchedPipeline()

  test('what was produced, processed and written, and what Prometheus says, is the same', () =>
    explained(watched(), async () => {
      const { pipeline, stack } = watched()
      const { prometheus } = stack
      const consumers = pipeline.consumers(['c1', 'c2', 'c3'])
      for (const consumer of consumers) await consumer.logged('session opened')
      pipeline.producer(PACKAGES, { RATE: '2000' })
      const { consumers: shares, length } = await pipeline.expectExactlyOnce(PACKAGES)

      const totals = [
        'sum(messages_produced_total)',
        'sum(messages_processed_total)',
        'sum(messaging_process_duration_seconds_count)',
        'sum(conveyor_end_to_end_duration_seconds_count)',
      ]
      for (const total of totals) await prometheus.when(total, ([sample]) => sample?.value === PACKAGES)
      for (const { id, done, output } of shares) {
        const of = (metric: string) => `sum(${metric}{consumer="${id}"})`
        expect(await prometheus.value(of('messages_processed_total')), id).toBe(done)
        // Counted when they are on disk, which is after the commit.
        await prometheus.when(of('conveyor_output_bytes_total'), ([sample]) => sample?.value === output)
      }
      expect(shares.reduce((sum, { done }) => sum + done, 0)).toBe(PACKAGES)
      const trimmed = PACKAGES - length
      await prometheus.when('sum(stream_cleanup_total)', ([sample]) => sample?.value === trimmed)
      for (const metric of ['fenced', 'claims', 'redeliveries', 'restarts'])
        expect(await prometheus.value(`sum(conveyor_${metric}_total)`), metric).toBe(0)
    }))
})
