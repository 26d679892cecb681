import { performance } from 'node:perf_hooks'
import { until } from '@conveyor/chaos'
import { describe, expect, inject, test } from 'vitest'
import { alertExpressions } from './rules.ts'
import { explained, useWatchedPipeline } from './start-stack.ts'

/** Spans that wait for Jaeger at most: the least that a batch allows. */
const QUEUE = 4000

describe.skipIf(!inject('binaries'))('the Collector', () => {
  const watched = useWatchedPipeline({}, { JAEGER_QUEUE_SPANS: String(QUEUE) })

  test('is killed and comes back: packages flow on all the while, and metrics return', () =>
    explained(watched(), async () => {
      const { pipeline, stack } = watched()
      const { prometheus } = stack
      for (const consumer of pipeline.consumers(['c1', 'c2', 'c3'])) await consumer.logged('session opened')
      pipeline.producer(0, { RATE: '500' })
      await pipeline.committed(500)
      await prometheus.when('sum(messages_processed_total) > 0')

      await stack.collector.kill()
      const { done } = await pipeline.inspect()
      let last = done
      let progressed = performance.now()
      let longest = 0
      await pipeline.when(state => {
        if (state.done > last) {
          longest = Math.max(longest, performance.now() - progressed)
          progressed = performance.now()
          last = state.done
        }
        return state.done >= done + 3000
      }, 'packages are committed without a Collector')
      expect(longest, 'ms without a package').toBeLessThan(2000)
      await prometheus.when('ALERTS{alertname="CollectorDown"}')

      await stack.collector.start()
      const back = (await pipeline.inspect()).done
      await prometheus.when('sum(messages_processed_total)', ([sample]) => (sample?.value ?? 0) >= back)
      await prometheus.when('up{job="otel-collector"} == 1')
      await pipeline.expectExactlyOnce(await pipeline.endProducing())
    }))

  test('counts spans that it cannot keep for Jaeger, and the alert fires', () =>
    explained(watched(), async () => {
      const { stack } = watched()
      const hex = (number: number, digits: number) => number.toString(16).padStart(digits, '0')
      const spans = Array.from({ length: QUEUE + 1 }, (_, index) => ({
        traceId: hex(index + 1, 32),
        spanId: hex(index + 1, 16),
        name: 'one of too many',
        kind: 1,
        startTimeUnixNano: '1',
        endTimeUnixNano: '2',
      }))
      const send = () =>
        fetch(`${stack.otlp.http}/v1/traces`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] }),
        })
      await send()
      const failed = /^(otelcol_exporter_enqueue_failed_spans\w*)\{.*\} (\d+)/m
      const found = await until(
        async () => failed.exec(await (await fetch(stack.collectorMetrics)).text()) ?? undefined,
        'the Collector counts it',
        10_000,
      )
      expect(Number(found[2])).toBe(spans.length)
      const expr = (await alertExpressions()).find(({ alert }) => alert === 'SpansNotStored')?.expr ?? ''
      await stack.prometheus.when(expr)
      for (const selector of await stack.prometheus.selectors(expr))
        expect((await stack.prometheus.series(selector)).length, selector).toBeGreaterThan(0)
    }))
})
