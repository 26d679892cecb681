import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import {
  AggregationTemporality,
  InstrumentType,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import type { NodeSDKConfiguration } from '@opentelemetry/sdk-node'
import { Histograms } from './histograms.ts'

/**
 * Exports gauges as they are now. Where everything is cumulative, the SDK repeats what a gauge once showed for
 * ever: consumers that are long gone would be pending.
 */
class MetricExporter extends OTLPMetricExporter {
  override selectAggregationTemporality(instrument: InstrumentType): AggregationTemporality {
    return instrument === InstrumentType.OBSERVABLE_GAUGE
      ? AggregationTemporality.DELTA
      : super.selectAggregationTemporality(instrument)
  }
}

/** OTLP over gRPC, or what OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER and OTEL_EXPORTER_OTLP_PROTOCOL ask for. */
export function exporters(exportIntervalMillis: number, env = process.env): Partial<NodeSDKConfiguration> {
  const ours = (signal: 'TRACES' | 'METRICS') =>
    (env[`OTEL_${signal}_EXPORTER`] || 'otlp') === 'otlp' &&
    (env[`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`] || env.OTEL_EXPORTER_OTLP_PROTOCOL) === 'grpc'
  return {
    ...(ours('TRACES') && { traceExporter: new OTLPTraceExporter() }),
    ...(ours('METRICS') && { metricReaders: [reader(exportIntervalMillis)] }),
  }
}

function reader(exportIntervalMillis: number): PeriodicExportingMetricReader {
  return new PeriodicExportingMetricReader({
    exporter: new MetricExporter(),
    exportIntervalMillis,
    exportTimeoutMillis: Math.min(exportIntervalMillis, 10_000),
    metricProducers: [new Histograms().offer()],
  })
}
