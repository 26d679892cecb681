import {
  AggregationTemporality,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { NodeSDK } from '@opentelemetry/sdk-node'
import {
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { until } from './redis.ts'

export interface Recorded {
  /** Spans that have ended, in that order. */
  readonly spans: readonly ReadableSpan[]
  /** Ended spans of one name: what stands before the stream's name. */
  named(operation: string): ReadableSpan[]
  /** Waits until so many spans of one name have ended. */
  ended(operation: string, count: number): Promise<ReadableSpan[]>
  /** Metric name -> its points' attributes and values, as of now. */
  metrics(): Promise<Map<string, { attributes: object; value: unknown }[]>>
}

/** The SDK with what it exports in memory, for all tests of a file. */
export function useTelemetry(sampler: Sampler): Recorded {
  const exporter = new InMemorySpanExporter()
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({
    exporter: metricExporter,
    exportIntervalMillis: 3600_000,
  })
  const sdk = new NodeSDK({
    autoDetectResources: false,
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
    metricReaders: [reader],
    logRecordProcessors: [],
    sampler,
  })
  beforeAll(() => sdk.start())
  afterAll(() => sdk.shutdown())
  beforeEach(() => exporter.reset())
  const named = (operation: string) =>
    exporter.getFinishedSpans().filter(({ name }) => name === operation || name.startsWith(`${operation} `))
  return {
    get spans() {
      return exporter.getFinishedSpans()
    },
    named,
    async ended(operation, count) {
      await until(() => named(operation).length >= count, `${count} spans ${operation}`)
      return named(operation)
    },
    async metrics() {
      metricExporter.reset()
      await reader.forceFlush()
      const found = metricExporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
      return new Map(
        found
          .flatMap(({ metrics }) => metrics)
          .map(({ descriptor, dataPoints }) => [
            descriptor.name,
            dataPoints.map(({ attributes, value }) => ({ attributes, value })),
          ]),
      )
    },
  }
}

/** Id of a span's parent. */
export function parentOf(span: ReadableSpan | undefined): string | undefined {
  return span?.parentSpanContext?.spanId
}
